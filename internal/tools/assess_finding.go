package tools

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "assess_finding", Doc: "Your verdict on an open finding.", Effect: tool.Writes,
	Profiles: []tool.Profile{tool.Patrol}, Core: []tool.Profile{tool.Patrol},
}, assessFinding))

type assessInput struct {
	Finding string `json:"finding"`
	Verdict string `json:"verdict" enum:"present,resolved,uncertain"`
	Note    string `json:"note,omitempty"`
	Claims  []sign `json:"claims,omitempty"`
}

// A sign is a claim about the finding's own resource, as it is now.
type sign struct {
	Kind   string   `json:"kind" enum:"metric,quote,state"`
	Metric string   `json:"metric,omitempty"`
	Value  *float64 `json:"value,omitempty"`
	Name   string   `json:"name,omitempty"`
	Text   string   `json:"text,omitempty"`
}

func assessFinding(ctx context.Context, e Env, in assessInput) (string, error) {
	if e.Desk.Assess == nil {
		return "", closed("assessments")
	}
	f, err := e.Store.Finding(ctx, in.Finding)
	if err != nil {
		return "", err
	}
	given := make([]claim, len(in.Claims))
	for i, c := range in.Claims {
		given[i] = claim{Kind: c.Kind, Metric: c.Metric, Value: c.Value, Name: c.Name, Text: c.Text}
	}
	claims, err := e.claims(ctx, given, f.ResourceID)
	if err != nil {
		return "", err
	}
	return e.Desk.Assess(ctx, ops.Assessment{FindingID: f.ID, Verdict: ops.AssessVerdict(in.Verdict), Note: redact.Text(redact.Cut(in.Note, 1_000)), Claims: claims})
}
