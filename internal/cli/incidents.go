package cli

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
)

// An incidentAnswer is one incident with what a person needs to judge it.
type incidentAnswer struct {
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

func (s *session) incidentsVerb() *cobra.Command {
	var state string
	var limit int
	c := &cobra.Command{
		Use: "incidents [ID]", Aliases: []string{"incident"}, Short: "List incidents, or show one with members, story and time-line",
		Example: "  reeve incidents\n  reeve incidents --state all\n  reeve incidents inc_06h04g7m2abc", Args: takes(0, 1, "the ID of an incident"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneIncident(c.Context(), args[0])
			}
			q := url.Values{}
			if state != "all" {
				set(q, "state", state)
			}
			return s.listIncidents(c.Context(), q, limit)
		},
	}
	c.Flags().StringVar(&state, "state", "active", "active (not closed), open, acknowledged, mitigated, closed or all; several with commas")
	c.Flags().IntVar(&limit, "limit", 200, "how many at most; 0 for all")
	return c
}

func (s *session) listIncidents(ctx context.Context, q url.Values, limit int) error {
	l, err := s.listed(ctx, "/api/v1/incidents", q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.value(l)
	}
	all, err := read[ops.Incident](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.line("no incidents%s", suchAs(q))
		return nil
	}
	short, now := shortened(each(all, func(x ops.Incident) string { return x.ID })), time.Now()
	t := s.page.table("!ID", "!SEVERITY", "!STATE", "TITLE", ">ACTIVE", ">MEMBERS", ">OPENED AGO", "OWNER")
	for _, i := range all {
		t.add(of(short[i.ID]), cell{string(i.Severity), severityStyle(i.Severity)}, of(string(i.State)), of(i.Title),
			of(fmt.Sprint(i.ActiveCount)), of(fmt.Sprint(i.MemberCount)), of(age(now, i.OpenedAt)), of(first(i.Owner, i.AckedBy)))
	}
	t.print()
	s.more(l)
	return nil
}

func (s *session) oneIncident(ctx context.Context, typed string) error {
	id, err := s.incidentID(ctx, typed)
	if err != nil {
		return err
	}
	var i incidentAnswer
	text, err := s.fetch(ctx, "/api/v1/incidents/"+url.PathEscape(id), &i)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	now, p := time.Now(), s.page
	p.line("%s %s", p.paint(severityStyle(i.Severity), string(i.Severity)), p.paint(bold, safe(i.Title)))
	s.fields([][2]string{{"id", i.ID}, {"state", string(i.State)}, {"opened", stamp(i.OpenedAt) + ", " + age(now, i.OpenedAt) + " ago"},
		{"looked after by", i.AckedBy}, {"owner", i.Owner}, {"mitigated", stamp(i.MitigatedAt)}, {"closed", stamp(i.ClosedAt)}, {"merged into", i.MergedInto}})
	s.showStory(i.Story)
	s.showMembers(i)
	s.showTransitions("Time-line", i.Transitions)
	s.showDeliveries(i.Deliveries)
	return nil
}

func (s *session) showStory(x story) {
	if x.What != "" {
		s.page.heading("What")
		s.page.paragraph("  ", x.What)
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Why they belong together", x.Why}, {"Likely causes", x.Causes}, {"What to check", x.Checks}} {
		if len(part.lines) == 0 {
			continue
		}
		s.page.heading(part.title)
		for _, l := range part.lines {
			s.page.paragraph("  - ", l)
		}
	}
}

func (s *session) showMembers(i incidentAnswer) {
	s.page.heading("Members")
	findings := map[string]ops.Finding{}
	for _, f := range i.Findings {
		findings[f.ID] = f
	}
	t := s.page.table("!ID", "!SEVERITY", "!STATE", "RESOURCE", "SUMMARY", "REASON")
	for _, m := range i.Members {
		f := findings[m.FindingID]
		reason := m.Reason
		if m.FindingID == i.RootID {
			reason = first(reason, "the root")
		}
		t.add(of(m.FindingID), cell{string(f.Severity), severityStyle(f.Severity)}, of(string(f.State)), of(nameOf(f.ResourceID, i.Resources[f.ResourceID])), of(f.Summary), of(reason))
	}
	t.print()
}
