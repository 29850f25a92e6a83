package detect

import (
	"time"

	"reeve/internal/ops"
)

// A Phase says where a condition of a resource is between being absent and
// being a finding.
type Phase string

// The phases. Holding and clearing are the time in which a change must last
// before anyone hears of it.
const (
	Idle     Phase = "idle"
	Holding  Phase = "holding"
	Open     Phase = "open"
	Clearing Phase = "clearing"
)

// An Edge is what one step changed. Fell lowers the severity of the finding
// and is no news for anyone.
type Edge string

// The edges. Raised, Rose and Cleared have the texts of ops.SignalEdge.
const (
	None    Edge = ""
	Raised  Edge = "raised"
	Rose    Edge = "rose"
	Fell    Edge = "fell"
	Cleared Edge = "cleared"
)

// Confirm is how long a higher severity must last before a finding rises,
// where its hold time is not shorter.
const Confirm = 10 * time.Second

// look is the longest that NextAt lies ahead. It is well below Stale because
// time between two steps further apart than that counts as not seen.
const look = Stale / 2

// A Track is the hold and clear timers of one condition of one resource. It
// is a value that the store keeps; the zero Track is idle. What the timers
// hold is time that was seen: a verdict counts until the next step, unless
// that one knows nothing or comes more than Stale later. So a restart or a
// spell without data neither advances nor resets them.
type Track struct {
	Phase    Phase     `json:"phase" enum:"idle,holding,open,clearing"`
	Since    time.Time `json:"since,omitzero" doc:"When the phase began."`
	BadSince time.Time `json:"bad_since,omitzero" doc:"When the verdict became bad."`
	OpenedAt time.Time `json:"opened_at,omitzero" doc:"When the finding opened."`
	// Severity is that of the finding, or that it would open with.
	Severity ops.Severity  `json:"severity,omitempty"`
	Held     time.Duration `json:"held_ns" doc:"Time seen bad while holding, or good while clearing."`
	// Shift is a severity other than Severity that is seen now, and
	// ShiftHeld for how long.
	Shift     ops.Severity  `json:"shift,omitempty"`
	ShiftHeld time.Duration `json:"shift_held_ns"`
	At        time.Time     `json:"at,omitzero" doc:"The last step."`
	Last      State         `json:"last,omitempty" doc:"The verdict of the last step."`
	// NextAt is when the next step must happen for a timer to end on time;
	// zero when no timer runs.
	NextAt time.Time `json:"next_at,omitzero"`
}

// Active reports whether the condition is a finding now.
func (t Track) Active() bool { return t.Phase == Open || t.Phase == Clearing }

// Step takes in the verdict at now and answers the track after it and what
// changed. Stepping twice at one time with one verdict changes nothing more.
func (t Track) Step(now time.Time, d Definition, v Verdict) (next Track, edge Edge) {
	v = v.sound()
	seen, hold := t.seen(now, v), v.holdOf(d)
	switch t.Phase {
	case Holding:
		next, edge = t.hold(now, v, hold, seen)
	case Open, Clearing:
		next, edge = t.watch(now, v, timers{hold, d.Clear}, seen)
	default:
		next, edge = start(now, v, hold)
	}
	if next.Phase == Idle {
		return Track{Phase: Idle}, edge
	}
	next.At, next.Last = now, v.State
	next.NextAt = next.wake(timers{hold, d.Clear})
	return next, edge
}

type timers struct{ hold, clear time.Duration }

// Sound makes a verdict that a detector got wrong harmless: without a state
// it says nothing, and bad without a severity is a warning.
func (v Verdict) sound() Verdict {
	switch v.State {
	case Bad:
		if !v.Severity.Valid() {
			v.Severity = ops.Warning
		}
	case Good, Between:
	default:
		v.State = Unknown
	}
	return v
}

func (v Verdict) holdOf(d Definition) time.Duration {
	if v.Hold != nil {
		return *v.Hold
	}
	return d.Hold
}

// Seen is the time since the last step that may be counted for the verdict
// of that step.
func (t Track) seen(now time.Time, v Verdict) time.Duration {
	gap := now.Sub(t.At)
	if t.At.IsZero() || t.Last == Unknown || v.State == Unknown || gap < 0 || gap > Stale {
		return 0
	}
	return gap
}

func start(now time.Time, v Verdict, hold time.Duration) (Track, Edge) {
	if v.State != Bad {
		return Track{Phase: Idle}, None
	}
	return Track{Phase: Holding, Since: now, BadSince: now, Severity: v.Severity}.open(now, hold)
}

func (t Track) open(now time.Time, hold time.Duration) (Track, Edge) {
	if t.Held < hold {
		return t, None
	}
	t.Phase, t.Since, t.OpenedAt, t.Held = Open, now, now, 0
	return t, Raised
}

// Hold counts the time of bad verdicts. Between and unknown let the timer
// stand; only good ends it, and only bad opens.
func (t Track) hold(now time.Time, v Verdict, hold, seen time.Duration) (Track, Edge) {
	if v.State == Good {
		return Track{Phase: Idle}, None
	}
	if t.Last == Bad {
		t.Held += seen
	}
	if v.State != Bad {
		return t, None
	}
	// Before it opens the severity falls at once: nobody has heard of it.
	t, _ = t.level(v, min(hold, Confirm), 0, seen)
	return t.open(now, hold)
}

// Watch keeps an open finding: its severity while bad, the clear time while
// good.
func (t Track) watch(now time.Time, v Verdict, w timers, seen time.Duration) (Track, Edge) {
	switch {
	case v.State == Unknown || v.State == Between && t.Phase == Open:
		return t, None
	case v.State == Bad:
		if t.Phase == Clearing {
			t.Phase, t.Since, t.Held = Open, now, 0
		}
		return t.level(v, min(w.hold, Confirm), w.clear, seen)
	case t.Phase == Open:
		t.Phase, t.Since, t.Held, t.Shift, t.ShiftHeld = Clearing, now, 0, "", 0
	case t.Last == Good:
		t.Held += seen
	}
	if v.State == Good && t.Held >= w.clear {
		return Track{Phase: Idle}, Cleared
	}
	return t, None
}

// Level moves the severity after that of the verdict once it was seen for
// long enough, so that a reading about a threshold does not make news of
// every turn.
func (t Track) level(v Verdict, rise, fall, seen time.Duration) (Track, Edge) {
	if v.Severity == t.Severity {
		t.Shift, t.ShiftHeld = "", 0
		return t, None
	}
	if t.Shift != v.Severity {
		t.Shift, t.ShiftHeld = v.Severity, 0
	} else if t.Last == Bad {
		t.ShiftHeld += seen
	}
	need, edge := fall, Fell
	if v.Severity.Rank() > t.Severity.Rank() {
		need, edge = rise, Rose
	}
	if t.ShiftHeld < need {
		return t, None
	}
	t.Severity, t.Shift, t.ShiftHeld = v.Severity, "", 0
	return t, edge
}

// Wake answers when the running timer ends, at most look ahead.
func (t Track) wake(w timers) time.Time {
	var left time.Duration
	switch {
	case t.Phase == Holding && t.Last == Bad:
		left = w.hold - t.Held
	case t.Phase == Clearing && t.Last == Good:
		left = w.clear - t.Held
	case t.Phase == Open && t.Last == Bad && t.Shift.Rank() > t.Severity.Rank():
		left = min(w.hold, Confirm) - t.ShiftHeld
	case t.Phase == Open && t.Last == Bad && t.Shift != "":
		left = w.clear - t.ShiftHeld
	default:
		return time.Time{}
	}
	return t.At.Add(min(max(left, 0), look))
}
