package cli

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
)

func (s *session) statusVerb() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "One screen: what is watched, what is wrong, how Reeve itself is doing",
		Example: "  reeve status\n  reeve status -o json | jq .counts", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var st show.StatusAnswer
			text, err := s.server.Fetch(c.Context(), "/api/v1/status", &st)
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.Document(text)
			}
			wrong, err := s.server.Listed(c.Context(), "/api/v1/findings", url.Values{"state": {"active"}}, show.StatusFindings+1)
			if err != nil {
				return err
			}
			findings, err := client.Read[ops.Finding](wrong)
			if err != nil {
				return err
			}
			names, err := s.server.ResourceNames(c.Context(), concerned(findings))
			if err != nil {
				return err
			}
			at, err := s.server.Connect()
			if err != nil {
				return err
			}
			show.Status(s.page, st, at.ServerName())
			show.Wrong(s.page, st, findings, names)
			show.Parts(s.page, st)
			return nil
		},
	}
}

func (s *session) hostsVerb() *cobra.Command {
	return &cobra.Command{
		Use: "hosts", Short: "List the hosts with their newest readings", Example: "  reeve hosts", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var l client.List
			text, err := s.server.Fetch(c.Context(), "/api/v1/hosts", &l)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			hosts, err := client.Read[show.HostRow](l)
			if err != nil {
				return err
			}
			show.Hosts(s.page, hosts, time.Now())
			return nil
		},
	}
}
