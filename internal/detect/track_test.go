package detect_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// A moment is one step of a drawn history.
type moment struct {
	at time.Time
	v  detect.Verdict
}

func drawDefinition(t *rapid.T) detect.Definition {
	seconds := rapid.SampledFrom([]int{0, 1, 5, 30, 300})
	return detect.Definition{
		Hold:  time.Duration(seconds.Draw(t, "hold")) * time.Second,
		Clear: time.Duration(seconds.Draw(t, "clear")) * time.Second,
	}
}

func drawHistory(t *rapid.T) []moment {
	at := start
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) moment {
		gap := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, 400)).Draw(t, "gap")
		at = at.Add(time.Duration(gap) * time.Second)
		v := detect.Verdict{State: rapid.SampledFrom([]detect.State{
			detect.Bad, detect.Bad, detect.Bad, detect.Good, detect.Good, detect.Between, detect.Unknown, "",
		}).Draw(t, "state")}
		if v.State == detect.Bad {
			v.Severity = rapid.SampledFrom([]ops.Severity{ops.Warning, ops.Critical, ""}).Draw(t, "severity")
		}
		return moment{at, v}
	}), 1, 60).Draw(t, "history")
}

// LastedSince sums the time in which the verdict was want and known to go on,
// over the moments from the given one.
func lastedSince(history []moment, from int, want detect.State) time.Duration {
	var sum time.Duration
	for i := from; i+1 < len(history); i++ {
		gap := history[i+1].at.Sub(history[i].at)
		next := history[i+1].v.State
		if history[i].v.State == want && next != detect.Unknown && next != "" && gap <= detect.Stale {
			sum += gap
		}
	}
	return sum
}

// After answers the place behind the last moment with the given state.
func after(history []moment, state detect.State) int {
	for i := len(history) - 1; i >= 0; i-- {
		if history[i].v.State == state {
			return i + 1
		}
	}
	return 0
}

func TestTrackNeedsTheWholeHoldAndTheWholeClear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, history := drawDefinition(t), drawHistory(t)
		var track detect.Track
		for i, m := range history {
			next, edge := track.Step(m.at, d, m.v)
			past := history[:i+1]
			switch edge {
			case detect.Raised:
				if m.v.State != detect.Bad || track.Active() {
					t.Fatalf("raised by %q while %s", m.v.State, track.Phase)
				}
				if got := lastedSince(past, after(past, detect.Good), detect.Bad); got < d.Hold {
					t.Fatalf("raised after %s of %s", got, d.Hold)
				}
			case detect.Cleared:
				if m.v.State != detect.Good || !track.Active() {
					t.Fatalf("cleared by %q while %s", m.v.State, track.Phase)
				}
				if got := lastedSince(past, after(past, detect.Bad), detect.Good); got < d.Clear {
					t.Fatalf("cleared after %s of %s", got, d.Clear)
				}
			case detect.Rose, detect.Fell:
				if m.v.State != detect.Bad || !track.Active() {
					t.Fatalf("%s by %q while %s", edge, m.v.State, track.Phase)
				}
			}
			checkTrack(t, track, next, edge)
			track = next
		}
	})
}

func checkTrack(t *rapid.T, before, after detect.Track, edge detect.Edge) {
	opened, closed := !before.Active() && after.Active(), before.Active() && !after.Active()
	if opened != (edge == detect.Raised) || closed != (edge == detect.Cleared) {
		t.Fatalf("edge %q from %s to %s", edge, before.Phase, after.Phase)
	}
	change := after.Severity.Rank() - before.Severity.Rank()
	if before.Active() && after.Active() && (change > 0) != (edge == detect.Rose) {
		t.Fatalf("edge %q from %s to %s", edge, before.Severity, after.Severity)
	}
	if before.Active() && after.Active() && (change < 0) != (edge == detect.Fell) {
		t.Fatalf("edge %q from %s to %s", edge, before.Severity, after.Severity)
	}
	if after.Phase != detect.Idle && !after.Severity.Valid() {
		t.Fatalf("%s without a severity", after.Phase)
	}
	if after.Phase == detect.Idle && after != (detect.Track{Phase: detect.Idle}) {
		t.Fatalf("an idle track keeps %+v", after)
	}
	if !after.NextAt.IsZero() && after.NextAt.Sub(after.At) >= detect.Stale {
		t.Fatalf("the next step %s later would count for nothing", after.NextAt.Sub(after.At))
	}
}

func TestTrackSurvivesSerialisationAndRepetitionAtAnyStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, history := drawDefinition(t), drawHistory(t)
		var plain, stored detect.Track
		for _, m := range history {
			var edge, same detect.Edge
			plain, edge = plain.Step(m.at, d, m.v)
			stored, same = throughJSON(t, stored).Step(m.at, d, m.v)
			if edge != same {
				t.Fatalf("stored track answers %q, the other %q", same, edge)
			}
			again, more := stored.Step(m.at, d, m.v)
			if diff := cmp.Diff(plain, again); diff != "" || more != detect.None {
				t.Fatalf("a second step at the same time answers %q and changes\n%s", more, diff)
			}
		}
	})
}

