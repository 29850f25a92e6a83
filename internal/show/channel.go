package show

import (
	"fmt"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// A ChannelRow is a channel as lists show it.
type ChannelRow struct {
	Name          string    `json:"name"`
	Type          string    `json:"type"`
	State         string    `json:"state"`
	LastDelivered time.Time `json:"last_delivered_at"`
	Queued        int64     `json:"queued"`
	Dead          int64     `json:"dead"`
	Err           string    `json:"error"`
}

// detail says what of a channel is worth a look.
func (c ChannelRow) detail() string {
	text := c.Type
	if c.Queued > 0 {
		text += fmt.Sprintf(", %d queued", c.Queued)
	}
	if c.Dead > 0 {
		text += fmt.Sprintf(", %d given up", c.Dead)
	}
	if c.Err != "" {
		text += ": " + c.Err
	}
	return text
}

// Channels lists channels.
func Channels(p *term.Page, all []ChannelRow) {
	now := time.Now()
	t := p.Table("NAME", "TYPE", "!STATE", ">DELIVERED AGO", ">QUEUED", ">GIVEN UP", "ERROR")
	for _, c := range all {
		t.Add(term.Of(c.Name), term.Of(c.Type), term.Painted(c.State, term.StateStyle(c.State)), term.Of(term.Age(now, c.LastDelivered)), term.Of(fmt.Sprint(c.Queued)), term.Of(fmt.Sprint(c.Dead)), term.Of(c.Err))
	}
	t.Print()
}

// Deliveries lists deliveries.
func Deliveries(p *term.Page, all []ops.Delivery) {
	short := term.Shortened(all, func(d ops.Delivery) string { return d.ID })
	t := p.Table("!ID", "!WHEN", "CHANNEL", "!STATE", "WHAT", "TITLE", ">TRIES", "ERROR")
	for _, d := range all {
		at := d.DeliveredAt
		if at.IsZero() {
			at = d.CreatedAt
		}
		t.Add(term.Of(short[d.ID]), term.Of(term.Stamp(at)), term.Of(d.Channel), term.Painted(string(d.State), term.StateStyle(string(d.State))), term.Of(string(d.Message.Event)), term.Of(d.Message.Title), term.Of(fmt.Sprint(d.Attempts)), term.Of(d.Err))
	}
	t.Print()
}

// Delivery prints one delivery with its message.
func Delivery(p *term.Page, d ops.Delivery) {
	p.Line("%s", p.Paint(term.Bold, term.Safe(d.Message.Title)))
	p.Fields([][2]string{{"id", d.ID}, {"channel", d.Channel}, {"state", string(d.State)}, {"what", string(d.Message.Event)}, {"written", term.Stamp(d.CreatedAt)},
		{"delivered", term.Stamp(d.DeliveredAt)}, {"tries", fmt.Sprint(d.Attempts)}, {"next try", term.Stamp(d.NextAt)}, {"error", d.Err}, {"incident", d.IncidentID}})
	p.Line("")
	p.Paragraph("  ", d.Message.Text)
}

func told(p *term.Page, all []ops.Delivery) {
	if len(all) == 0 {
		return
	}
	p.Heading("Told")
	Deliveries(p, all)
}
