package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "read_incident", Doc: "One incident with its findings and time-line.", Effect: tool.Reads, Profiles: everyone, Core: []tool.Profile{tool.Investigation},
}, readIncident))

type incidentInput struct {
	Incident string `json:"incident"`
}

func readIncident(ctx context.Context, e Env, in incidentInput) (string, error) {
	i, err := e.Store.Incident(ctx, in.Incident)
	if err != nil {
		return "", err
	}
	lines := []string{fmt.Sprintf("%s %s %s, opened %s, %d findings, %d active: %s", i.ID, i.State, i.Severity, at(i.OpenedAt), i.MemberCount, i.ActiveCount, line(i.Title, 200))}
	p := places{env: e}
	for _, m := range i.Members[:min(len(i.Members), largest/2)] {
		f, err := e.Store.Finding(ctx, m.FindingID)
		if err != nil {
			return "", err
		}
		r, ok, err := p.get(ctx, f.ResourceID)
		if err != nil {
			return "", err
		}
		if !ok {
			lines = append(lines, "a finding of a resource that is withheld or gone")
			continue
		}
		root := ""
		if f.ID == i.RootID {
			root = "root: "
		}
		lines = append(lines, root+said(f, r.ID+" "+place(r))+" ["+line(m.Reason, 160)+"]")
	}
	moves, err := e.Store.Transitions(ctx, store.TransitionFilter{Object: "incident", ObjectID: i.ID, Newest: true, Limit: page})
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
