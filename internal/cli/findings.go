package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func (s *session) findingsVerb() *cobra.Command {
	var state, severity, condition, resource, text string
	var limit int
	c := &cobra.Command{
		Use: "findings [ID]", Aliases: []string{"finding"}, Short: "List what is wrong, or show one finding with its evidence",
		Example: "  reeve findings\n  reeve findings --severity critical --state all\n  reeve findings fnd_06h04g7kz2wm\n  reeve findings nginx              # the open finding of the resource nginx",
		Args:    takes(0, 1, "the ID of a finding or the name of a resource"), ValidArgsFunction: completes(s.findingWords),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneFinding(c.Context(), args[0])
			}
			q := url.Values{}
			set(q, "severity", severity)
			set(q, "condition", condition)
			set(q, "q", text)
			if state != "all" {
				set(q, "state", state)
			}
			if resource != "" {
				id, err := s.server.ResourceID(c.Context(), resource)
				if err != nil {
					return err
				}
				q.Set("resource", id)
			}
			return s.listFindings(c.Context(), q, limit)
		},
	}
	f := c.Flags()
	f.StringVar(&state, "state", "active", "active (open or acknowledged), open, acknowledged, resolved, closed or all; several with commas")
	f.StringVar(&severity, "severity", "", "warning or critical")
	f.StringVar(&condition, "condition", "", "only this condition; reeve detectors lists them")
	f.StringVar(&resource, "resource", "", "only of this resource: its ID or name")
	f.StringVar(&text, "text", "", "only with this text in the summary")
	f.IntVar(&limit, "limit", 200, "how many at most; 0 for all")
	return c
}

func (s *session) listFindings(ctx context.Context, q url.Values, limit int) error {
	l, err := s.server.Listed(ctx, "/api/v1/findings", q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.Finding](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no findings%s", suchAs(q))
		return nil
	}
	names, err := s.server.ResourceNames(ctx, concerned(all))
	if err != nil {
		return err
	}
	show.Findings(s.page, all, names, time.Now())
	s.more(l)
	return nil
}

// suchAs says by which filters a list is empty.
func suchAs(q url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		parts = append(parts, name+" "+term.Safe(strings.Join(q[name], ",")))
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + strings.Join(parts, ", ")
}

// more says when a list goes on.
func (s *session) more(l client.List) {
	if l.Next != "" {
		s.page.Line("%s", s.page.Paint(term.Faint, fmt.Sprintf("there are more than these %d; --limit 0 lists all", len(l.Items))))
	}
}

// concerned answers the IDs of the resources of findings.
func concerned(all []ops.Finding) []string {
	return each(all, func(f ops.Finding) string { return f.ResourceID })
}

// each answers what f answers of each.
func each[T any](all []T, f func(T) string) []string {
	texts := make([]string, len(all))
	for i, x := range all {
		texts[i] = f(x)
	}
	return texts
}

func (s *session) oneFinding(ctx context.Context, typed string) error {
	id, err := s.server.FindingID(ctx, typed)
	if err != nil {
		return err
	}
	var f show.FindingAnswer
	text, err := s.server.Fetch(ctx, "/api/v1/findings/"+url.PathEscape(id), &f)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Finding(s.page, f)
	return nil
}

// documentOr prints an answer as it came, unless asking failed.
func (s *session) documentOr(text []byte, err error) error {
	if err != nil {
		return err
	}
	return s.page.Document(text)
}
