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
	Name: "read_resource", Doc: "State, relations and open findings of a resource.", Effect: tool.Reads, Profiles: everyone, Core: everyone,
}, readResource))

type resourceInput struct {
	Resource string `json:"resource" doc:"ID, name or NAME@HOST"`
}

func readResource(ctx context.Context, e Env, in resourceInput) (string, error) {
	r, err := e.find(ctx, in.Resource)
	if err != nil {
		return "", err
	}
	lines := []string{fmt.Sprintf("%s %s: %s, %s, observed %s, first seen %s", r.ID, place(r), r.Presence, r.Reachable, at(r.ObservedAt), at(r.FirstSeen))}
	if !e.WithheldFields["attributes"] && len(r.Observed) > 0 {
		lines = append(lines, "state: "+pairs(told(r.Observed)))
		if len(r.Desired) > 0 {
			lines = append(lines, "wanted: "+pairs(r.Desired))
		}
	}
	if !e.WithheldFields["labels"] && len(r.Labels) > 0 {
		lines = append(lines, "labels: "+pairs(r.Labels))
	}
	related, err := relations(ctx, e, r)
	if err != nil {
		return "", err
	}
	lines = append(lines, related...)
	findings, more, err := e.Store.Findings(ctx, store.FindingFilter{Active: true, Resource: r.ID, Limit: page})
	if err != nil {
		return "", err
	}
	for _, f := range findings {
		lines = append(lines, "finding "+said(f, "this"))
	}
	if more != nil {
		lines = append(lines, "more findings: list_findings")
	}
	if len(findings) == 0 {
		lines = append(lines, "no open finding")
	}
	return strings.Join(lines, "\n"), nil
}

// relations names the parents of a resource, up to the host, and its children.
func relations(ctx context.Context, e Env, r ops.Resource) ([]string, error) {
	var lines []string
	p := places{env: e}
	for id, n := r.ParentID, 0; id != "" && n < 4; n++ {
		up, ok, err := p.get(ctx, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		lines = append(lines, "in: "+up.ID+" "+place(up)+stateText(up))
		id = up.ParentID
	}
	children, next, err := e.Store.Resources(ctx, store.ResourceFilter{Parent: r.ID, Presence: []string{string(ops.Present), string(ops.Absent)}, Sort: "kind", Limit: 200})
	if err != nil {
		return nil, err
	}
	kinds, names := []ops.Kind{}, map[ops.Kind][]string{}
	for _, c := range children {
		if !e.shows(c) || c.Kind == ops.KindComponent && c.Observed.Is("state", "ok") {
			continue // parts of Reeve that do well say nothing about a machine
		}
		if !slices.Contains(kinds, c.Kind) {
			kinds = append(kinds, c.Kind)
		}
		names[c.Kind] = append(names[c.Kind], line(c.Name, 60)+stateText(c))
	}
	for _, k := range kinds {
		const most = 15
		all := names[k]
		text := fmt.Sprintf("has %d %s: %s", len(all), k, strings.Join(all[:min(len(all), most)], ", "))
		if len(all) > most || next != nil {
			text += " ... (find_resources lists all)"
		}
		lines = append(lines, text)
	}
	return lines, nil
}

func stateText(r ops.Resource) string {
	for _, name := range []string{"state", "active", "health"} {
		if v, ok := r.Observed.Text(name); ok && v != "" {
			return " (" + line(v, 40) + ")"
		}
	}
	return ""
}
