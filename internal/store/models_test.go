package store_test

import (
	"context"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func micro(n int64) *int64 { return &n }

func addCalls(t *testing.T, s *store.Store, calls ...ops.ModelCall) {
	t.Helper()
	err := s.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
		for _, c := range calls {
			c.ID = ops.NewID(ops.CallID)
			if err := tx.AddModelCall(t.Context(), c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var firstDay = time.Date(2026, 11, 1, 23, 0, 0, 0, time.UTC)

// someCalls are two models of one provider and one of another, over two days.
func someCalls() []ops.ModelCall {
	return []ops.ModelCall{
		{At: firstDay, Model: "acme:large", Use: ops.UsePatrol, RunID: "run_1", LatencyMS: 100, Tokens: ops.Tokens{Input: 1000, Cached: 400, Output: 100}, CostMicroUSD: micro(5000), Outcome: "ok"},
		{At: firstDay.Add(time.Minute), Model: "acme:small", Use: ops.UsePatrol, RunID: "run_1", ResourceID: "res_1", LatencyMS: 300, Tokens: ops.Tokens{Input: 10}, Outcome: "transient", Err: "acme: transient"},
		{At: firstDay.Add(2 * time.Hour), Model: "local:tiny", Use: ops.UseChat, Tokens: ops.Tokens{Input: 7, Output: 3, Reasoning: 2}, Estimated: true, CostMicroUSD: micro(0), Outcome: "ok"},
	}
}

func TestUsageIsGroupedByEveryKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addCalls(t, s, someCalls()...)
		want := map[string][]string{"provider": {"acme", "local"}, "model": {"acme:large", "acme:small", "local:tiny"}, "use": {"patrol", "chat"},
			"resource": {"", "res_1"}, "day": {"2026-11-01", "2026-11-02"}}
		for by, keys := range want {
			all, err := s.ModelUsage(t.Context(), by, time.Time{})
			if err != nil || len(all) != len(keys) {
				t.Fatalf("by %s: %v %v", by, all, err)
			}
			var sum ops.Spend
			for i, u := range all {
				if u.Key != keys[i] {
					t.Errorf("by %s: %q stands where %q should", by, u.Key, keys[i])
				}
				sum = sum.Plus(u.Spend)
			}
			if sum != (ops.Spend{Calls: 3, Input: 1017, Output: 103, MicroUSD: 5000, Unpriced: 10}) {
				t.Errorf("by %s: %+v", by, sum)
			}
		}
		acme, err := s.ModelUsage(t.Context(), "provider", time.Time{})
		if err != nil || acme[0].Failed != 1 || acme[0].Cached != 400 || acme[0].LatencyMS != 200 {
			t.Errorf("%+v %v", acme, err)
		}
		if _, err := s.ModelUsage(t.Context(), "colour", time.Time{}); ops.KindOf(err) != ops.Invalid {
			t.Errorf("by colour: %v", err)
		}
	})
}

func TestSpendCountsByTimeAndRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addCalls(t, s, someCalls()...)
		late, err := s.ModelSpend(t.Context(), "", firstDay.Add(time.Second))
		if err != nil || late.Calls != 2 || late.Input != 17 {
			t.Errorf("late: %+v %v", late, err)
		}
		run, err := s.ModelSpend(t.Context(), "run_1", time.Time{})
		if err != nil || run != (ops.Spend{Calls: 2, Input: 1010, Output: 100, MicroUSD: 5000, Unpriced: 10}) {
			t.Errorf("run: %+v %v", run, err)
		}
		course, err := s.ModelSpendCourse(t.Context(), firstDay.Add(-time.Hour), time.Hour)
		if err != nil || len(course) != 2 || course[0].Calls != 2 || !course[0].From.Equal(firstDay) || course[1].Calls != 1 {
			t.Errorf("course: %+v %v", course, err)
		}
	})
}

func TestModelCallsArePaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addCalls(t, s, someCalls()...)
		page, next, err := s.ModelCalls(t.Context(), store.ModelCallFilter{Limit: 2})
		if err != nil || len(page) != 2 || next == nil || page[0].Model != "local:tiny" || !page[0].Estimated || page[1].CostMicroUSD != nil {
			t.Fatalf("%+v %v %v", page, next, err)
		}
		page, next, err = s.ModelCalls(t.Context(), store.ModelCallFilter{Limit: 2, After: *next})
		if err != nil || len(page) != 1 || next != nil || *page[0].CostMicroUSD != 5000 || page[0].Tokens.Cached != 400 {
			t.Fatalf("%+v %v %v", page, next, err)
		}
		failed, _, err := s.ModelCalls(t.Context(), store.ModelCallFilter{Outcome: "failed"})
		if err != nil || len(failed) != 1 || failed[0].Err != "acme: transient" {
			t.Errorf("%+v %v", failed, err)
		}
		last, err := s.LastModelCalls(t.Context(), []string{"local:tiny", "acme:large", "none:at-all"})
		if err != nil || len(last) != 2 || last[0].Model != "acme:large" {
			t.Errorf("%+v %v", last, err)
		}
		ended := ops.ModelCall{At: firstDay.Add(time.Hour), Model: "acme:large", Use: "chat", Outcome: ops.CallCancelled}
		addCalls(t, s, ended)
		settled, err := s.LastModelCalls(t.Context(), []string{"acme:large"})
		if err != nil || len(settled) != 1 || settled[0].ID != last[0].ID {
			t.Errorf("a call that was ended hides what is known: %+v %v", settled, err)
		}
	})
}

func TestResetOfUsageIsAuditedAndKeepsTheCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addCalls(t, s, someCalls()...)
		at := firstDay.Add(time.Hour)
		for range 2 {
			err := s.Tx(t.Context(), at, func(tx *store.Tx) error {
				return tx.ResetUsage(t.Context(), store.Why{Actor: "user:eve", Reason: "new month"})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if reset, err := s.UsageReset(t.Context()); err != nil || !reset.Equal(at) {
			t.Errorf("reset at %v %v", reset, err)
		}
		all, err := s.Transitions(t.Context(), store.TransitionFilter{Object: "settings"})
		if err != nil || len(all) != 2 || all[0].Reason != "new month" || all[0].Facts["calls"] != "3" || all[1].Facts["calls"] != "1" {
			t.Errorf("%+v %v", all, err)
		}
		if calls, _, err := s.ModelCalls(t.Context(), store.ModelCallFilter{}); err != nil || len(calls) != 3 {
			t.Errorf("%d calls %v", len(calls), err)
		}
	})
}

func TestOldModelCallsArePruned(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		addCalls(t, s, someCalls()...)
		var n int64
		err := s.Tx(t.Context(), time.Now(), func(tx *store.Tx) (err error) {
			n, err = tx.PruneModelCalls(t.Context(), firstDay.Add(time.Hour))
			return err
		})
		if err != nil || n != 2 {
			t.Errorf("%d %v", n, err)
		}
	})
}

func TestExamsAreKeptByModel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		in := func(f func(context.Context, *store.Tx) error) {
			t.Helper()
			if err := s.Tx(t.Context(), time.Now(), func(tx *store.Tx) error { return f(t.Context(), tx) }); err != nil {
				t.Fatal(err)
			}
		}
		why := store.Why{Actor: "models", Reason: "asked for"}
		e := store.StoredExam{Model: "ollama:small", At: firstDay, Grade: "explain", Identity: "sha256:1", Result: `{"grade":"explain"}`}
		in(func(ctx context.Context, tx *store.Tx) error { return tx.SaveExam(ctx, e, why) })
		e.Grade = "patrol"
		in(func(ctx context.Context, tx *store.Tx) error { return tx.SaveExam(ctx, e, why) })
		if all, err := s.Exams(t.Context()); err != nil || len(all) != 1 || all[0] != e {
			t.Errorf("%+v %v", all, err)
		}
		in(func(ctx context.Context, tx *store.Tx) error { return tx.DropExam(ctx, e.Model, why) })
		in(func(ctx context.Context, tx *store.Tx) error { return tx.DropExam(ctx, e.Model, why) })
		all, err := s.Transitions(t.Context(), store.TransitionFilter{Object: "model"})
		if err != nil || len(all) != 3 || all[1].From != "explain" || all[1].To != "patrol" || all[2].Verb != "void" {
			t.Errorf("%+v %v", all, err)
		}
	})
}
