package tools

import (
	"context"
	"fmt"

	"reeve/internal/knowledge"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "previous_incidents", Doc: "Earlier times of a condition: how long, what ended it, what solved it.", Effect: tool.Reads, Profiles: everyone, Core: []tool.Profile{tool.Investigation},
}, previousIncidents))

type previousInput struct {
	Condition string `json:"condition"`
	Resource  string `json:"resource,omitempty"`
}

func previousIncidents(ctx context.Context, e Env, in previousInput) (string, error) {
	if in.Resource == "" {
		return elsewhere(ctx, e, in.Condition)
	}
	r, err := e.find(ctx, in.Resource)
	if err != nil {
		return "", err
	}
	past, err := knowledge.New(e.Store, func(string) bool { return true }).Before(ctx, in.Condition, r.ID)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, t := range past.Times {
		text := fmt.Sprintf("%s episode %d: %s to %s (%s), ended by %s", t.FindingID, t.Episode, at(t.Began), at(t.Ended), t.Ended.Sub(t.Began).Round(1e9), t.By)
		for _, c := range t.Changes {
			text += "; changed before: " + line(c, 160)
		}
		for _, s := range t.Said {
			if !e.WithheldFields["notes"] {
				text += "; said: " + line(s, 200)
			}
		}
		lines = append(lines, text)
	}
	if past.More {
		lines = append(lines, "[older ones left out]")
	}
	for _, n := range past.Solutions {
		about, ok := ops.Resource{}, n.ResourceID == ""
		if !ok {
			p := places{env: e}
			if about, ok, err = p.get(ctx, n.ResourceID); err != nil {
				return "", err
			}
		}
		if ok && !e.WithheldFields["notes"] {
			lines = append(lines, "solution by "+line(n.Author, 60)+" "+line(about.Name, 60)+": "+line(n.Text, 400))
		}
	}
	return list(lines, "earlier time of "+line(in.Condition, 60)+" on "+place(r), nil), nil
}

// elsewhere answers the last findings of a condition that ended, whatever they
// were about.
func elsewhere(ctx context.Context, e Env, condition string) (string, error) {
	ended := []string{string(ops.FindingResolved), string(ops.FindingClosed)}
	found, next, err := e.Store.Findings(ctx, store.FindingFilter{Condition: condition, States: ended, Limit: page})
	if err != nil {
		return "", err
	}
	p := places{env: e}
	var lines []string
	for _, f := range found {
		r, ok, err := p.get(ctx, f.ResourceID)
		if err != nil {
			return "", err
		}
		if ok {
			lines = append(lines, said(f, r.ID+" "+place(r)))
		}
	}
	if next != nil {
		lines = append(lines, "[older ones left out; give a resource]")
	}
	return list(lines, "earlier time of "+line(condition, 60), nil), nil
}
