package tools

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "report_finding", Doc: "Reports or explains a problem. Claims are re-checked.", Effect: tool.Writes,
	Profiles: []tool.Profile{tool.Patrol}, Core: []tool.Profile{tool.Patrol},
}, reportFinding))

type reportInput struct {
	Resource  string  `json:"resource"`
	Condition string  `json:"condition" doc:"known one or advisory"`
	Severity  string  `json:"severity" enum:"warning,critical"`
	Title     string  `json:"title"`
	Text      string  `json:"text"`
	Claims    []claim `json:"claims"`
}

func reportFinding(ctx context.Context, e Env, in reportInput) (string, error) {
	if e.Desk.Report == nil {
		return "", closed("reports")
	}
	r, err := e.resolve(ctx, in.Resource)
	if err != nil {
		return "", err
	}
	claims, err := e.claims(ctx, in.Claims, r.ID)
	if err != nil {
		return "", err
	}
	return e.Desk.Report(ctx, tool.Report{ResourceID: r.ID, Condition: line(in.Condition, 80), Severity: ops.Severity(in.Severity),
		Title: line(in.Title, 200), Text: redact.Text(redact.Cut(in.Text, 4_000)), Claims: claims})
}
