package show

import (
	"cmp"
	"fmt"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// An IncidentAnswer is one incident with what a person needs to judge it.
type IncidentAnswer struct {
	ops.Incident
	Findings    []ops.Finding           `json:"findings"`
	Resources   map[string]ops.Resource `json:"resources"`
	Transitions []ops.Transition        `json:"transitions"`
	Deliveries  []ops.Delivery          `json:"deliveries"`
	Story       story                   `json:"explain"`
}

// A story tells an incident.
type story struct {
	What   string    `json:"what"`
	Since  time.Time `json:"since"`
	Why    []string  `json:"why"`
	Causes []string  `json:"causes"`
	Checks []string  `json:"checks"`
	Told   []string  `json:"told"`
}

// Incidents lists incidents.
func Incidents(p *term.Page, all []ops.Incident) {
	short, now := term.Shortened(all, func(x ops.Incident) string { return x.ID }), time.Now()
	t := p.Table("!ID", "!SEVERITY", "!STATE", "TITLE", ">ACTIVE", ">MEMBERS", ">OPENED AGO", "OWNER")
	for _, i := range all {
		t.Add(term.Of(short[i.ID]), term.Painted(string(i.Severity), term.SeverityStyle(i.Severity)), term.Of(string(i.State)), term.Of(i.Title),
			term.Of(fmt.Sprint(i.ActiveCount)), term.Of(fmt.Sprint(i.MemberCount)), term.Of(term.Age(now, i.OpenedAt)), term.Of(cmp.Or(i.Owner, i.AckedBy)))
	}
	t.Print()
}

// Incident prints one incident with its story, members and time-line.
func Incident(p *term.Page, i IncidentAnswer) {
	now := time.Now()
	p.Line("%s %s", p.Paint(term.SeverityStyle(i.Severity), string(i.Severity)), p.Paint(term.Bold, term.Safe(i.Title)))
	p.Fields([][2]string{{"id", i.ID}, {"state", string(i.State)}, {"opened", term.Stamp(i.OpenedAt) + ", " + term.Age(now, i.OpenedAt) + " ago"},
		{"looked after by", i.AckedBy}, {"owner", i.Owner}, {"mitigated", term.Stamp(i.MitigatedAt)}, {"closed", term.Stamp(i.ClosedAt)}, {"merged into", i.MergedInto}})
	tell(p, i.Story)
	members(p, i)
	timeline(p, "Time-line", i.Transitions)
	told(p, i.Deliveries)
}

// IncidentStory prints the story of an incident, and who was told.
func IncidentStory(p *term.Page, i IncidentAnswer) {
	p.Line("%s", p.Paint(term.Bold, term.Safe(i.Title)))
	tell(p, i.Story)
	if len(i.Story.Told) > 0 {
		p.Heading("Who was told")
		for _, l := range i.Story.Told {
			p.Paragraph("  - ", l)
		}
	}
}

func tell(p *term.Page, x story) {
	if x.What != "" {
		p.Heading("What")
		p.Paragraph("  ", x.What)
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Why they belong together", x.Why}, {"Likely causes", x.Causes}, {"What to check", x.Checks}} {
		if len(part.lines) == 0 {
			continue
		}
		p.Heading(part.title)
		for _, l := range part.lines {
			p.Paragraph("  - ", l)
		}
	}
}

func members(p *term.Page, i IncidentAnswer) {
	p.Heading("Members")
	findings := map[string]ops.Finding{}
	for _, f := range i.Findings {
		findings[f.ID] = f
	}
	t := p.Table("!ID", "!SEVERITY", "!STATE", "RESOURCE", "SUMMARY", "REASON")
	for _, m := range i.Members {
		f := findings[m.FindingID]
		reason := m.Reason
		if m.FindingID == i.RootID {
			reason = cmp.Or(reason, "the root")
		}
		t.Add(term.Of(m.FindingID), term.Painted(string(f.Severity), term.SeverityStyle(f.Severity)), term.Of(string(f.State)), term.Of(nameOf(f.ResourceID, i.Resources[f.ResourceID])), term.Of(f.Summary), term.Of(reason))
	}
	t.Print()
}
