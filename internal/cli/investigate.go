package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/evidence"
	"reeve/internal/ops"
)

// lookEvery is how often a followed investigation is asked for.
const lookEvery = 500 * time.Millisecond

func (s *session) investigateVerb() *cobra.Command {
	var reason string
	var watch bool
	c := &cobra.Command{
		Use: "investigate INCIDENT", Short: "Look into an incident: its runbook, then a model where one may; nothing is changed",
		Example: "  reeve investigate inc_06h04g7m --watch\n  reeve investigate nginx --reason 'third time this week' -o json",
		Args:    takes(1, 1, "the ID of an incident, or a finding or resource that has one"), ValidArgsFunction: completes(s.findingWords),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := s.incidentOf(c.Context(), args[0])
			if err != nil {
				return err
			}
			body := map[string]any{}
			if reason != "" {
				body["reason"] = reason
			}
			var begun struct {
				ID string `json:"investigation_id"`
			}
			text, err := s.call(c.Context(), http.MethodPost, "/api/v1/incidents/"+url.PathEscape(id)+"/investigate", body, &begun)
			if err != nil || s.json() && !watch {
				return s.documentOr(text, err)
			}
			if !watch {
				s.page.line("%s is queued; see it with `reeve investigations %s`", begun.ID, begun.ID)
				return nil
			}
			return s.followInvestigation(c.Context(), begun.ID)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; goes into the record")
	c.Flags().BoolVar(&watch, "watch", false, "stay until it ends, and show what it looks at")
	return c
}

// incidentOf answers the incident that a person means: its ID, or a finding or
// resource with an open one.
func (s *session) incidentOf(ctx context.Context, typed string) (string, error) {
	if strings.HasPrefix(typed, ops.IncidentID+"_") {
		return s.incidentID(ctx, typed)
	}
	id, err := s.findingID(ctx, typed)
	if err != nil {
		return "", err
	}
	var f ops.Finding
	if err := s.get(ctx, "/api/v1/findings/"+url.PathEscape(id), &f); err != nil {
		return "", err
	}
	if f.IncidentID == "" {
		return "", answered(ops.Errorf(ops.NotFound, "the finding %s belongs to no incident yet; try again in a moment", id))
	}
	return f.IncidentID, nil
}

// followInvestigation shows the looks of an investigation as they are made,
// then what it comes to.
func (s *session) followInvestigation(ctx context.Context, id string) error {
	shown := 0
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var i ops.Investigation
		text, err := s.fetch(ctx, "/api/v1/investigations/"+url.PathEscape(id), &i)
		if err != nil {
			return err
		}
		for steps := i.Detail.Steps; shown < len(steps) && !s.json(); shown++ {
			s.showLook(steps[shown], shown+1)
		}
		if ops.InvestigationFlow.Final(i.State) {
			return s.endOf(i, text)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// endOf prints what an investigation came to, and answers an error for one
// that came to nothing.
func (s *session) endOf(i ops.Investigation, text []byte) error {
	if s.json() {
		if err := s.page.document(text); err != nil {
			return err
		}
	} else {
		s.page.line("")
		s.showResult(i)
	}
	if i.State == ops.InvestigationFailed || i.State == ops.InvestigationTimedOut {
		return answered(ops.Errorf(ops.Unavailable, "investigation %s %s: %s", i.ID, i.State, first(safe(i.Err), "no reason given")))
	}
	return nil
}

func (s *session) investigationsVerb() *cobra.Command {
	var state, incident string
	var limit int
	c := &cobra.Command{
		Use: "investigations [ID]", Aliases: []string{"investigation"}, Short: "List investigations, or show one with its looks, causes and proofs",
		Example: "  reeve investigations\n  reeve investigations --state active\n  reeve investigations inv_06h04g7m2abc", Args: takes(0, 1, "the ID of an investigation"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneInvestigation(c.Context(), args[0])
			}
			q := url.Values{}
			set(q, "state", state)
			if incident != "" {
				id, err := s.incidentID(c.Context(), incident)
				if err != nil {
					return err
				}
				q.Set("incident", id)
			}
			return s.listInvestigations(c.Context(), q, limit)
		},
	}
	c.Flags().StringVar(&state, "state", "", "active (queued or running), explained, fix_proposed, needs_person, cannot_explain, timed_out, failed, superseded; several with commas")
	c.Flags().StringVar(&incident, "incident", "", "only of this incident")
	c.Flags().IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return c
}

func (s *session) listInvestigations(ctx context.Context, q url.Values, limit int) error {
	l, err := s.listed(ctx, "/api/v1/investigations", q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.value(l)
	}
	all, err := read[ops.Investigation](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.line("no investigations%s; `reeve investigate INCIDENT` asks for one", suchAs(q))
		return nil
	}
	short, now := shortened(each(all, func(x ops.Investigation) string { return x.ID })), time.Now()
	t := s.page.table("!ID", "!STATE", "!INCIDENT", "!BY", ">QUEUED AGO", "SUMMARY")
	for _, i := range all {
		t.add(of(short[i.ID]), of(string(i.State)), of(i.IncidentID), of(first(i.Model, "runbook")), of(age(now, i.QueuedAt)), of(first(i.Summary, i.Err)))
	}
	t.print()
	s.more(l)
	return nil
}

func (s *session) oneInvestigation(ctx context.Context, typed string) error {
	id := typed
	if ops.IDKind(typed) != ops.InvestigationID {
		var err error
		if id, err = s.byBeginning(ctx, "investigation", typed); err != nil {
			return err
		}
	}
	var i ops.Investigation
	text, err := s.fetch(ctx, "/api/v1/investigations/"+url.PathEscape(id), &i)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	s.showResult(i)
	s.page.heading("What it looked at")
	for n, step := range i.Detail.Steps {
		s.showLook(step, n+1)
	}
	return nil
}

func (s *session) showLook(step ops.InvestigationStep, n int) {
	s.page.line("%d. %s %s", n, s.page.paint(bold, safe(step.Name)), s.page.paint(faint, safe(string(step.Input))))
	if step.Why != "" {
		s.page.paragraph("   ", step.Why)
	}
	for shows := range strings.SplitSeq(step.Shows, "\n") {
		if shows != "" {
			s.page.paragraph("   - ", shows)
		}
	}
	if step.Err != "" {
		s.page.paragraph("   ! ", step.Err)
	}
}

// showResult prints what an investigation came to.
func (s *session) showResult(i ops.Investigation) {
	p := s.page
	p.line("%s %s", p.paint(bold, string(i.State)), safe(i.Summary))
	took := ""
	if !i.EndedAt.IsZero() {
		took = span(i.EndedAt.Sub(i.StartedAt))
	}
	s.fields([][2]string{{"id", i.ID}, {"incident", i.IncidentID}, {"asked by", fmt.Sprintf("%s (%s), attempt %d", i.Actor, i.Trigger, i.Attempt)},
		{"begins", stamp(i.NotBefore)}, {"started", stamp(i.StartedAt)}, {"took", took}, {"model", first(i.Model, "none: the runbook alone")},
		{"about the model", i.Detail.ModelNote}, {"tokens", spentText(i.Tokens)}, {"confidence", i.Confidence}, {"error", i.Err}})
	for n, h := range i.Detail.Hypotheses {
		p.heading(fmt.Sprintf("%d. %s (%s)", n+1, safe(h.Cause), h.Confidence))
		for _, c := range h.For {
			p.paragraph("  + ", evidence.Say(c))
		}
		for _, c := range h.Against {
			p.paragraph("  - ", evidence.Say(c))
		}
		for _, note := range h.Notes {
			p.paragraph("  ! ", note)
		}
	}
	if x := i.Detail.Proposal; x != nil {
		p.heading("Proposed, and carried out by nobody")
		p.paragraph("  ", fmt.Sprintf("%s %s: %s", x.Verb, x.Target, x.Reason))
	}
	s.showLines("What to look at next", i.Detail.Next)
	var struck []string
	for _, r := range i.Detail.Rejected {
		struck = append(struck, r.What+": "+r.Reason)
	}
	s.showLines("Claimed and struck", struck)
}

func (s *session) showLines(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s.page.heading(title)
	for _, l := range lines {
		s.page.paragraph("  - ", l)
	}
}

func spentText(t ops.Tokens) string {
	if t.Total() == 0 {
		return ""
	}
	return fmt.Sprintf("%d in, %d out", t.Input, t.Output)
}
