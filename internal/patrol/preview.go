package patrol

import (
	"context"

	"reeve/internal/brief"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/schema"
)

// A Preview is the first request of a run exactly as it would be sent, and
// what the run would take, with nothing sent.
type Preview struct {
	Model        string                `json:"model,omitempty" doc:"That would be asked first; empty when none can be: Reason says why."`
	Reason       string                `json:"reason,omitempty"`
	System       string                `json:"system"`
	Tools        []PreviewTool         `json:"tools"`
	Messages     []llm.Message         `json:"messages"`
	Tokens       int64                 `json:"tokens" doc:"Estimated, of this request."`
	Fixed        int64                 `json:"fixed_tokens" doc:"Of these, what every request begins with: instructions and tools."`
	Bytes        int64                 `json:"bytes"`
	RunInput     int64                 `json:"run_input_tokens" doc:"Estimated, of a usual run: this request twice, and what tools answer."`
	RunOutput    int64                 `json:"run_output_tokens"`
	CostMicroUSD *int64                `json:"cost_micro_usd" doc:"Of a usual run at most, in millionths of a US dollar; null when the price is unknown."`
	Sections     []brief.SectionReport `json:"sections"`
	Resources    int                   `json:"resources"`
	Withheld     int                   `json:"withheld" doc:"Resources of the scope that are not shown."`
	Quiet        string                `json:"quiet,omitempty" doc:"Why the run would ask no model: nothing changed."`
}

// A PreviewTool is a tool as it would be offered.
type PreviewTool struct {
	Name   string         `json:"name"`
	Doc    string         `json:"doc"`
	Schema *schema.Schema `json:"schema"`
}

// Preview answers what would be sent for a scope now.
func (p *Patrol) Preview(ctx context.Context, asked ops.RunScope) (Preview, error) {
	scope, err := p.resolve(ctx, asked)
	if err != nil {
		return Preview{}, err
	}
	l := &look{run: ops.Run{ID: "run_preview", Trigger: ops.TriggerManual, Asked: scope}, see: func(string, any) {}}
	if l.estate, err = p.gather(ctx, l.run); err != nil {
		return Preview{}, err
	}
	l.run.Digest = brief.Digest(l.estate)
	c := &consultation{p: p, l: l, job: llm.Job{Use: ops.UsePatrol}}
	c.prepare()
	req := Opening(c.box)
	message := first(c.seed)
	message.Parts[0].Text = c.veil.Hide(message.Parts[0].Text)
	req.Messages = []llm.Message{message}
	v := Preview{System: req.System, Messages: req.Messages, Tokens: llm.EstimateRequest(req), Fixed: c.fixed, Sections: c.seed.Sections,
		Resources: len(c.seen.Scope), Withheld: len(l.estate.Scope) - len(c.seen.Scope)}
	v.Bytes = int64(len(req.System) + len(message.Parts[0].Text))
	for _, t := range req.Tools {
		v.Tools = append(v.Tools, PreviewTool(t))
		v.Bytes += int64(len(t.Name) + len(t.Doc))
		if text, err := t.Schema.MarshalJSON(); err == nil {
			v.Bytes += int64(len(text))
		}
	}
	v.Model, v.Reason = p.router.Available(ops.UsePatrol)
	v.RunInput, v.RunOutput = 2*v.Tokens+talk/2, usualOutput
	v.CostMicroUSD = p.router.Estimate(ops.UsePatrol, v.RunInput, v.RunOutput)
	if quiet, why, err := p.quiet(ctx, l); err == nil && quiet {
		v.Quiet = why
	}
	return v, nil
}
