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
	var members []member
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
			members = append(members, member{text: "a finding of a resource that is withheld or gone"})
			continue
		}
		shown++
		root := ""
		if f.ID == i.RootID {
			root, title = "root: ", ": "+line(i.Title, 200)
		}
		members = append(members, member{root + said(f, r.ID+" "+place(r)), " [" + line(m.Reason, 160) + "]"})
	}
	// Reasons name the other members: they are told when all of those are.
	whole := shown == len(i.Members)
	if shown == 0 {
		return "", ops.Errorf(ops.NotFound, "there is no incident %s", line(in.Incident, 60))
	}
	lines := []string{fmt.Sprintf("%s %s %s, opened %s, %d findings, %d active%s", i.ID, i.State, i.Severity, at(i.OpenedAt), i.MemberCount, i.ActiveCount, title)}
	for _, m := range members {
		if whole {
			m.text += m.why
		}
		lines = append(lines, m.text)
	}
	moves, err := e.Store.Transitions(ctx, store.TransitionFilter{Object: "incident", ObjectID: i.ID, Newest: true, Limit: page})
	if err != nil {
		return "", err
	}
	slices.Reverse(moves)
	for _, m := range moves {
		m.Facts = nil
		if !whole {
			m.Reason = ""
		}
		lines = append(lines, moved(m))
	}
	return strings.Join(lines, "\n"), nil
}

// A member is a finding of an incident in a line, and why it is in it.
type member struct{ text, why string }
