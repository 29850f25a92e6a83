package patrol

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// outcomes checks the invariant: every accepted trigger names a run that
// exists, and once the queue is empty every run has ended, a merged one in a
// run that ended too.
func outcomes(t testing.TB, p *Patrol) map[ops.RunState]int64 {
	t.Helper()
	ctx := context.Background()
	if _, n, err := p.store.CountTriggers(ctx); n != 0 || err != nil {
		t.Fatalf("%d triggers have no run, %v", n, err)
	}
	counts, err := p.store.CountRuns(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for state, n := range counts {
		if !ops.RunFlow.Final(state) {
			t.Fatalf("%d runs are %s for ever", n, state)
		}
	}
	merged, _, err := p.store.Runs(ctx, store.RunFilter{States: []string{"merged"}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range merged {
		for hops := 0; r.State == ops.RunMerged; hops++ {
			if r = runOf(t, p, r.MergedInto); hops > 100 {
				t.Fatal("runs merged in a circle")
			}
		}
		if !ops.RunFlow.Final(r.State) {
			t.Fatalf("a merged run ended in one that is %s", r.State)
		}
	}
	return counts
}

// A run that the process died under goes on after the start; one that this
// happens to again and again is closed, never stuck.
func TestRunSurvivesTheProcessAndIsNotTriedForEver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		p := newPatrol(t, st, nil)
		populate(t, st, estateOfTwo())
		r := ask(t, p)
		for start := range maxStarts {
			claimed, ok, err := p.claim(t.Context(), func(error) {})
			if err != nil || !ok || claimed.ID != r.ID || claimed.Starts != int64(start+1) {
				t.Fatalf("start %d: %+v %v %v", start, claimed, ok, err)
			}
			p = newPatrol(t, st, nil) // The process died.
			if err := p.reclaim(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r = runOf(t, p, r.ID)
		if r.State != ops.RunInterrupted || !strings.Contains(r.Err, "3 times") || r.EndedAt.IsZero() {
			t.Fatalf("%+v", r)
		}
		again := ask(t, p)
		pass(t, p)
		if r := runOf(t, p, again.ID); r.State != ops.RunDone {
			t.Fatalf("%+v", r)
		}
		outcomes(t, p)
	})
}

// Of several servers on one database one does a run, and takes over from one
// that says nothing more.
func TestOneServerDoesARunAndAnotherTakesOver(t *testing.T) {
	st := storetest.Postgres(t)
	a, b := newPatrol(t, st, nil), newPatrol(t, st, func(o *Options) { o.Node = "other" })
	populate(t, st, estateOfTwo())
	r := ask(t, a)
	if _, ok, err := a.claim(t.Context(), func(error) {}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	pass(t, b)
	if r := runOf(t, b, r.ID); r.State != ops.RunRunning {
		t.Fatalf("the other server took it: %+v", r)
	}
	if err := st.Tx(t.Context(), time.Now().Add(-2*lost), func(tx *store.Tx) error { _, err := tx.HoldRun(t.Context(), r.ID, "node"); return err }); err != nil {
		t.Fatal(err)
	}
	pass(t, b)
	if r := runOf(t, b, r.ID); r.State != ops.RunDone || r.Starts != 2 {
		t.Fatalf("nobody took it over: %+v", r)
	}
	outcomes(t, b)
}

// A person stops a run that waits and one that goes on; neither is done.
func TestCancelledRunEndsAndStaysEnded(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	waits := ask(t, p, "web1")
	if _, err := p.Cancel(t.Context(), waits.ID, store.Why{Actor: "user:ann"}); err != nil {
		t.Fatal(err)
	}
	goes := ask(t, p, "web2")
	running, stop := context.WithCancelCause(t.Context())
	r, ok, err := p.claim(t.Context(), stop)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := p.Cancel(t.Context(), goes.ID, store.Why{Actor: "user:ann"}); err != nil {
		t.Fatal(err)
	}
	p.carryOut(t.Context(), running, r)
	for _, id := range []string{waits.ID, goes.ID} {
		if r := runOf(t, p, id); r.State != ops.RunCancelled || !strings.Contains(r.Err, "user:ann") {
			t.Fatalf("%+v", r)
		}
	}
	if _, err := p.Cancel(t.Context(), goes.ID, store.Why{Actor: "user:ann"}); ops.KindOf(err) != ops.Conflict {
		t.Fatal(err)
	}
	if events := read(t, p, goes.ID, 0); events[len(events)-1].Type != EventDone {
		t.Fatal("its stream does not end")
	}
}

func TestStagesThatTakeTooLongOrPanicFailTheRun(t *testing.T) {
	ctx := context.Background()
	late, cancel := context.WithTimeoutCause(ctx, 0, errTimeout)
	defer cancel()
	<-late.Done()
	if out := outcomeOf(ctx, late, late.Err()); out.on != ops.RunFail || out.reason != errTimeout.Error() {
		t.Error(out)
	}
	err := safely(func() error { panic("at the disco") })
	if out := outcomeOf(ctx, ctx, err); out.on != ops.RunFail || !strings.Contains(out.reason, "disco") {
		t.Error(out)
	}
	stopping, stop := context.WithCancel(ctx)
	stop()
	if out := outcomeOf(stopping, stopping, stopping.Err()); out.on != ops.RunRequeue {
		t.Error(out)
	}
	if out := outcomeOf(ctx, ctx, fmt.Errorf("triage: %w", refusal{"nothing there"})); out.on != ops.RunRefuse || out.reason != "nothing there" {
		t.Error(out)
	}
	if out := outcomeOf(ctx, ctx, errors.New("disk gone")); out.on != ops.RunFail || out.reason != "disk gone" {
		t.Error(out)
	}
}

// A full run gives way to an urgent one of a part, waits again, and is done.
func TestFullRunGivesWayAndIsDoneAfter(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	full, err := p.acceptOne(t.Context(), wish{kind: ops.TriggerScheduled, sourceID: "1", depth: depthNormal, why: store.Why{Actor: actor}})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancelCause(t.Context())
	r, ok, err := p.claim(t.Context(), stop)
	if !ok || err != nil || r.ID != full.ID {
		t.Fatal(ok, err)
	}
	f := openFinding(t, st, "res_web1_/srv", "fs_full", ops.Critical)
	for range 2 {
		if err := p.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(context.Cause(running), errGaveWay) {
		t.Fatal("it does not give way", context.Cause(running))
	}
	p.carryOut(t.Context(), running, r)
	if r := runOf(t, p, full.ID); r.State != ops.RunQueued {
		t.Fatalf("%+v", r)
	}
	pass(t, p)
	if r := runOf(t, p, full.ID); r.State != ops.RunQueued {
		t.Fatalf("the full run went first: %+v", r)
	}
	pass(t, p)
	r = runOf(t, p, full.ID)
	if r.State != ops.RunDone || r.Starts != 2 || !slices.Contains(append(r.Detail.New, r.Detail.Known...), f.ID) {
		t.Fatalf("%+v", r)
	}
	outcomes(t, p)
}

// The schedule and the look after the start come by the clock, without a run
// of the passes being late or double.
func TestClockAsksForRuns(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st := storetest.Open(t, "sqlite:"+dir+"/reeve.db")
		defer st.Close()
		p := newPatrol(t, st, func(o *Options) { o.Settings.Every = leastEvery })
		populate(t, st, estateOfTwo())
		group := loop.NewGroup(quietLog)
		for _, l := range p.Loops() {
			group.Add(l)
		}
		group.Start(t.Context())
		defer group.Stop(t.Context())
		done := func() []string {
			all, _, err := st.Runs(t.Context(), store.RunFilter{States: []string{"done"}})
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, r := range all {
				kinds = append(kinds, string(r.Trigger))
			}
			return kinds
		}
		wait := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		wait(20 * time.Second)
		if got := done(); len(got) != 0 {
			t.Fatal("too early:", got)
		}
		wait(30 * time.Second)
		if got := done(); len(got) != 1 || got[0] != "startup" {
			t.Fatal(got)
		}
		wait(20*time.Minute + time.Minute)
		if got := done(); len(got) != 3 || got[0] != "scheduled" || got[1] != "scheduled" {
			t.Fatal(got)
		}
	})
}

// A look within the hour is enough after a start.
func TestNoLookAfterAStartSoonAfterOne(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	ask(t, p)
	pass(t, p)
	p = newPatrol(t, st, nil)
	if err := p.startup(t.Context(), p.started.Add(startupAfter)); err != nil {
		t.Fatal(err)
	}
	if queued, err := st.QueuedRuns(t.Context()); err != nil || len(queued) != 0 {
		t.Fatal(queued, err)
	}
	p = newPatrol(t, st, nil)
	if err := p.startup(t.Context(), p.started.Add(2*freshFor)); err != nil {
		t.Fatal(err)
	}
	if queued, err := st.QueuedRuns(t.Context()); err != nil || len(queued) != 1 {
		t.Fatal(queued, err)
	}
}

// Runs that fail one after the other are counted until one is done again.
func TestFailuresInARowAreCounted(t *testing.T) {
	st := storetest.SQLite(t)
	broken := true
	p := newPatrol(t, st, func(o *Options) {
		o.Knowledge.Notes = func(context.Context, []string) ([]ops.Note, error) {
			if broken {
				return nil, errors.New("disk gone")
			}
			return nil, nil
		}
	})
	populate(t, st, estateOfTwo())
	for want := range int64(4) {
		n, why, err := p.Failing(t.Context())
		if err != nil || n != want || want > 0 && !strings.Contains(why, "disk gone") {
			t.Fatalf("%d failed in a row because %q, %v; want %d", n, why, err, want)
		}
		r := ask(t, p)
		pass(t, p)
		if r = runOf(t, p, r.ID); r.State != ops.RunFailed || r.Health != ops.RunNotDone {
			t.Fatalf("%+v", r)
		}
		<-time.After(2 * time.Millisecond) // Outcomes of one millisecond have no order.
	}
	broken = false
	ask(t, p)
	pass(t, p)
	if n, _, err := p.Failing(t.Context()); n != 0 || err != nil {
		t.Fatal(n, err)
	}
}