func throughJSON(t *rapid.T, track detect.Track) (back detect.Track) {
	b, err := json.Marshal(track)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestTrackIsWokenExactlyWhenTheTimerEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDefinition(t)
		opened, at := woken(t, detect.Track{}, start, d, detect.Badf(ops.Warning, "bad"))
		if at.Sub(start) != d.Hold || !opened.Active() {
			t.Fatalf("raised after %s of %s", at.Sub(start), d.Hold)
		}
		from := at.Add(time.Minute)
		closed, at := woken(t, opened, from, d, detect.OK())
		if at.Sub(from) != d.Clear || closed.Active() {
			t.Fatalf("cleared after %s of %s", at.Sub(from), d.Clear)
		}
	})
}

// Woken steps a track at its NextAt alone until an edge comes.
func woken(t *rapid.T, track detect.Track, at time.Time, d detect.Definition, v detect.Verdict) (detect.Track, time.Time) {
	for range 1000 {
		next, edge := track.Step(at, d, v)
		if edge != detect.None {
			return next, at
		}
		if next.NextAt.IsZero() {
			break
		}
		track, at = next, next.NextAt
	}
	t.Fatalf("%s sleeps for ever", track.Phase)
	return track, at
}

func TestUnknownFreezesBothTimers(t *testing.T) {
	d := detect.Definition{Hold: time.Minute, Clear: time.Minute}
	bad, none, good := detect.Badf(ops.Warning, "bad"), detect.NoData(), detect.OK()
	var track detect.Track
	for _, step := range []struct {
		second int
		v      detect.Verdict
		want   detect.Edge
	}{
		{0, bad, ""}, {40, bad, ""}, {50, none, ""}, {200, none, ""}, {210, bad, ""}, {229, bad, ""}, {230, bad, detect.Raised},
		{240, good, ""}, {280, good, ""}, {290, none, ""}, {400, good, ""}, {419, good, ""}, {420, good, detect.Cleared},
	} {
		var edge detect.Edge
		track, edge = track.Step(start.Add(time.Duration(step.second)*time.Second), d, step.v)
		if edge != step.want {
			t.Fatalf("at %d s: %q, want %q", step.second, edge, step.want)
		}
	}
}

func TestBetweenNeitherOpensNorEndsTheHold(t *testing.T) {
	d := detect.Definition{Hold: 30 * time.Second, Clear: 30 * time.Second}
	bad, between, good := detect.Badf(ops.Warning, "bad"), detect.Verdict{State: detect.Between}, detect.OK()
	var track detect.Track
	for i, step := range []struct {
		v    detect.Verdict
		want detect.Edge
	}{
		{bad, ""}, {between, ""}, {between, ""}, {between, ""}, {bad, ""}, {bad, ""}, {bad, detect.Raised},
		{between, ""}, {good, ""}, {good, ""}, {between, ""}, {good, ""}, {good, detect.Cleared},
	} {
		var edge detect.Edge
		track, edge = track.Step(start.Add(time.Duration(i)*10*time.Second), d, step.v)
		if edge != step.want {
			t.Fatalf("step %d: %q, want %q", i, edge, step.want)
		}
	}
}

func TestSeverityRisesAfterConfirmationAndFallsAfterTheClearTime(t *testing.T) {
	d := detect.Definition{Hold: time.Minute, Clear: 20 * time.Second}
	warn, crit := detect.Badf(ops.Warning, "w"), detect.Badf(ops.Critical, "c")
	var track detect.Track
	for i, step := range []struct {
		v    detect.Verdict
		want detect.Edge
	}{
		{warn.AtOnce(), detect.Raised}, {crit, ""}, {warn, ""}, {crit, ""}, {crit, detect.Rose},
		{warn, ""}, {warn, ""}, {crit, ""}, {warn, ""}, {warn, ""}, {warn, detect.Fell},
		{crit.AtOnce(), detect.Rose},
	} {
		var edge detect.Edge
		track, edge = track.Step(start.Add(time.Duration(i)*detect.Confirm), d, step.v)
		if edge != step.want {
			t.Fatalf("step %d: %q, want %q", i, edge, step.want)
		}
	}
}

func TestLastReadingAloneDoesNotOpenAsCritical(t *testing.T) {
	d := detect.Definition{Hold: time.Minute}
	warn, crit := detect.Badf(ops.Warning, "w"), detect.Badf(ops.Critical, "c")
	track, _ := detect.Track{}.Step(start, d, warn)
	track, edge := track.Step(start.Add(time.Minute), d, crit)
	if edge != detect.Raised || track.Severity != ops.Warning {
		t.Fatalf("%s as %s", edge, track.Severity)
	}
	if track, edge = track.Step(track.NextAt, d, crit); edge != detect.Rose || track.Severity != ops.Critical {
		t.Fatalf("%s as %s", edge, track.Severity)
	}
}
