package investigate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
)

// The bounds of what a model concludes.
const (
	maxTries      = 3
	maxHypotheses = 5
	maxClaims     = 8
	maxNext       = 8
	maxText       = 1_500
)

// conclude takes a model's conclusion: every claim is re-checked, every
// sentence with a number, a quote or a time that nothing backs is struck. It
// answers what is left and what was struck, so that the model may conclude
// again; what is left of the last time counts.
func (m *asked) conclude(ctx context.Context, c tool.Conclusion) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tries >= maxTries {
		return "", ops.Errorf(ops.TooMany, "that was concluded %d times; it stands as it is", maxTries)
	}
	m.tries++
	q := m.q
	var struck []ops.RunRejection
	var all []weighed
	for _, h := range c.Hypotheses[:min(len(c.Hypotheses), maxHypotheses)] {
		x, no := m.hypothesis(ctx, h)
		struck = append(struck, no...)
		if x.Cause != "" {
			all = append(all, x)
		}
	}
	if n := len(c.Hypotheses) - maxHypotheses; n > 0 {
		struck = append(struck, ops.RunRejection{What: fmt.Sprintf("%d hypotheses", n), Reason: fmt.Sprintf("at most %d are taken", maxHypotheses)})
	}
	rankHypotheses(all)
	facts := m.facts(all)
	o := outcome{hypotheses: all, confidence: c.Confidence}
	o.summary, struck = prose(c.Summary, facts, struck)
	for _, n := range c.Next[:min(len(c.Next), maxNext)] {
		var text string
		if text, struck = prose(n, facts, struck); text != "" {
			o.next = append(o.next, text)
		}
	}
	m.proposal = nil
	if c.Proposal != nil {
		p, err := q.proposal(ctx, *c.Proposal, m.resolve)
		if err == nil {
			p.Reason, struck = prose(p.Reason, facts, struck)
			m.proposal = &p
		} else {
			message, _ := ops.Shown(err)
			struck = append(struck, ops.RunRejection{What: "the proposal " + redact.Line(c.Proposal.Verb, 60), Reason: redact.Line(message, 300)})
		}
	}
	struck = m.decide(&o, c, struck)
	m.done = &o
	q.mu.Lock()
	defer q.mu.Unlock()
	q.i.Detail.Rejected = append(q.i.Detail.Rejected, struck...)
	q.i.Detail.Rejected = q.i.Detail.Rejected[:min(len(q.i.Detail.Rejected), 100)]
	return answerOf(o, struck, maxTries-m.tries), nil
}

// decide says what the conclusion comes to: not more than its proofs carry.
func (m *asked) decide(o *outcome, c tool.Conclusion, struck []ops.RunRejection) []ops.RunRejection {
	proven := len(o.hypotheses) > 0 && o.hypotheses[0].explains()
	demote := func(why string) {
		struck = append(struck, ops.RunRejection{What: "outcome " + redact.Line(c.Outcome, 40), Reason: why})
	}
	const unproven = "no hypothesis has a claim that holds and is older than the problem"
	switch c.Outcome {
	case tool.OutcomeFixProposed, tool.OutcomeExplained:
		switch {
		case !proven:
			demote(unproven)
			o.event, m.proposal = ops.InvestigationAskPerson, nil
		case c.Outcome == tool.OutcomeFixProposed && m.proposal == nil:
			demote("there is no proposal that can be kept")
			o.event = ops.InvestigationExplain
		case c.Outcome == tool.OutcomeFixProposed:
			o.event = ops.InvestigationPropose
		default:
			o.event = ops.InvestigationExplain
		}
	case tool.OutcomeNoCause:
		o.event = ops.InvestigationGiveUp
	default:
		o.event = ops.InvestigationAskPerson
	}
	if o.event != ops.InvestigationPropose {
		m.proposal = nil
	}
	if !slices.Contains(confidences, o.confidence) || !proven {
		o.confidence = low
	}
	if proven {
		o.confidence = confidences[min(slices.Index(confidences, o.confidence), slices.Index(confidences, o.hypotheses[0].Confidence))]
	}
	if o.summary == "" && proven {
		o.summary = fmt.Sprintf("Likely cause (%s confidence): %s.", o.confidence, strings.TrimSuffix(o.hypotheses[0].Cause, "."))
	}
	if o.summary == "" {
		o.summary = "The model could not explain it with anything that holds; a person must look."
	}
	return struck
}

// hypothesis checks one hypothesis of a model.
func (m *asked) hypothesis(ctx context.Context, h ops.Hypothesis) (weighed, []ops.RunRejection) {
	var struck []ops.RunRejection
	if h.ResourceID != "" {
		r, err := m.resolve(ctx, h.ResourceID)
		if err != nil {
			struck = append(struck, ops.RunRejection{What: "causal resource " + redact.Line(h.ResourceID, 80), Reason: "there is none of that name to be looked at"})
		}
		h.ResourceID = r.ID
	}
	if !slices.Contains(confidences, h.Confidence) {
		h.Confidence = low
	}
	h.For, struck = m.claims(ctx, h.For, struck)
	h.Against, struck = m.claims(ctx, h.Against, struck)
	h.Notes = nil
	x, no := m.q.weigher.weigh(ctx, h)
	struck = append(struck, no...)
	x.Cause, struck = prose(x.Cause, m.facts([]weighed{x}), struck)
	return x, struck
}

// claims bounds claims and lets each name a resource that may be looked at.
func (m *asked) claims(ctx context.Context, claims []ops.Claim, struck []ops.RunRejection) ([]ops.Claim, []ops.RunRejection) {
	var all []ops.Claim
	for _, c := range claims {
		if len(all) == maxClaims {
			return all, append(struck, ops.RunRejection{What: "further claims", Reason: fmt.Sprintf("at most %d are taken for each side", maxClaims)})
		}
		r, err := m.resolve(ctx, c.ResourceID)
		if err != nil {
			struck = append(struck, ops.RunRejection{What: evidence.Say(c), Reason: "its resource is none that can be looked at"})
			continue
		}
		c.ResourceID = r.ID
		all = append(all, c)
	}
	return all, struck
}

// facts answers what free text of a model may say.
func (m *asked) facts(all []weighed) []evidence.Known {
	s := m.q.scene
	facts := m.q.shown.known()
	for _, x := range all {
		facts = append(facts, x.found...)
	}
	facts = append(facts, evidence.KnownFinding(s.Root, s.Now), evidence.KnownResource(s.Resource), evidence.KnownResource(s.Host))
	for _, f := range s.Around {
		facts = append(facts, evidence.KnownFinding(f, s.Now), evidence.KnownResource(s.Near[f.ResourceID]))
	}
	return facts
}

// prose bounds a text of a model and strikes what nothing backs.
func prose(text string, facts []evidence.Known, struck []ops.RunRejection) (string, []ops.RunRejection) {
	clean, no := evidence.Prose(redact.Line(text, maxText), facts)
	return strings.TrimSpace(clean), append(struck, no...)
}

// answerOf tells a model what became of its conclusion.
func answerOf(o outcome, struck []ops.RunRejection, tries int) string {
	if len(struck) == 0 {
		return "recorded as " + string(o.event) + "; you are done"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "recorded as %s; struck because it does not hold:\n", o.event)
	for _, s := range struck[:min(len(struck), 12)] {
		fmt.Fprintf(&b, "- %s: %s\n", s.What, s.Reason)
	}
	if tries > 0 {
		fmt.Fprintf(&b, "you may conclude again (%d left) with what tools show, or leave it so", tries)
	}
	return b.String()
}
