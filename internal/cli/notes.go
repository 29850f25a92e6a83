package cli

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func (s *session) notesVerb() *cobra.Command {
	var state, kind, resource, condition string
	var dismissals bool
	var limit int
	c := &cobra.Command{
		Use: "notes [ID]", Short: "What people know of resources and of the estate, and what models suggest",
		Example: "  reeve notes\n  reeve notes --state suggested\n  reeve notes --resource nginx --kind solution\n  reeve notes --dismissals", Args: takes(0, 1, "the ID of a note"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneNote(c.Context(), args[0])
			}
			q, path := url.Values{}, "/api/v1/notes"
			set(q, "condition", condition)
			if dismissals {
				path = "/api/v1/dismissals"
			} else {
				set(q, "state", state)
				set(q, "kind", kind)
			}
			switch resource {
			case "", "estate":
				set(q, "resource", resource)
			default:
				id, err := s.server.ResourceID(c.Context(), resource)
				if err != nil {
					return err
				}
				q.Set("resource", id)
			}
			return s.listNotes(c.Context(), path, q, limit)
		},
	}
	f := c.Flags()
	f.StringVar(&state, "state", "", "suggested, active, declined, removed; several with commas; default suggested and active")
	f.StringVar(&kind, "kind", "", "note, solution, dismissal; several with commas")
	f.StringVar(&resource, "resource", "", "only of this resource: its ID or name, or estate for notes about the whole")
	f.StringVar(&condition, "condition", "", "only of this problem; reeve detectors lists them")
	f.BoolVar(&dismissals, "dismissals", false, "instead: why people said that problems are none or are solved, as their decisions say")
	f.IntVar(&limit, "limit", 100, "how many at most; 0 for all")
	return c
}

func (s *session) listNotes(ctx context.Context, path string, q url.Values, limit int) error {
	l, err := s.server.Listed(ctx, path, q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.Note](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no notes%s; `reeve note add TEXT` writes one", suchAs(q))
		return nil
	}
	names, err := s.server.ResourceNames(ctx, each(all, func(n ops.Note) string { return n.ResourceID }))
	if err != nil {
		return err
	}
	show.Notes(s.page, all, names)
	s.more(l)
	return nil
}

func (s *session) oneNote(ctx context.Context, typed string) error {
	id, err := s.server.NoteID(ctx, typed)
	if err != nil {
		return err
	}
	var n ops.Note
	text, err := s.server.Fetch(ctx, "/api/v1/notes/"+url.PathEscape(id), &n)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	names, err := s.server.ResourceNames(ctx, []string{n.ResourceID})
	if err != nil {
		return err
	}
	show.Note(s.page, n, names)
	return nil
}

func (s *session) noteVerb() *cobra.Command {
	c := &cobra.Command{Use: "note", Short: "Write a note, or decide on one", Args: cobra.ArbitraryArgs, RunE: group,
		Example: "  reeve note add 'backups run at 02:00' --resource nas\n  reeve note accept nte_06h04g7m"}
	c.AddCommand(s.noteAddVerb(),
		s.noteMoveVerb("accept", "Let a note that a model suggested count"),
		s.noteMoveVerb("decline", "End a note that a model suggested"),
		s.noteMoveVerb("remove", "End a note"))
	return c
}

func (s *session) noteAddVerb() *cobra.Command {
	var resource, finding, kind, condition string
	c := &cobra.Command{
		Use: "add TEXT", Short: "Write a note on a resource or, without one, on the estate",
		Example: "  reeve note add 'the NAS sleeps at night' --resource nas\n  reeve note add 'rotate the nginx log' --kind solution --finding fnd_06h04g7kz2wm\n  reeve note add 'wanted so' --kind dismissal --resource / --condition fs_full",
		Args:    takes(1, 1, "the text; put it in quotes"),
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"text": args[0], "kind": kind}
			if resource != "" {
				id, err := s.server.ResourceID(c.Context(), resource)
				if err != nil {
					return err
				}
				body["resource_id"] = id
			}
			if finding != "" {
				id, err := s.server.FindingID(c.Context(), finding)
				if err != nil {
					return err
				}
				body["finding_id"] = id
			}
			if condition != "" {
				body["condition"] = condition
			}
			return s.sendNote(c.Context(), "/api/v1/notes", body)
		},
	}
	f := c.Flags()
	f.StringVar(&resource, "resource", "", "what it is about: the ID or name of a resource; without it the whole estate")
	f.StringVar(&finding, "finding", "", "the finding whose resource and condition it is about")
	f.StringVar(&kind, "kind", "note", "note: a fact; solution: what solved a problem; dismissal: why a problem is none")
	f.StringVar(&condition, "condition", "", "which problem; reeve detectors lists them")
	return c
}

func (s *session) noteMoveVerb(verb, short string) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: verb + " ID", Short: short, Example: "  reeve note " + verb + " nte_06h04g7m", Args: takes(1, 1, "the ID of a note"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := s.server.NoteID(c.Context(), args[0])
			if err != nil {
				return err
			}
			body := map[string]any{}
			if reason != "" {
				body["reason"] = reason
			}
			return s.sendNote(c.Context(), "/api/v1/notes/"+url.PathEscape(id)+"/"+verb, body)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; goes into the audit")
	return c
}

func (s *session) sendNote(ctx context.Context, path string, body map[string]any) error {
	var n ops.Note
	text, err := s.server.Call(ctx, http.MethodPost, path, body, &n)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	s.page.Line("%s is %s: %s", n.ID, n.State, term.Safe(strings.ReplaceAll(n.Text, "\n", " ")))
	return nil
}
