package tools

import (
	"context"
	"fmt"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "read_notes", Doc: "What people noted on a resource and on the estate.", Effect: tool.Reads, Profiles: everyone, Core: nobody,
}, readNotes))

type notesInput struct {
	Resource string `json:"resource,omitempty"`
}

func readNotes(ctx context.Context, e Env, in notesInput) (string, error) {
	if err := e.open("notes"); err != nil {
		return "", err
	}
	about := []string{""}
	if in.Resource != "" {
		r, err := e.find(ctx, in.Resource)
		if err != nil {
			return "", err
		}
		about = append(about, r.ID, r.ParentID, r.HostID)
	}
	notes, next, err := e.Store.Notes(ctx, store.NoteFilter{Resources: about, States: []string{string(ops.NoteActive)}, Limit: page})
	if err != nil {
		return "", err
	}
	p := places{env: e}
	var lines []string
	for _, n := range notes {
		where := "estate"
		if n.ResourceID != "" {
			r, ok, err := p.get(ctx, n.ResourceID)
			if err != nil {
				return "", err
			}
			if !ok {
				continue
			}
			where = place(r)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s by %s: %s", at(n.At), n.Kind, where+mark(n.Condition), line(n.Author, 60), line(n.Text, 500)))
	}
	if next != nil {
		lines = append(lines, "[older ones left out]")
	}
	return list(lines, "note", nil), nil
}

func mark(condition string) string {
	if condition == "" {
		return ""
	}
	return " about " + line(condition, 60)
}
