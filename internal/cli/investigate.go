package cli

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
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
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/incidents/"+url.PathEscape(id)+"/investigate", body, &begun)
			if err != nil || s.json() && !watch {
				return s.documentOr(text, err)
			}
			if !watch {
				s.page.Line("%s is queued; see it with `reeve investigations %s`", begun.ID, begun.ID)
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
		return s.server.IncidentID(ctx, typed)
	}
	id, err := s.server.FindingID(ctx, typed)
	if err != nil {
		return "", err
	}
	var f ops.Finding
	if err := s.server.Get(ctx, "/api/v1/findings/"+url.PathEscape(id), &f); err != nil {
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
		text, err := s.server.Fetch(ctx, "/api/v1/investigations/"+url.PathEscape(id), &i)
		if err != nil {
			return err
		}
		for steps := i.Detail.Steps; shown < len(steps) && !s.json(); shown++ {
			show.Look(s.page, steps[shown], shown+1)
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
		if err := s.page.Document(text); err != nil {
			return err
		}
	} else {
		s.page.Line("")
		show.Investigation(s.page, i)
	}
	if i.State == ops.InvestigationFailed || i.State == ops.InvestigationTimedOut {
		return answered(ops.Errorf(ops.Unavailable, "investigation %s %s: %s", i.ID, i.State, cmp.Or(term.Safe(i.Err), "no reason given")))
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
				id, err := s.server.IncidentID(c.Context(), incident)
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
	l, err := s.server.Listed(ctx, "/api/v1/investigations", q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.Investigation](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no investigations%s; `reeve investigate INCIDENT` asks for one", suchAs(q))
		return nil
	}
	show.Investigations(s.page, all)
	s.more(l)
	return nil
}

func (s *session) oneInvestigation(ctx context.Context, typed string) error {
	id, err := s.server.InvestigationID(ctx, typed)
	if err != nil {
		return err
	}
	var i ops.Investigation
	text, err := s.server.Fetch(ctx, "/api/v1/investigations/"+url.PathEscape(id), &i)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Investigation(s.page, i)
	s.page.Heading("What it looked at")
	for n, step := range i.Detail.Steps {
		show.Look(s.page, step, n+1)
	}
	return nil
}
