package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/term"
)

// Investigations lists investigations.
func Investigations(p *term.Page, all []ops.Investigation) {
	short, now := term.Shortened(all, func(x ops.Investigation) string { return x.ID }), time.Now()
	t := p.Table("!ID", "!STATE", "!INCIDENT", "!BY", ">QUEUED AGO", "SUMMARY")
	for _, i := range all {
		t.Add(term.Of(short[i.ID]), term.Of(string(i.State)), term.Of(i.IncidentID), term.Of(cmp.Or(i.Model, "runbook")), term.Of(term.Age(now, i.QueuedAt)), term.Of(cmp.Or(i.Summary, i.Err)))
	}
	t.Print()
}

// Look prints the nth look of an investigation.
func Look(p *term.Page, step ops.InvestigationStep, n int) {
	p.Line("%d. %s %s", n, p.Paint(term.Bold, term.Safe(step.Name)), p.Paint(term.Faint, term.Safe(string(step.Input))))
	if step.Why != "" {
		p.Paragraph("   ", step.Why)
	}
	for shows := range strings.SplitSeq(step.Shows, "\n") {
		if shows != "" {
			p.Paragraph("   - ", shows)
		}
	}
	if step.Err != "" {
		p.Paragraph("   ! ", step.Err)
	}
}

// Investigation prints what an investigation came to.
func Investigation(p *term.Page, i ops.Investigation) {
	p.Line("%s %s", p.Paint(term.Bold, string(i.State)), term.Safe(i.Summary))
	took := ""
	if !i.EndedAt.IsZero() {
		took = term.Span(i.EndedAt.Sub(i.StartedAt))
	}
	p.Fields([][2]string{{"id", i.ID}, {"incident", i.IncidentID}, {"asked by", fmt.Sprintf("%s (%s), attempt %d", i.Actor, i.Trigger, i.Attempt)},
		{"begins", term.Stamp(i.NotBefore)}, {"started", term.Stamp(i.StartedAt)}, {"took", took}, {"model", cmp.Or(i.Model, "none: the runbook alone")},
		{"about the model", i.Detail.ModelNote}, {"tokens", spentText(i.Tokens)}, {"confidence", i.Confidence}, {"error", i.Err}})
	for n, h := range i.Detail.Hypotheses {
		p.Heading(fmt.Sprintf("%d. %s (%s)", n+1, term.Safe(h.Cause), h.Confidence))
		for _, c := range h.For {
			p.Paragraph("  + ", evidence.Say(c))
		}
		for _, c := range h.Against {
			p.Paragraph("  - ", evidence.Say(c))
		}
		for _, note := range h.Notes {
			p.Paragraph("  ! ", note)
		}
	}
	if x := i.Detail.Proposal; x != nil {
		p.Heading("Proposed, and carried out by nobody")
		p.Paragraph("  ", fmt.Sprintf("%s %s: %s", x.Verb, x.Target, x.Reason))
	}
	lines(p, "What to look at next", i.Detail.Next)
	var struck []string
	for _, r := range i.Detail.Rejected {
		struck = append(struck, r.What+": "+r.Reason)
	}
	lines(p, "Claimed and struck", struck)
}

func lines(p *term.Page, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	p.Heading(title)
	for _, l := range lines {
		p.Paragraph("  - ", l)
	}
}

func spentText(t ops.Tokens) string {
	if t.Total() == 0 {
		return ""
	}
	return fmt.Sprintf("%d in, %d out", t.Input, t.Output)
}
