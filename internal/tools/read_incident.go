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
	p := places{env: e}
	var members []string
	title, shown := "", 0
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
			members = append(members, "a finding of a resource that is withheld or gone")
			continue
		}
		shown++
		root := ""
		if f.ID == i.RootID {
			root, title = "root: ", ": "+line(i.Title, 200)
		}
		members = append(members, root+said(f, r.ID+" "+place(r))+" ["+line(m.Reason, 160)+"]")
	}
	if shown == 0 {
		return "", ops.Errorf(ops.NotFound, "there is no incident %s", line(in.Incident, 60))
	}
	lines := append([]string{fmt.Sprintf("%s %s %s, opened %s, %d findings, %d active%s", i.ID, i.State, i.Severity, at(i.OpenedAt), i.MemberCount, i.ActiveCount, title)}, members...)
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
