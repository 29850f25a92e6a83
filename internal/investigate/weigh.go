package investigate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
)

// A weigher re-checks what hypotheses rest on, whoever made them: the judges
// of a runbook or a model.
type weigher struct {
	source evidence.Source
	now    time.Time
	scene  *Scene
	// changes answers the transitions of a resource, the newest first.
	changes func(ctx context.Context, resourceID string) ([]ops.Transition, error)
}

// A weighed hypothesis has only claims that hold. Precedes says that at least
// one claim for it is of something before the problem began.
type weighed struct {
	ops.Hypothesis
	precedes bool
	found    []evidence.Known
}

// weigh strikes the claims that do not hold. A hypothesis for which nothing is
// left stays, with low confidence and a note that says so.
func (w *weigher) weigh(ctx context.Context, h ops.Hypothesis) (out weighed, struck []ops.RunRejection) {
	out.Hypothesis = h
	out.For, out.Against = nil, nil
	effect := evidence.Moment{Name: "the problem", At: w.scene.Began}
	var late string
	for _, c := range h.For {
		r := evidence.Check(ctx, w.source, w.now, c)
		if !r.OK {
			struck = append(struck, ops.RunRejection{What: evidence.Say(c), Reason: r.Reason})
			continue
		}
		out.For = append(out.For, c)
		out.found = append(out.found, evidence.KnownClaim(c, r.Evidence))
		ok, why := evidence.After(w.moment(ctx, c, r.Evidence), effect)
		if out.precedes = out.precedes || ok; !ok && late == "" {
			late = why
		}
	}
	for _, c := range h.Against {
		if r := evidence.Check(ctx, w.source, w.now, c); r.OK {
			out.Against = append(out.Against, c)
			out.found = append(out.found, evidence.KnownClaim(c, r.Evidence))
		} else {
			struck = append(struck, ops.RunRejection{What: evidence.Say(c), Reason: r.Reason})
		}
	}
	switch {
	case len(out.For) == 0:
		out.Confidence = low
		out.Notes = append(slices.Clone(h.Notes), "nothing that was claimed for it holds")
	case !out.precedes:
		out.Confidence = low
		out.Notes = append(slices.Clone(h.Notes), "nothing for it is older than the problem: "+late)
	case len(out.Against) > 0 && out.Confidence == high:
		out.Confidence = medium
	}
	return out, struck
}

// moment answers when what a claim says came about: readings from the
// beginning of their window, a state since it last changed.
func (w *weigher) moment(ctx context.Context, c ops.Claim, e ops.Evidence) evidence.Moment {
	m := evidence.Moment{Name: c.Kind, At: e.From}
	if c.Kind == "metric" && len(e.Series) > 0 && len(e.Series[0].Points) > 0 {
		m.At = e.Series[0].Points[0].At
	}
	if c.Kind == "quote" {
		m.At = w.firstSaid(ctx, c, e.From)
	}
	if c.Kind != "state" {
		return m
	}
	m.Name, m.At = c.Name, time.Time{}
	if ops.Volatile(c.Name) {
		return m
	}
	changes, err := w.changes(ctx, c.ResourceID)
	if err != nil {
		return m
	}
	r, err := w.source.Resource(ctx, c.ResourceID)
	if err != nil {
		return m
	}
	m.At = r.FirstSeen
	for _, t := range changes {
		if _, ok := t.Facts[c.Name]; ok && t.Verb == "change" || t.Verb == "replace" {
			m.At = t.At
			break
		}
	}
	return m
}

// firstSaid answers when words were said first: what is said again and again
// is as old as its beginning.
func (w *weigher) firstSaid(ctx context.Context, c ops.Claim, at time.Time) time.Time {
	texts, err := w.source.Texts(ctx, c.ResourceID)
	if err != nil {
		return at
	}
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	want := words(strings.Trim(strings.TrimSpace(c.Text), "\"'`“”"))
	for _, t := range texts {
		// What a finding says is of the problem itself, not of what came before.
		if !t.At.IsZero() && t.At.Before(at) && !strings.HasPrefix(t.Where, "finding") && strings.Contains(words(t.Text), want) {
			at = t.At
		}
	}
	return at
}

// rankHypotheses orders hypotheses: the best first.
func rankHypotheses(all []weighed) {
	slices.SortStableFunc(all, func(a, b weighed) int {
		return cmp.Or(boolRank(b.precedes)-boolRank(a.precedes), slices.Index(confidences, b.Confidence)-slices.Index(confidences, a.Confidence),
			len(b.For)-len(a.For))
	})
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// explains says that a hypothesis is good enough to be given as the cause.
func (x weighed) explains() bool { return x.precedes && x.Confidence != low }

// merge unites hypotheses of one cause.
func merge(signs []Sign) []ops.Hypothesis {
	var all []ops.Hypothesis
	for _, s := range signs {
		if s.Cause == nil {
			continue
		}
		at := slices.IndexFunc(all, func(h ops.Hypothesis) bool { return h.Cause == s.Cause.Cause && h.ResourceID == s.Cause.ResourceID })
		if at < 0 {
			all = append(all, *s.Cause)
			continue
		}
		all[at].For = append(all[at].For, s.Cause.For...)
		if slices.Index(confidences, s.Cause.Confidence) > slices.Index(confidences, all[at].Confidence) {
			all[at].Confidence = s.Cause.Confidence
		}
	}
	return all[:min(len(all), mostHypotheses)]
}

// mostHypotheses bounds what is kept; what comes first is of the first steps.
const mostHypotheses = 12

// A finding of a runbook: what it comes to, before it is stored.
type outcome struct {
	event      ops.InvestigationEvent
	summary    string
	confidence string
	hypotheses []weighed
	next       []string
}

// conclude says what the looks come to: explained only when a cause is proven
// and is older than its effect; else a person must look, and is told where.
func conclude(s *Scene, all []weighed, looks int, checks []string) outcome {
	rankHypotheses(all)
	o := outcome{event: ops.InvestigationAskPerson, hypotheses: all, confidence: low, next: checks[:min(len(checks), 5)]}
	if len(all) > 0 && all[0].explains() {
		best := all[0]
		o.event, o.confidence = ops.InvestigationExplain, best.Confidence
		o.summary = fmt.Sprintf("Likely cause (%s confidence): %s.", best.Confidence, strings.TrimSuffix(best.Cause, "."))
		if len(all) > 1 && all[1].explains() {
			o.summary += fmt.Sprintf(" Also possible: %s.", strings.TrimSuffix(all[1].Cause, "."))
		}
		return o
	}
	o.summary = fmt.Sprintf("%d looks show no cause that is proven and older than the problem; a person must look.", looks)
	if len(all) > 0 {
		o.summary += fmt.Sprintf(" What comes nearest: %s.", strings.TrimSuffix(all[0].Cause, "."))
	}
	return o
}
