package cli

import (
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/show"
)

func (s *session) serversVerb() *cobra.Command {
	return &cobra.Command{Use: "servers", Short: "List the servers on this database: which is on duty, which is away, and the mass brake",
		Example: "  reeve servers\n  reeve servers -o json", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var f show.Fleet
			text, err := s.server.Fetch(c.Context(), "/api/v1/fleet", &f)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.Servers(s.page, f, time.Now())
			return nil
		}}
}
