package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "read_finding", Doc: "One finding: evidence, history, what it means.", Effect: tool.Reads, Profiles: everyone, Core: nobody,
}, readFinding))

type findingInput struct {
	Finding string `json:"finding"`
}

func readFinding(ctx context.Context, e Env, in findingInput) (string, error) {
	f, err := e.Store.Finding(ctx, in.Finding)
	if err != nil {
		return "", err
	}
	p := places{env: e}
	r, ok, err := p.get(ctx, f.ResourceID)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", ops.Errorf(ops.NotFound, "there is no finding %s", line(in.Finding, 60))
	}
	lines := []string{said(f, r.ID+" "+place(r)), "last seen " + at(f.LastSeen) + fmt.Sprintf(", raised %d times, origin %s", f.Count, f.Origin)}
	if len(f.Facts) > 0 {
		lines = append(lines, "facts: "+pairs(f.Facts))
	}
	if f.IncidentID != "" {
		lines = append(lines, "incident "+f.IncidentID)
	}
	if f.Suppression.Active(e.Now(), f.Severity) {
		lines = append(lines, fmt.Sprintf("suppressed (%s) until %s: %s", f.Suppression.Kind, at(f.Suppression.Until), line(f.Suppression.Reason, 160)))
	}
	for _, d := range e.Definitions {
		if d.Name == f.Condition {
			lines = append(lines, d.Title+": "+d.Doc, "usual causes: "+strings.Join(d.Causes, " "))
		}
	}
	proof, err := e.Store.Evidence(ctx, f.ID)
	if err != nil {
		return "", err
	}
	for _, x := range proof[max(0, len(proof)-5):] {
		lines = append(lines, shown(x)...)
	}
	moves, err := e.Store.Transitions(ctx, store.TransitionFilter{Object: "finding", ObjectID: f.ID, Newest: true, Limit: page})
	if err != nil {
		return "", err
	}
	slices.Reverse(moves)
	for _, m := range moves {
		m.Facts = nil
		lines = append(lines, moved(m))
	}
	return strings.Join(lines, "\n"), nil
}

// shown writes one piece of evidence.
func shown(x ops.Evidence) []string {
	lines := []string{fmt.Sprintf("evidence taken %s: %s", at(x.TakenAt), line(x.What, 200))}
	for _, s := range x.Series[:min(len(x.Series), 4)] {
		if p, ok := s.Last(); ok {
			lines = append(lines, fmt.Sprintf("  %s %s at %s", called(s), number(p.Value), at(p.At)))
		}
	}
	for _, q := range x.Quotes[:min(len(x.Quotes), 5)] {
		lines = append(lines, "  > "+line(q, 300))
	}
	return lines
}
