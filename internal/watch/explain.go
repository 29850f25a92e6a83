package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// An Explanation says why a condition of a resource is or is not a finding,
// told to people, or suppressed.
type Explanation struct {
	Subject   string       `json:"subject"`
	Condition string       `json:"condition"`
	Resource  ops.Resource `json:"resource"`
	Finding   *ops.Finding `json:"finding,omitempty"`
	Verdict   string       `json:"verdict" doc:"The answer in one sentence."`
	Steps     []Step       `json:"steps"`
}

// A Step is one question on the way to the answer.
type Step struct {
	Step   string `json:"step"`
	Answer string `json:"answer" enum:"yes,no,unknown"`
	Why    string `json:"why"`
}

func (x *Explanation) add(step string, yes bool, format string, args ...any) bool {
	answer := "no"
	if yes {
		answer = "yes"
	}
	x.Steps = append(x.Steps, Step{step, answer, fmt.Sprintf(format, args...)})
	return yes
}

// ExplainFinding explains the condition of a finding.
func (w *Watch) ExplainFinding(ctx context.Context, id string) (Explanation, error) {
	f, err := w.store.Finding(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	return w.Explain(ctx, f.ResourceID, f.Condition)
}

// Explain asks the detector now and walks from its verdict to the people who
// were told.
func (w *Watch) Explain(ctx context.Context, resourceID, condition string) (Explanation, error) {
	r, err := w.store.Resource(ctx, resourceID)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{Subject: fmt.Sprintf("%s on %s %s", condition, r.Kind, r.Name), Condition: condition, Resource: r}
	def, ok := w.Definition(condition)
	if condition == ops.Advisory {
		x.add("a detector", false, "no detector looks for it: an advisory is what a model saw in a patrol, each of its claims re-checked against what is stored")
		return x, w.explainTold(ctx, &x)
	}
	if !ok {
		return x, ops.Errorf(ops.NotFound, "there is no condition %s; `reeve detectors` lists them", condition)
	}
	if err := w.explainNow(ctx, &x, def, r); err != nil {
		return x, err
	}
	if err := w.explainTold(ctx, &x); err != nil {
		return x, err
	}
	if x.Verdict == "" {
		x.Verdict = x.Steps[len(x.Steps)-1].Why
	}
	return x, nil
}

// explainNow covers the detector, its data, its verdict and its timers.
func (w *Watch) explainNow(ctx context.Context, x *Explanation, def detect.Definition, r ops.Resource) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.prepare(ctx); err != nil {
		return err
	}
	now := time.Now().UTC()
	s := resolve(plain(def), rulesOf(w.rules, def.Name), r)
	if !x.add("looks at this kind", slices.Contains(def.Kinds, r.Kind), "%s looks at %s; this is a %s", def.Name, kindsText(def.Kinds), r.Kind) {
		return nil
	}
	x.add("is there", r.Presence == ops.Present, "the resource is %s, last seen %s", r.Presence, stamp(r.ObservedAt))
	x.add("switched on", !s.off, "%d rules of the configuration speak of it; thresholds: %s; hold %v, clear %v",
		len(s.rules), orNone(strings.Join(thresholdsOf(s), ", ")), s.def.Hold, s.def.Clear)
	readings, err := w.read(ctx, now)
	if err != nil {
		return err
	}
	key := fingerprint{r.ID, def.Name}
	track := w.tracks[key]
	v := w.verdict(now, s, r, readings, track.Active())
	x.Steps = append(x.Steps, verdictStep(v, readings.series(s.def, r.ID)))
	x.Steps = append(x.Steps, trackStep(now, s.def, track))
	return nil
}

