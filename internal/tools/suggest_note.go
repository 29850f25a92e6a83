package tools

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "suggest_note", Doc: "Suggests a lasting note; a person accepts it.", Effect: tool.Writes, Profiles: everyone, Core: nobody,
}, suggestNote))

type suggestInput struct {
	Resource  string `json:"resource,omitempty" doc:"empty: the estate"`
	Kind      string `json:"kind" enum:"note,solution"`
	Condition string `json:"condition,omitempty" doc:"of a solution"`
	Text      string `json:"text"`
}

func suggestNote(ctx context.Context, e Env, in suggestInput) (string, error) {
	if e.Desk.Suggest == nil {
		return "", closed("notes")
	}
	if in.Kind == "solution" && in.Condition == "" {
		return "", ops.Errorf(ops.Invalid, "a solution names the condition that it solves")
	}
	n := ops.Note{Kind: in.Kind, Condition: line(in.Condition, 80), Text: redact.Text(redact.Cut(in.Text, 2_000))}
	if in.Resource != "" {
		r, err := e.resolve(ctx, in.Resource)
		if err != nil {
			return "", err
		}
		n.ResourceID = r.ID
	}
	return e.Desk.Suggest(ctx, n)
}
