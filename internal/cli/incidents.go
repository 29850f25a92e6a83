package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
)

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
	l, err := s.server.Listed(ctx, "/api/v1/incidents", q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.Incident](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no incidents%s", suchAs(q))
		return nil
	}
	show.Incidents(s.page, all)
	s.more(l)
	return nil
}

func (s *session) oneIncident(ctx context.Context, typed string) error {
	id, err := s.server.IncidentID(ctx, typed)
	if err != nil {
		return err
	}
	var i show.IncidentAnswer
	text, err := s.server.Fetch(ctx, "/api/v1/incidents/"+url.PathEscape(id), &i)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Incident(s.page, i)
	return nil
}