func kindsText(kinds []ops.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func verdictStep(v detect.Verdict, series []ops.Series) Step {
	s := Step{Step: "true now"}
	switch v.State {
	case detect.Bad:
		s.Answer, s.Why = "yes", v.Summary
	case detect.Good:
		s.Answer, s.Why = "no", "the detector finds nothing wrong"
	case detect.Between:
		s.Answer, s.Why = "no", "the reading lies between the threshold that opens and the one that clears: what was, stays"
	default:
		s.Answer, s.Why = "unknown", "what it needs is not known now: no fresh reading, or an attribute that was not reported"
	}
	var seen []string
	for _, x := range series[:min(len(series), 5)] {
		if p, ok := x.Last(); ok {
			seen = append(seen, fmt.Sprintf("%s %.4g at %s", x.Metric, p.Value, p.At.UTC().Format("15:04:05")))
		}
	}
	if len(seen) > 0 {
		s.Why += " (" + strings.Join(seen, "; ") + ")"
	}
	return s
}

func trackStep(now time.Time, d detect.Definition, t detect.Track) Step {
	s := Step{Step: "lasted long enough"}
	switch t.Phase {
	case detect.Holding:
		s.Answer, s.Why = "no", fmt.Sprintf("it is true for %v of the %v that it must be", (t.Held+since(now, t)).Round(time.Second), d.Hold)
	case detect.Open:
		s.Answer, s.Why = "yes", fmt.Sprintf("open since %s", stamp(t.OpenedAt))
	case detect.Clearing:
		s.Answer, s.Why = "yes", fmt.Sprintf("open; it is clear for %v of the %v that it must be", (t.Held+since(now, t)).Round(time.Second), d.Clear)
	default:
		s.Answer, s.Why = "no", "the condition is not true, so no timer runs"
	}
	return s
}

func since(now time.Time, t detect.Track) time.Duration {
	return min(max(now.Sub(t.At), 0), detect.Stale)
}

// explainTold covers the finding, its suppression and its deliveries.
func (w *Watch) explainTold(ctx context.Context, x *Explanation) error {
	f, ok, err := w.store.LiveFinding(ctx, x.Resource.ID, x.Condition)
	if err != nil {
		return err
	}
	if !x.add("a finding", ok && f.Active(), "%s", findingText(f, ok)) {
		x.Verdict = "There is no open finding: " + x.reason()
		return nil
	}
	x.Finding = &f
	if f.Origin == ops.OriginPatrol {
		x.add("confirmed by a detector", false, "a model reported it last at %s, in run %s; it lapses %s after that unless it is reported again",
			stamp(f.LastSeen), orNone(f.Facts["run"]), ops.AdviceLife)
		x.Verdict = fmt.Sprintf("The finding %s is %s (%s): only a model saw it. Such findings are shown, and told to channels whose route names the condition %s.",
			f.ID, f.State, f.Severity, ops.Advisory)
		return nil
	}
	now := time.Now()
	if f.Suppression.Active(now, f.Severity) {
		x.add("people are told", false, "suppressed by %s until %s: %s", f.Suppression.Actor, orNone(stamp(f.Suppression.Until)), f.Suppression.Reason)
		x.Verdict = "The finding is open and suppressed: nobody is told."
		return nil
	}
	told, _, err := w.store.Deliveries(ctx, store.DeliveryFilter{Incident: f.IncidentID, Limit: 50})
	if err != nil || f.IncidentID == "" {
		return err
	}
	told = slices.DeleteFunc(told, func(d ops.Delivery) bool { return d.CreatedAt.Before(f.OpenedAt.Add(-time.Second)) })
	x.add("people are told", len(told) > 0, "%s", deliveriesText(f.IncidentID, told))
	x.Verdict = fmt.Sprintf("The finding %s is %s (%s), part of incident %s.", f.ID, f.State, f.Severity, f.IncidentID)
	return nil
}

// reason answers the first step that said no.
func (x *Explanation) reason() string {
	for _, s := range x.Steps {
		if s.Answer != "yes" {
			return s.Why + "."
		}
	}
	return "it has not opened yet."
}

func findingText(f ops.Finding, ok bool) string {
	switch {
	case !ok:
		return "none of this resource and condition is alive"
	case !f.Active():
		return fmt.Sprintf("%s was resolved %s (%s); a return within 24 h opens it again", f.ID, stamp(f.ResolvedAt), f.ResolvedBy)
	}
	return fmt.Sprintf("%s is %s since %s, episode %d", f.ID, f.State, stamp(f.OpenedAt), f.Episode)
}

func deliveriesText(incident string, told []ops.Delivery) string {
	if len(told) == 0 {
		return "no message about incident " + incident + " was written: no channel is configured, or no route leads to one"
	}
	lines := make([]string, 0, len(told))
	for _, d := range slices.Backward(told) {
		at := d.DeliveredAt
		if at.IsZero() {
			at = d.CreatedAt
		}
		line := fmt.Sprintf("%s to %s: %s %s", d.Message.Event, d.Channel, d.State, stamp(at))
		if d.Err != "" {
			line += " (" + d.Err + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}
