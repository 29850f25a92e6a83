package tools

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "conclude", Doc: "Ends the investigation. Claims are re-checked.", Effect: tool.Writes,
	Profiles: []tool.Profile{tool.Investigation}, Core: []tool.Profile{tool.Investigation},
}, conclude))

type concludeInput struct {
	Outcome    string       `json:"outcome" enum:"explained,fix_proposed,needs_person,cannot_explain"`
	Summary    string       `json:"summary"`
	Confidence string       `json:"confidence,omitempty" enum:"low,medium,high"`
	Hypotheses []hypothesis `json:"hypotheses,omitempty"`
	Proposal   *proposal    `json:"proposal,omitempty" doc:"of fix_proposed"`
	Next       []string     `json:"next,omitempty" doc:"for a person to look at"`
}

type hypothesis struct {
	Cause      string  `json:"cause"`
	Resource   string  `json:"resource,omitempty" doc:"the cause's"`
	For        []claim `json:"for,omitempty"`
	Against    []claim `json:"against,omitempty"`
	Confidence string  `json:"confidence" enum:"low,medium,high"`
}

type proposal struct {
	Verb   string            `json:"verb"`
	Target string            `json:"target" doc:"resource"`
	Params map[string]string `json:"params,omitempty"`
	Reason string            `json:"reason"`
}

const maxHypotheses = 6

func conclude(ctx context.Context, e Env, in concludeInput) (string, error) {
	if e.Desk.Conclude == nil {
		return "", closed("conclusions")
	}
	switch {
	case len(in.Hypotheses) > maxHypotheses:
		return "", ops.Errorf(ops.Invalid, "give at most %d hypotheses", maxHypotheses)
	case in.Outcome == tool.OutcomeFixProposed && in.Proposal == nil:
		return "", ops.Errorf(ops.Invalid, "fix_proposed needs a proposal: verb, target and reason")
	case in.Outcome == tool.OutcomeExplained && len(in.Hypotheses) == 0:
		return "", ops.Errorf(ops.Invalid, "explained needs a hypothesis with claims for it")
	}
	c := tool.Conclusion{Outcome: in.Outcome, Summary: redact.Text(redact.Cut(in.Summary, 4_000)), Confidence: in.Confidence}
	for _, h := range in.Hypotheses {
		full, err := e.hypothesis(ctx, h)
		if err != nil {
			return "", err
		}
		c.Hypotheses = append(c.Hypotheses, full)
	}
	if p := in.Proposal; p != nil {
		target, err := e.resolve(ctx, p.Target)
		if err != nil {
			return "", err
		}
		c.Proposal = &ops.Proposal{Verb: line(p.Verb, 60), Target: target.ID, Reason: line(p.Reason, 500)}
		for k, v := range p.Params {
			if c.Proposal.Params == nil {
				c.Proposal.Params = map[string]string{}
			}
			c.Proposal.Params[line(k, 60)] = line(v, 200)
		}
	}
	for _, n := range in.Next[:min(len(in.Next), 10)] {
		c.Next = append(c.Next, line(n, 300))
	}
	return e.Desk.Conclude(ctx, c)
}

func (e Env) hypothesis(ctx context.Context, h hypothesis) (full ops.Hypothesis, err error) {
	full = ops.Hypothesis{Cause: redact.Text(redact.Cut(h.Cause, 1_000)), Confidence: h.Confidence}
	if h.Resource != "" {
		r, err := e.resolve(ctx, h.Resource)
		if err != nil {
			return full, err
		}
		full.ResourceID = r.ID
	}
	if full.For, err = e.claims(ctx, h.For, full.ResourceID); err != nil {
		return full, err
	}
	full.Against, err = e.claims(ctx, h.Against, full.ResourceID)
	return full, err
}
