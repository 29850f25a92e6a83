package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func newRun(scope ops.RunScope) ops.Run {
	return ops.Run{ID: ops.NewID(ops.RunID), Trigger: ops.TriggerOpened, Triggers: 1, Actor: "test", Depth: "normal", Priority: 80,
		Asked: scope, State: ops.RunFlow.Start(), QueuedAt: t0, Version: 1}
}

func mustRun(t *testing.T, s *store.Store, id string) ops.Run {
	t.Helper()
	r, err := s.Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run keeps all that it did, moves only as its life allows, and only for who
// read it last.
func TestRunMovesOnceAndKeepsItsRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		r := newRun(ops.RunScope{Resources: []string{"res_1"}})
		do(t, s, func(tx *store.Tx) error { return tx.AddRun(ctx, r, why) })
		var started ops.Run
		do(t, s, func(tx *store.Tx) (err error) {
			started, err = tx.MoveRun(ctx, r, ops.RunStart, why, func(r *ops.Run) { r.StartedAt, r.Starts = tx.Now(), 1 })
			return err
		})
		err := s.Tx(ctx, t0, func(tx *store.Tx) error {
			_, err := tx.MoveRun(ctx, r, ops.RunStart, why, func(*ops.Run) {})
			return err
		})
		if ops.KindOf(err) != ops.Conflict {
			t.Fatalf("a run started twice: %v", err)
		}
		cost := int64(42)
		do(t, s, func(tx *store.Tx) error {
			_, err := tx.MoveRun(ctx, started, ops.RunFinish, why, func(r *ops.Run) {
				r.EndedAt, r.Health, r.Summary, r.Cost = t0.Add(time.Minute), ops.RunIssues, "one finding", &cost
				r.Tokens = ops.Tokens{Input: 7}
				r.Detail = ops.RunDetail{Effective: []string{"res_1"}, Complete: true, Items: []ops.RunItem{{Condition: "fs_full"}}}
			})
			return err
		})
		got := mustRun(t, s, r.ID)
		if got.State != ops.RunDone || *got.Cost != 42 || got.Tokens.Input != 7 || len(got.Detail.Items) != 1 || !got.Detail.Complete {
			t.Fatalf("%+v", got)
		}
		err = s.Tx(ctx, t0, func(tx *store.Tx) error {
			_, err := tx.MoveRun(ctx, got, ops.RunRequeue, why, func(*ops.Run) {})
			return err
		})
		if ops.KindOf(err) != ops.Conflict {
			t.Fatalf("a run that is done moved: %v", err)
		}
		moves, err := s.Transitions(ctx, store.TransitionFilter{Object: "run", ObjectID: r.ID})
		if err != nil || len(moves) != 3 || moves[2].To != "done" {
			t.Fatalf("%d transitions, %v", len(moves), err)
		}
	})
}

// A source that says the same twice makes one trigger.
func TestRepeatedTriggerChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, r := t.Context(), newRun(ops.RunScope{})
		do(t, s, func(tx *store.Tx) error { return tx.AddRun(ctx, r, why) })
		for i, want := range []bool{true, false} {
			do(t, s, func(tx *store.Tx) error {
				fresh, err := tx.AddTrigger(ctx, ops.RunTrigger{ID: ops.NewID(ops.TriggerID), Kind: ops.TriggerOpened, Actor: "test", SourceID: "7", At: t0,
					RunID: r.ID, Scope: ops.RunScope{Kinds: []ops.Kind{ops.KindHost}}})
				if fresh != want {
					t.Errorf("time %d: fresh %v", i, fresh)
				}
				return err
			})
		}
		all, err := s.TriggersOfRun(ctx, r.ID, 10)
		if err != nil || len(all) != 1 || len(all[0].Scope.Kinds) != 1 {
			t.Fatal(all, err)
		}
		if n, lost, err := s.CountTriggers(ctx); n != 1 || lost != 0 || err != nil {
			t.Fatal(n, lost, err)
		}
	})
}

// Lists page without a gap, and a scope finds its own runs.
func TestRunsPageAndAreFoundByScope(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		mine := ops.RunScope{Resources: []string{"res_1", "res_2"}}
		do(t, s, func(tx *store.Tx) error {
			for i := range 25 {
				r := newRun(ops.RunScope{})
				if i%5 == 0 {
					r = newRun(mine)
				}
				r.QueuedAt = t0.Add(time.Duration(i) * time.Second)
				if err := tx.AddRun(ctx, r, why); err != nil {
					return err
				}
				if r, err := tx.MoveRun(ctx, r, ops.RunStart, why, func(r *ops.Run) { r.StartedAt = r.QueuedAt }); err != nil || i == 20 {
					return err
				} else if _, err := tx.MoveRun(ctx, r, ops.RunFinish, why, func(r *ops.Run) { r.EndedAt, r.Health = r.QueuedAt, ops.RunHealthy }); err != nil {
					return err
				}
			}
			return nil
		})
		seen, pages := map[string]bool{}, 0
		f := store.RunFilter{Limit: 4, Healths: []string{"healthy"}}
		for next := &f.After; next != nil; pages++ {
			f.After = *next
			page, more, err := s.Runs(ctx, f)
			if err != nil || pages > 9 {
				t.Fatal(err, pages)
			}
			for _, r := range page {
				seen[r.ID] = true
			}
			next = more
		}
		of, err := s.RunsOfScope(ctx, mine, 10)
		if len(seen) != 20 || len(of) != 4 || err != nil || of[0].QueuedAt.Before(of[1].QueuedAt) {
			t.Fatalf("%d on %d pages; %d of the scope, %v", len(seen), pages, len(of), err)
		}
		if last, err := s.LastRunStart(ctx); err != nil || !last.Equal(t0.Add(20*time.Second)) {
			t.Fatal(last, err)
		}
		running, err := s.RunningRuns(ctx)
		if err != nil || len(running) != 1 {
			t.Fatal(running, err)
		}
		ended, err := s.LastEnded(ctx, []string{"done"}, 1)
		if err != nil || len(ended) != 1 || !ended[0].EndedAt.Equal(t0.Add(19*time.Second)) {
			t.Fatal(ended, err)
		}
	})
}

