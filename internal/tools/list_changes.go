package tools

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "list_changes", Doc: "What changed: of a resource, all of a host, or everything.", Effect: tool.Reads, Profiles: everyone, Core: []tool.Profile{tool.Investigation},
}, listChanges))

type changesInput struct {
	Resource string `json:"resource,omitempty"`
	Minutes  int64  `json:"minutes,omitempty" doc:"default 1440"`
	Limit    int64  `json:"limit,omitempty"`
}

func listChanges(ctx context.Context, e Env, in changesInput) (string, error) {
	from, err := e.since(in.Minutes, 24*60)
	if err != nil {
		return "", err
	}
	about := func(ops.Resource) bool { return true }
	if in.Resource != "" {
		r, err := e.find(ctx, in.Resource)
		if err != nil {
			return "", err
		}
		about = func(x ops.Resource) bool {
			return x.ID == r.ID || x.ParentID == r.ID || r.Kind == ops.KindHost && x.HostID == r.ID || r.ParentID == x.ID && x.ID != ""
		}
	}
	first, err := e.Store.SeqAt(ctx, from)
	if err != nil {
		return "", err
	}
	p := places{env: e}
	var lines []string
	f := store.TransitionFilter{Object: "resource", After: first, Newest: true, Limit: 1000}
	for range 10 { // 10,000 changes are looked through
		changes, err := e.Store.Transitions(ctx, f)
		if err != nil {
			return "", err
		}
		for _, c := range changes {
			r, ok, err := p.get(ctx, c.ObjectID)
			if err != nil {
				return "", err
			}
			if !ok || !about(r) || c.At.Before(from) {
				continue
			}
			if len(lines) == rows(in.Limit) {
				lines = append(lines, "[older ones are left out; ask with a higher limit]")
				return list(lines, "change", nil), nil
			}
			lines = append(lines, r.ID+" "+place(r)+" "+e.change(c))
		}
		if len(changes) < f.Limit {
			return list(lines, "change since "+at(from), nil), nil
		}
		f.Before = changes[len(changes)-1].Seq
	}
	return list(append(lines, "[there were too many changes to look through all]"), "change", nil), nil
}

// change writes a change without what is withheld.
func (e Env) change(c ops.Transition) string {
	if e.WithheldFields["attributes"] || e.WithheldFields["labels"] {
		c.Facts = nil
	}
	return moved(c)
}
