package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
	"reeve/internal/show"
)

func (s *session) explainVerb() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID | RESOURCE CONDITION", Short: "Say why something is or is not a finding, told to people, or suppressed",
		Long: `Says why a finding opened and who was told; or, for a resource and a condition,
why there is no finding: whether the detector looks at it, what it reads now, how
long that has lasted, whether it is suppressed, and which messages were written.
With the ID of an incident it tells the incident's story.`,
		Example: "  reeve explain fnd_06h04g7kz2wm\n  reeve explain / fs_full           # why is the root file system (not) full?\n  reeve explain container:web@nas container_restart_loop",
		Args:    takes(1, 2, "the ID of a finding, or a resource and a condition"),
		ValidArgsFunction: completes(func(c *cobra.Command) []string {
			return append(s.findingWords(c), s.resourceWords(c)...)
		}),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return s.explainCondition(c.Context(), args[0], args[1])
			}
			if strings.HasPrefix(args[0], ops.IncidentID+"_") {
				return s.explainIncident(c.Context(), args[0])
			}
			id, err := s.server.FindingID(c.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showExplanation(c.Context(), "/api/v1/explain/"+url.PathEscape(id))
		},
	}
}

func (s *session) explainCondition(ctx context.Context, resource, condition string) error {
	id, err := s.server.ResourceID(ctx, resource)
	if err != nil {
		return err
	}
	return s.showExplanation(ctx, "/api/v1/explain?"+url.Values{"resource": {id}, "condition": {condition}}.Encode())
}

func (s *session) showExplanation(ctx context.Context, path string) error {
	var x show.ExplanationAnswer
	text, err := s.server.Fetch(ctx, path, &x)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Explanation(s.page, x)
	return nil
}

func (s *session) explainIncident(ctx context.Context, typed string) error {
	id, err := s.server.IncidentID(ctx, typed)
	if err != nil {
		return err
	}
	var i show.IncidentAnswer
	if err := s.server.Get(ctx, "/api/v1/incidents/"+url.PathEscape(id), &i); err != nil {
		return err
	}
	if s.json() {
		return s.page.Value(i.Story)
	}
	show.IncidentStory(s.page, i)
	return nil
}
