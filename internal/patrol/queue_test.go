package patrol

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/ops"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func scopeOf(ids ...string) ops.RunScope { return canonical(ops.RunScope{Resources: ids}) }

func queuedRun(i int, kind ops.TriggerKind, s ops.RunScope) ops.Run {
	return ops.Run{ID: fmt.Sprintf("run_%03d", i), Trigger: kind, Triggers: 1, Priority: int64(kind.Priority()), Asked: s, Depth: depthNormal,
		State: ops.RunQueued, QueuedAt: t0.Add(time.Duration(i) * time.Second)}
}

// The duplicate is found before the queue is counted: a full queue neither
// turns it away nor lets it push another out.
func TestDuplicateJoinsThoughTheQueueIsFull(t *testing.T) {
	var queued []ops.Run
	for i := range maxScoped {
		queued = append(queued, queuedRun(i, ops.TriggerOpened, scopeOf(fmt.Sprint("res_", i))))
	}
	p := place(queued, ops.TriggerOpened, scopeOf("res_7"))
	if p.into != 7 || len(p.merge) != 0 || !equalScopes(p.scope, scopeOf("res_7")) {
		t.Fatalf("%+v", p)
	}
}

// What a full queue has no room for widens a run that waits, and at last
// becomes one of everything; nothing is turned away.
func TestFullQueueWidensInsteadOfLosing(t *testing.T) {
	var queued []ops.Run
	for i := range maxScoped {
		queued = append(queued, queuedRun(i, ops.TriggerOpened, scopeOf(fmt.Sprint("res_", i))))
	}
	queued[3].Priority = 30 // the least urgent
	for i := range maxResources {
		p := place(queued, ops.TriggerOpened, scopeOf(fmt.Sprint("more_", i)))
		if p.into == newRun {
			if !p.scope.Full() || len(p.merge) != maxScoped || i < maxResources-2 {
				t.Fatalf("after %d: %+v", i, p)
			}
			return
		}
		if p.into != 3 {
			t.Fatalf("the least urgent is widened, not %d", p.into)
		}
		queued[3].Asked = p.scope
	}
	t.Fatal("it grows without end")
}

func TestFullRunTakesScopedOnesIn(t *testing.T) {
	queued := []ops.Run{queuedRun(0, ops.TriggerOpened, scopeOf("a")), queuedRun(1, ops.TriggerOpened, scopeOf("b")),
		queuedRun(2, ops.TriggerReplay, ops.RunScope{})}
	p := place(queued, ops.TriggerScheduled, ops.RunScope{})
	if p.into != newRun || !slices.Equal(p.merge, []int{0, 1}) || !p.scope.Full() {
		t.Fatalf("a new full run: %+v", p)
	}
	queued = append(queued, queuedRun(3, ops.TriggerScheduled, ops.RunScope{}))
	if p = place(queued, ops.TriggerOpened, scopeOf("c")); p.into != 3 || !slices.Equal(p.merge, []int{0, 1}) {
		t.Fatalf("a scoped trigger beside a full run: %+v", p)
	}
	if p = place(queued, ops.TriggerReplay, ops.RunScope{}); p.into != newRun || len(p.merge) != 0 {
		t.Fatalf("a replay stays alone: %+v", p)
	}
}

func drawScope(t *rapid.T, label string) ops.RunScope {
	s := ops.RunScope{}
	if rapid.IntRange(0, 9).Draw(t, label+" full") == 0 {
		return s
	}
	if rapid.Bool().Draw(t, label+" by id") {
		s.Resources = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"}), 1, 3).Draw(t, label+" ids")
	}
	if len(s.Resources) == 0 || rapid.IntRange(0, 5).Draw(t, label+" both") == 0 {
		s.Kinds = rapid.SliceOfN(rapid.SampledFrom([]ops.Kind{ops.KindHost, ops.KindDisk, ops.KindUnit}), 1, 2).Draw(t, label+" kinds")
	}
	return canonical(s)
}

// Whatever comes in whatever order, every trigger is answered by a run that
// waits, that run looks at all that was asked, and no two that wait look at
// the same.
func TestEveryPlacementCoversWhatWasAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var queued []ops.Run
		kinds := []ops.TriggerKind{ops.TriggerOpened, ops.TriggerManual, ops.TriggerScheduled, ops.TriggerCleared}
		for i := range rapid.IntRange(1, 40).Draw(t, "triggers") {
			kind, scope := rapid.SampledFrom(kinds).Draw(t, "kind"), drawScope(t, "scope")
			p := place(queued, kind, scope)
			if !covers(p.scope, scope) && !p.scope.Full() {
				t.Fatalf("%+v does not cover %+v", p.scope, scope)
			}
			var rest []ops.Run
			target := queuedRun(i, kind, p.scope)
			if p.into != newRun {
				target = join(queued[p.into], ops.RunTrigger{Kind: kind}, p.scope, depthNormal)
			}
			for j, r := range queued {
				switch {
				case j == p.into:
				case slices.Contains(p.merge, j):
					if !covers(p.scope, r.Asked) {
						t.Fatalf("merged %+v into %+v", r.Asked, p.scope)
					}
					target = swallow(target, r)
				default:
					rest = append(rest, r)
				}
			}
			if target.Priority < int64(kind.Priority()) {
				t.Fatal("it is less urgent than what asks for it")
			}
			queued = append(rest, target)
			for a := range queued {
				for b := range a {
					if overlap(queued[a].Asked, queued[b].Asked) {
						t.Fatalf("%+v and %+v both wait", queued[a].Asked, queued[b].Asked)
					}
				}
			}
		}
	})
}