// A run belongs to one server at a time.
func TestRunIsHeldByOneServer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, r := t.Context(), newRun(ops.RunScope{})
		do(t, s, func(tx *store.Tx) error {
			if err := tx.AddRun(ctx, r, why); err != nil {
				return err
			}
			_, err := tx.MoveRun(ctx, r, ops.RunStart, why, func(*ops.Run) {})
			return err
		})
		for _, x := range []struct {
			owner string
			want  bool
		}{{"a", true}, {"b", false}, {"a", true}} {
			do(t, s, func(tx *store.Tx) error {
				ok, err := tx.HoldRun(ctx, r.ID, x.owner)
				if ok != x.want {
					t.Errorf("%s holds: %v", x.owner, ok)
				}
				return err
			})
		}
		do(t, s, func(tx *store.Tx) error { return tx.ReleaseRun(ctx, r.ID) })
		do(t, s, func(tx *store.Tx) error {
			if ok, err := tx.HoldRun(ctx, r.ID, "b"); !ok {
				t.Error("nobody holds a run that was released", err)
			}
			return nil
		})
	})
}

// Old runs go with all that belongs to them; what waits stays.
func TestPruningTakesOldRunsWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		old, waits := newRun(ops.RunScope{}), newRun(ops.RunScope{Resources: []string{"res_1"}})
		do(t, s, func(tx *store.Tx) error {
			for _, r := range []ops.Run{old, waits} {
				if err := tx.AddRun(ctx, r, why); err != nil {
					return err
				}
				if _, err := tx.AddTrigger(ctx, ops.RunTrigger{ID: ops.NewID(ops.TriggerID), Kind: ops.TriggerManual, Actor: "test", SourceID: r.ID, At: t0, RunID: r.ID}); err != nil {
					return err
				}
				var events []store.RunEvent
				for i := range 250 {
					events = append(events, store.RunEvent{Seq: int64(i + 1), At: t0, Type: "phase", Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))})
				}
				if err := tx.AddRunEvents(ctx, r.ID, append(events, events[3])); err != nil {
					return err
				}
				if err := tx.SaveRunRecord(ctx, r.ID, `{"a":1}`); err != nil {
					return err
				}
			}
			_, err := tx.MoveRun(ctx, old, ops.RunCancel, why, func(r *ops.Run) { r.EndedAt = t0 })
			return err
		})
		events, err := s.RunEvents(ctx, old.ID, 240, 100)
		if err != nil || len(events) != 10 || events[0].Seq != 241 {
			t.Fatal(len(events), err)
		}
		do(t, s, func(tx *store.Tx) error {
			n, more, err := tx.PruneRuns(ctx, t0.Add(time.Hour))
			if n != 1 || more {
				t.Errorf("%d pruned, more %v", n, more)
			}
			return err
		})
		if _, err := s.Run(ctx, old.ID); ops.KindOf(err) != ops.NotFound {
			t.Fatal(err)
		}
		gone, err := s.LastRunEvent(ctx, old.ID)
		if err != nil || gone != 0 {
			t.Fatal(gone, err)
		}
		if _, ok, err := s.RunRecord(ctx, old.ID); ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, ok, err := s.RunRecord(ctx, waits.ID); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if got := mustRun(t, s, waits.ID); got.State != ops.RunQueued {
			t.Fatal(got.State)
		}
	})
}

// Looks are remembered for as long as spacing may ask.
func TestLooksAreRemembered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		do(t, s, func(tx *store.Tx) error {
			ids := []string{}
			for i := range 450 {
				ids = append(ids, fmt.Sprintf("res_%03d", i))
			}
			if err := tx.NoteLooks(ctx, ids, t0); err != nil {
				return err
			}
			return tx.NoteLooks(ctx, ids[:1], t0.Add(time.Minute))
		})
		all, err := s.Looks(ctx, t0.Add(-time.Second))
		if err != nil || len(all) != 450 || !all["res_000"].Equal(t0.Add(time.Minute)) {
			t.Fatal(len(all), err)
		}
		late, err := s.Looks(ctx, t0)
		if err != nil || len(late) != 1 {
			t.Fatal(late, err)
		}
	})
}

// A time finds its place in the order of commits.
func TestSequenceIsFoundByTime(t *testing.T) {
	s := storetest.SQLite(t)
	for i := range 37 {
		err := s.Tx(t.Context(), t0.Add(time.Duration(i)*time.Minute), func(tx *store.Tx) error {
			tx.Record(ops.Transition{Actor: "test", Verb: "try", Object: "thing", ObjectID: "x"})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		got, err := s.SeqAt(t.Context(), t0.Add(time.Duration(i)*time.Minute))
		if want := int64(min(i, 37)); err != nil || got != want {
			t.Fatalf("minute %d: %d, want %d, %v", i, got, want, err)
		}
	}
}
