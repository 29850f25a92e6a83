package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
	"reeve/internal/show"
)

func (s *session) patrolShowVerb() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show one patrol in full: what it found and why, and what it took", Args: takes(1, 1, "the ID of a patrol"),
		Example: "  reeve patrol show run_06h04g7m2abc\n  reeve patrol show run_06h04g7m2abc -o json | jq .detail.items",
		RunE:    func(c *cobra.Command, args []string) error { return s.oneRun(c.Context(), args[0]) },
	}
}

func (s *session) oneRun(ctx context.Context, id string) error {
	var r ops.Run
	text, err := s.server.Fetch(ctx, "/api/v1/runs/"+url.PathEscape(id), &r)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Run(s.page, r)
	return nil
}

func (s *session) patrolStatusVerb() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "How patrols are doing: what goes on, what waits, the last, the next", Example: "  reeve patrol status", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var a show.PatrolAnswer
			text, err := s.server.Fetch(c.Context(), "/api/v1/patrol", &a)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.Patrols(s.page, a)
			return nil
		},
	}
}