func TestUrgentGoesFirstThenOld(t *testing.T) {
	m := rhythm{now: t0.Add(time.Hour), spacing: 2 * time.Minute, pacing: 30 * time.Second, looks: map[string]time.Time{}}
	queued := []ops.Run{queuedRun(1, ops.TriggerInventory, scopeOf("a")), queuedRun(3, ops.TriggerOpened, scopeOf("b")), queuedRun(2, ops.TriggerOpened, scopeOf("c"))}
	if r, ok, _ := m.next(queued); !ok || r.ID != "run_002" {
		t.Fatal(r.ID, ok)
	}
}

// Spacing and pacing delay, they never refuse; a person does not wait.
func TestSpacingAndPacingDelayAndPeopleDoNotWait(t *testing.T) {
	m := rhythm{now: t0.Add(time.Hour), spacing: 2 * time.Minute, pacing: 30 * time.Second, lastStart: t0.Add(time.Hour - 10*time.Second),
		looks: map[string]time.Time{"a": t0.Add(time.Hour - time.Minute)}}
	event := queuedRun(1, ops.TriggerOpened, scopeOf("a"))
	if _, ok, wake := m.next([]ops.Run{event}); ok || !wake.Equal(t0.Add(time.Hour+time.Minute)) {
		t.Fatal("spacing", ok, wake)
	}
	if _, ok, wake := m.next([]ops.Run{queuedRun(1, ops.TriggerOpened, scopeOf("b"))}); ok || !wake.Equal(t0.Add(time.Hour+20*time.Second)) {
		t.Fatal("pacing", ok, wake)
	}
	joined := join(event, ops.RunTrigger{Kind: ops.TriggerManual}, event.Asked, depthNormal)
	if _, ok, _ := m.next([]ops.Run{joined}); !ok {
		t.Fatal("a person waits")
	}
	m.now = m.now.Add(time.Minute)
	if r, ok, _ := m.next([]ops.Run{event}); !ok || r.ID != event.ID {
		t.Fatal("it is never due")
	}
}

func TestFullRunGivesWayToUrgentOneAndNotForEver(t *testing.T) {
	full, urgent := queuedRun(1, ops.TriggerScheduled, ops.RunScope{}), queuedRun(2, ops.TriggerOpened, scopeOf("a"))
	full.Starts = 1
	if !givesWay(full, urgent) {
		t.Error("a full run goes before an urgent one")
	}
	full.Starts = maxStarts
	if givesWay(full, urgent) {
		t.Error("a full run gives way for ever")
	}
	full.Starts = 1
	if givesWay(full, queuedRun(3, ops.TriggerCleared, scopeOf("a"))) || givesWay(urgent, queuedRun(3, ops.TriggerManual, scopeOf("a"))) ||
		givesWay(queuedRun(4, ops.TriggerManual, ops.RunScope{}), urgent) {
		t.Error("gives way to what is not more urgent, or is no full run")
	}
}

// A restart does not shift the schedule; what was missed is made up for once.
func TestRestartDoesNotShiftTheSchedule(t *testing.T) {
	const every = 6 * time.Hour
	first, due := timetable{}.advance(t0, every)
	if !due.IsZero() || first.NextMS != t0.Add(every).UnixMilli() {
		t.Fatal(first, due)
	}
	again, due := first.advance(t0.Add(5*time.Hour), every)
	if again != first || !due.IsZero() {
		t.Fatal("a restart shifts it", again)
	}
	late, due := first.advance(t0.Add(20*time.Hour), every)
	if !due.Equal(t0.Add(every)) || late.NextMS != t0.Add(24*time.Hour).UnixMilli() {
		t.Fatal(time.UnixMilli(late.NextMS).UTC(), due)
	}
	sooner, due := first.advance(t0.Add(2*time.Hour), time.Hour)
	if due.IsZero() || sooner.NextMS != t0.Add(3*time.Hour).UnixMilli() {
		t.Fatal("another period", time.UnixMilli(sooner.NextMS).UTC(), due)
	}
}

func TestSettingsThatMeanNothingAreRefused(t *testing.T) {
	good := Settings{Every: 6 * time.Hour, MinSeverity: ops.Warning, Timeout: time.Minute, Keep: 24 * time.Hour, Events: Events}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Settings){
		"every 5m": func(s *Settings) { s.Every = 5 * time.Minute }, "every 8d": func(s *Settings) { s.Every = 8 * 24 * time.Hour },
		"severity": func(s *Settings) { s.MinSeverity = "info" }, "event": func(s *Settings) { s.Events = []ops.TriggerKind{"finding_openend"} },
	} {
		s := good
		change(&s)
		if err := s.Check(); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
