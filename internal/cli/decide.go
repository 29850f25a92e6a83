package cli

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func (s *session) ackVerb() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "ack ID", Short: "Acknowledge a finding or an incident: you look after it, reminders stop",
		Example: "  reeve ack fnd_06h04g7kz2wm --reason 'disk ordered'\n  reeve ack inc_06h04g7m\n  reeve ack nginx", Args: takes(1, 1, "the ID of a finding or an incident"),
		ValidArgsFunction: completes(s.findingWords),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], ops.IncidentID+"_") {
				return s.ackIncident(c.Context(), args[0], reason)
			}
			return s.decide(c.Context(), args[0], "ack", map[string]any{"reason": reason})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	return c
}

func (s *session) ackIncident(ctx context.Context, typed, reason string) error {
	id, err := s.server.IncidentID(ctx, typed)
	if err != nil {
		return err
	}
	var i ops.Incident
	text, err := s.server.Call(ctx, http.MethodPost, "/api/v1/incidents/"+url.PathEscape(id)+"/ack", map[string]any{"reason": reason}, &i)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	s.page.Line("%s is %s by %s: %s", i.ID, i.State, term.Safe(i.AckedBy), term.Safe(i.Title))
	return nil
}

// decide posts what a person decided about a finding and says what it is now.
func (s *session) decide(ctx context.Context, typed, verb string, body map[string]any) error {
	id, err := s.server.FindingID(ctx, typed)
	if err != nil {
		return err
	}
	if body["reason"] == "" {
		delete(body, "reason")
	}
	var f ops.Finding
	text, err := s.server.Call(ctx, http.MethodPost, "/api/v1/findings/"+url.PathEscape(id)+"/"+verb, body, &f)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	s.page.Line("%s is %s: %s", f.ID, show.FindingState(f, time.Now()), term.Safe(f.Summary))
	if f.Claim != "" {
		s.page.Line("  claimed solved: %s", term.Safe(f.Claim))
	}
	return nil
}

func (s *session) suppressVerb() *cobra.Command {
	var reason, until, kind string
	c := &cobra.Command{
		Use: "suppress ID", Short: "Tell nobody of a finding for a while; it is evaluated as before",
		Example: "  reeve suppress fnd_06h04g7kz2wm --until 2h --reason 'backup runs'\n  reeve suppress nginx --kind accepted --reason 'known, replaced in May'",
		Args:    takes(1, 1, "the ID of a finding"), ValidArgsFunction: completes(s.findingWords),
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"kind": kind, "reason": reason}
			if reason == "" {
				return usageError{"say with --reason why nobody needs to be told", c.CommandPath()}
			}
			if until != "" {
				at, err := parseUntil(until, time.Now())
				if err != nil {
					return err
				}
				body["until"] = at.UTC()
			} else if kind != string(ops.SuppressAccepted) {
				return usageError{"say with --until when it ends (2h, 3d, 2026-01-31T08:30:00Z), or suppress it for good with --kind accepted", c.CommandPath()}
			}
			return s.decide(c.Context(), args[0], "suppress", body)
		},
	}
	f := c.Flags()
	f.StringVar(&reason, "reason", "", "why nobody needs to be told; needed")
	f.StringVar(&until, "until", "", "when it ends: a span like 2h or a time like 2026-01-31T08:30:00Z")
	f.StringVar(&kind, "kind", string(ops.SuppressSnooze), "snooze, maintenance, or accepted: known and wanted so")
	return c
}

// reasoned makes a verb that takes a finding and a reason.
func (s *session) reasoned(use, short, example string) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: use + " ID", Short: short, Example: example, Args: takes(1, 1, "the ID of a finding"), ValidArgsFunction: completes(s.findingWords),
		RunE: func(c *cobra.Command, args []string) error {
			return s.decide(c.Context(), args[0], use, map[string]any{"reason": reason})
		}}
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	return c
}

func (s *session) unsuppressVerb() *cobra.Command {
	return s.reasoned("unsuppress", "End the suppression of a finding", "  reeve unsuppress fnd_06h04g7kz2wm")
}

func (s *session) resolveVerb() *cobra.Command {
	return s.reasoned("resolve", "Claim that a finding is solved; it stays open while its condition holds",
		"  reeve resolve fnd_06h04g7kz2wm --reason 'logs removed'")
}
