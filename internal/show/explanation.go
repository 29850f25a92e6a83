package show

import (
	"strings"

	"reeve/internal/glyph"
	"reeve/internal/ops"
	"reeve/internal/term"
)

// An ExplanationAnswer says why a condition is or is not a finding.
type ExplanationAnswer struct {
	Subject string       `json:"subject"`
	Finding *ops.Finding `json:"finding"`
	Verdict string       `json:"verdict"`
	Steps   []struct {
		Step   string `json:"step"`
		Answer string `json:"answer"`
		Why    string `json:"why"`
	} `json:"steps"`
}

// Explanation prints why a condition is or is not a finding, step by step.
func Explanation(p *term.Page, x ExplanationAnswer) {
	p.Line("%s", p.Paint(term.Bold, term.Safe(x.Subject)))
	p.Paragraph("", x.Verdict)
	p.Line("")
	width := 0
	for _, step := range x.Steps {
		width = max(width, glyph.Columns(term.Safe(step.Step)))
	}
	for _, step := range x.Steps {
		name, answer := term.Safe(step.Step), term.Safe(step.Answer)
		lead := p.Paint(answerStyle(answer), answer) + strings.Repeat(" ", max(0, 7-glyph.Columns(answer))) + "  " + name + strings.Repeat(" ", width-glyph.Columns(name))
		for i, l := range p.Fold(step.Why, width+13) {
			if i > 0 {
				lead = strings.Repeat(" ", width+9)
			}
			p.Line("  %s  %s", lead, l)
		}
	}
}

func answerStyle(answer string) term.Style {
	switch answer {
	case "yes":
		return term.Green
	case "unknown":
		return term.Magenta
	}
	return term.Yellow
}
