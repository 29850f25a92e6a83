package tools

import (
	"context"
	"fmt"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "find_resources", Doc: "Searches resources by part of the name, kind, host, state.", Effect: tool.Reads, Profiles: everyone, Core: []tool.Profile{tool.Assistant},
}, findResources))

type findInput struct {
	Text   string `json:"text,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Host   string `json:"host,omitempty"`
	State  string `json:"state,omitempty" doc:"running, degraded, absent ..."`
	Limit  int64  `json:"limit,omitempty"`
	Cursor string `json:"cursor,omitempty"`
}

func findResources(ctx context.Context, e Env, in findInput) (string, error) {
	f := store.ResourceFilter{Text: in.Text, Host: in.Host, Limit: rows(in.Limit), Presence: []string{string(ops.Present), string(ops.Absent)}}
	var err error
	if f.After, err = after(in.Cursor); err != nil {
		return "", err
	}
	if in.Kind != "" {
		if !ops.ValidKind(ops.Kind(in.Kind)) {
			return "", ops.Errorf(ops.Invalid, "%q is no kind; the kinds are %s", line(in.Kind, 40), kindNames())
		}
		f.Kinds = []string{in.Kind}
	}
	var lines []string
	for {
		found, next, err := e.Store.Resources(ctx, f)
		if err != nil {
			return "", err
		}
		for _, r := range found {
			if e.shows(r) && (in.State == "" || inState(r, in.State)) {
				lines = append(lines, fmt.Sprintf("%s %s%s", r.ID, place(r), stateOf(r)))
			}
		}
		// A state is no column: pages go on until one is full.
		if next == nil || len(lines) >= f.Limit/2 {
			return list(lines, "such resource", next), nil
		}
		f.After = *next
	}
}

// stateAttributes say how a resource does, whatever its kind calls it.
var stateAttributes = []string{"state", "active", "health", "status"}

func inState(r ops.Resource, state string) bool {
	if string(r.Presence) == state || r.Reachable == state {
		return true
	}
	return slices.ContainsFunc(stateAttributes, func(a string) bool { return r.Observed.Is(a, state) })
}

func stateOf(r ops.Resource) string {
	text := ""
	for _, a := range stateAttributes {
		if v, ok := r.Observed.Text(a); ok && v != "" {
			text += " " + a + "=" + line(v, 40)
		}
	}
	if r.Presence != ops.Present {
		text += " " + string(r.Presence)
	}
	return text
}

func kindNames() string {
	text := ""
	for i, k := range ops.Kinds {
		if i > 0 {
			text += ", "
		}
		text += string(k.Kind)
	}
	return text
}
