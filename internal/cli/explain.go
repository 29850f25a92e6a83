package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/glyph"
	"reeve/internal/ops"
)

// An explanation says why a condition is or is not a finding.
type explanation struct {
	Subject string       `json:"subject"`
	Finding *ops.Finding `json:"finding"`
	Verdict string       `json:"verdict"`
	Steps   []struct {
		Step   string `json:"step"`
		Answer string `json:"answer"`
		Why    string `json:"why"`
	} `json:"steps"`
}

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
			id, err := s.findingID(c.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showExplanation(c.Context(), "/api/v1/explain/"+url.PathEscape(id))
		},
	}
}

func (s *session) explainCondition(ctx context.Context, resource, condition string) error {
	id, err := s.resourceID(ctx, resource)
	if err != nil {
		return err
	}
	return s.showExplanation(ctx, "/api/v1/explain?"+url.Values{"resource": {id}, "condition": {condition}}.Encode())
}

func (s *session) showExplanation(ctx context.Context, path string) error {
	var x explanation
	text, err := s.fetch(ctx, path, &x)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	p := s.page
	p.line("%s", p.paint(bold, safe(x.Subject)))
	p.paragraph("", x.Verdict)
	p.line("")
	width := 0
	for _, step := range x.Steps {
		width = max(width, glyph.Columns(safe(step.Step)))
	}
	for _, step := range x.Steps {
		name, answer := safe(step.Step), safe(step.Answer)
		lead := p.paint(answerStyle(answer), answer) + strings.Repeat(" ", max(0, 7-glyph.Columns(answer))) + "  " + name + strings.Repeat(" ", width-glyph.Columns(name))
		for i, l := range glyph.Fold(safe(step.Why), p.width-width-13) {
			if i > 0 {
				lead = strings.Repeat(" ", width+9)
			}
			p.line("  %s  %s", lead, l)
		}
	}
	return nil
}

func answerStyle(answer string) style {
	switch answer {
	case "yes":
		return green
	case "unknown":
		return magenta
	}
	return yellow
}

func (s *session) explainIncident(ctx context.Context, typed string) error {
	id, err := s.incidentID(ctx, typed)
	if err != nil {
		return err
	}
	var i incidentAnswer
	if err := s.get(ctx, "/api/v1/incidents/"+url.PathEscape(id), &i); err != nil {
		return err
	}
	if s.json() {
		return s.page.value(i.Story)
	}
	s.page.line("%s", s.page.paint(bold, safe(i.Title)))
	s.showStory(i.Story)
	if len(i.Story.Told) > 0 {
		s.page.heading("Who was told")
		for _, l := range i.Story.Told {
			s.page.paragraph("  - ", l)
		}
	}
	return nil
}
