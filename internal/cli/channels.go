package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
)

type channelRow struct {
	Name          string    `json:"name"`
	Type          string    `json:"type"`
	State         string    `json:"state"`
	LastDelivered time.Time `json:"last_delivered_at"`
	Queued        int64     `json:"queued"`
	Dead          int64     `json:"dead"`
	Err           string    `json:"error"`
}

// detail says what of a channel is worth a look.
func (c channelRow) detail() string {
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

func (s *session) channelsVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "channels", Short: "List the channels that people are told through, or send a test message",
		Example: "  reeve channels\n  reeve channels test phone", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			return s.listChannels(c.Context())
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "test NAME", Short: "Send a test message through a channel", Example: "  reeve channels test phone", Args: takes(1, 1, "the name of a channel"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := s.call(c.Context(), http.MethodPost, "/api/v1/channels/"+url.PathEscape(args[0])+"/test", nil, nil); err != nil {
				return err
			}
			if s.json() {
				return s.page.value(map[string]any{"channel": args[0], "sent": true})
			}
			s.page.line("the channel %s took the test message; look whether it arrived", safe(args[0]))
			return nil
		},
	})
	return c
}

func (s *session) listChannels(ctx context.Context) error {
	var l list
	text, err := s.fetch(ctx, "/api/v1/channels", &l)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	all, err := read[channelRow](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.line("no channels: nobody is told of findings. Declare some under channels in reeve.yaml; `reeve channel-types` lists what there is")
		return nil
	}
	now := time.Now()
	t := s.page.table("NAME", "TYPE", "!STATE", ">DELIVERED AGO", ">QUEUED", ">GIVEN UP", "ERROR")
	for _, c := range all {
		t.add(of(c.Name), of(c.Type), cell{c.State, stateStyle(c.State)}, of(age(now, c.LastDelivered)), of(fmt.Sprint(c.Queued)), of(fmt.Sprint(c.Dead)), of(c.Err))
	}
	t.print()
	return nil
}

func (s *session) deliveriesVerb() *cobra.Command {
	var state, channel, incident string
	var limit int
	c := &cobra.Command{
		Use: "deliveries [ID]", Aliases: []string{"delivery"}, Short: "List messages to channels, the newest first, or show one", Args: takes(0, 1, "the ID of a delivery"),
		Example: "  reeve deliveries --state dead\n  reeve deliveries --channel phone --limit 20",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneDelivery(c.Context(), args[0])
			}
			q := url.Values{}
			set(q, "state", state)
			set(q, "channel", channel)
			if incident != "" {
				id, err := s.incidentID(c.Context(), incident)
				if err != nil {
					return err
				}
				q.Set("incident", id)
			}
			l, err := s.listed(c.Context(), "/api/v1/deliveries", q, limit)
			if err != nil {
				return err
			}
			return s.listDeliveries(l, q)
		},
	}
	f := c.Flags()
	f.StringVar(&state, "state", "", "queued, sending, delivered, dead or dropped; several with commas")
	f.StringVar(&channel, "channel", "", "only to this channel")
	f.StringVar(&incident, "incident", "", "only about this incident")
	f.IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return c
}

func (s *session) listDeliveries(l list, q url.Values) error {
	if s.json() {
		return s.page.value(l)
	}
	all, err := read[ops.Delivery](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.line("no deliveries%s", suchAs(q))
		return nil
	}
	s.deliveryTable(all)
	s.more(l)
	return nil
}

func (s *session) deliveryTable(all []ops.Delivery) {
	short := shortened(each(all, func(d ops.Delivery) string { return d.ID }))
	t := s.page.table("!ID", "!WHEN", "CHANNEL", "!STATE", "WHAT", "TITLE", ">TRIES", "ERROR")
	for _, d := range all {
		at := d.DeliveredAt
		if at.IsZero() {
			at = d.CreatedAt
		}
		t.add(of(short[d.ID]), of(stamp(at)), of(d.Channel), cell{string(d.State), stateStyle(string(d.State))}, of(string(d.Message.Event)), of(d.Message.Title), of(fmt.Sprint(d.Attempts)), of(d.Err))
	}
	t.print()
}

func (s *session) oneDelivery(ctx context.Context, typed string) error {
	id := typed
	if ops.IDKind(typed) != ops.DeliveryID {
		l, err := s.listed(ctx, "/api/v1/deliveries", nil, maxSearch)
		if err != nil {
			return err
		}
		all, err := read[ops.Delivery](l)
		if err != nil {
			return err
		}
		var candidates []candidate
		for _, d := range all {
			candidates = append(candidates, candidate{id: d.ID, about: d.Channel + ": " + d.Message.Title})
		}
		if id, err = choose("delivery", typed, candidates); err != nil {
			return err
		}
	}
	var d ops.Delivery
	text, err := s.fetch(ctx, "/api/v1/deliveries/"+url.PathEscape(id), &d)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	s.page.line("%s", s.page.paint(bold, safe(d.Message.Title)))
	s.fields([][2]string{{"id", d.ID}, {"channel", d.Channel}, {"state", string(d.State)}, {"what", string(d.Message.Event)}, {"written", stamp(d.CreatedAt)},
		{"delivered", stamp(d.DeliveredAt)}, {"tries", fmt.Sprint(d.Attempts)}, {"next try", stamp(d.NextAt)}, {"error", d.Err}, {"incident", d.IncidentID}})
	s.page.line("")
	s.page.paragraph("  ", d.Message.Text)
	return nil
}
