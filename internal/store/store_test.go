package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

var t0 = time.UnixMilli(1_780_000_000_000).UTC()

var why = store.Why{Actor: "user:ann", Reason: "test"}

func do(t testing.TB, s *store.Store, f func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), t0, f); err != nil {
		t.Fatal(err)
	}
}

func newFinding(resource string) ops.Finding {
	return ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: resource, Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Warning,
		Peak: ops.Warning, Origin: "rule", Summary: "/var is 91 % full", Facts: map[string]string{"used": "91 %"}, FirstSeen: t0, LastSeen: t0,
		OpenedAt: t0, Count: 1, Episode: 1, Version: 1}
}

func TestFindingGoesThroughItsLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newFinding("res_1")
		do(t, s, func(tx *store.Tx) error { return tx.OpenFinding(t.Context(), f, why) })
		got, err := s.Finding(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Fatal(d)
		}
		do(t, s, func(tx *store.Tx) error {
			got, err = tx.MoveFinding(t.Context(), got, ops.FindingAcknowledge, why, func(f *ops.Finding) { f.AckedBy, f.AckedAt = "ann", t0 })
			return err
		})
		do(t, s, func(tx *store.Tx) error {
			got, err = tx.MoveFinding(t.Context(), got, ops.FindingRecover, why, func(f *ops.Finding) { f.ResolvedAt, f.ResolvedBy = t0, "recovered" })
			return err
		})
		stored, err := s.Finding(t.Context(), f.ID)
		if err != nil || stored.State != ops.FindingResolved || stored.AckedBy != "ann" || stored.Version != 3 {
			t.Fatalf("%+v %v", stored, err)
		}
		if d := cmp.Diff(got, stored); d != "" {
			t.Fatal(d)
		}
		moves, err := s.Transitions(t.Context(), store.TransitionFilter{Object: "finding", ObjectID: f.ID})
		if err != nil || len(moves) != 3 || moves[1].From != "open" || moves[1].To != "acknowledged" || moves[1].Actor != "user:ann" {
			t.Fatalf("%+v %v", moves, err)
		}
	})
}

func TestIllegalAndStaleMovesAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newFinding("res_1")
		do(t, s, func(tx *store.Tx) error { return tx.OpenFinding(t.Context(), f, why) })
		err := s.Tx(t.Context(), t0, func(tx *store.Tx) error {
			_, err := tx.MoveFinding(t.Context(), f, ops.FindingExpire, why, func(*ops.Finding) {})
			return err
		})
		if ops.KindOf(err) != ops.Conflict {
			t.Fatalf("an open finding expired: %v", err)
		}
		ack := func() error {
			return s.Tx(t.Context(), t0, func(tx *store.Tx) error {
				_, err := tx.MoveFinding(t.Context(), f, ops.FindingAcknowledge, why, func(*ops.Finding) {})
				return err
			})
		}
		if err := ack(); err != nil {
			t.Fatal(err)
		}
		if err := ack(); ops.KindOf(err) != ops.Conflict {
			t.Fatalf("a stale copy moved: %v", err)
		}
	})
}

func TestOneFindingIsAliveAFingerprint(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do(t, s, func(tx *store.Tx) error { return tx.OpenFinding(t.Context(), newFinding("res_1"), why) })
		err := s.Tx(t.Context(), t0, func(tx *store.Tx) error { return tx.OpenFinding(t.Context(), newFinding("res_1"), why) })
		if err == nil {
			t.Fatal("two findings of one fingerprint are alive")
		}
		do(t, s, func(tx *store.Tx) error { return tx.OpenFinding(t.Context(), newFinding("res_2"), why) })
		head, _, _ := s.Head(t.Context())
		if head != 2 {
			t.Fatalf("the refused one left a transition: head %d", head)
		}
	})
}

func TestFindingsPageByKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		want := map[string]bool{}
		do(t, s, func(tx *store.Tx) error {
			for i := range 25 {
				f := newFinding(fmt.Sprintf("res_%02d", i))
				f.OpenedAt = t0.Add(time.Duration(i/5) * time.Second)
				want[f.ID] = true
				if err := tx.OpenFinding(t.Context(), f, why); err != nil {
					return err
				}
			}
			return nil
		})
		filter := store.FindingFilter{Active: true, Limit: 7, Severities: []string{"warning"}, Text: "VAR is 91 %"}
		for pages := 0; ; pages++ {
			page, next, err := s.Findings(t.Context(), filter)
			if err != nil || pages > 5 {
				t.Fatal(pages, err)
			}
			for _, f := range page {
				if !want[f.ID] {
					t.Fatalf("%s twice", f.ID)
				}
				delete(want, f.ID)
			}
			if next == nil {
				break
			}
			filter.After = *next
		}
		if len(want) != 0 {
			t.Fatalf("%d findings are on no page", len(want))
		}
		if none, _, err := s.Findings(t.Context(), store.FindingFilter{Text: "100%_"}); err != nil || len(none) != 0 {
			t.Fatalf("wildcards of a search act: %v %v", none, err)
		}
	})
}

func TestResourceKeepsDesiredApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		r := ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindContainer, Name: "web", HostID: "h", HostName: "host1",
			Key: ops.ResourceKey{Host: "k", Source: "docker", Key: "web"}, Labels: map[string]string{"env": "dev", "app.io/x": "1"},
			Observed: ops.Attrs{"state": "running"}, Presence: ops.Present, Reachable: "online", FirstSeen: t0, ObservedAt: t0}
		do(t, s, func(tx *store.Tx) error { return tx.SaveResource(t.Context(), r, "id1") })
		got, err := s.Resource(t.Context(), r.ID)
		if err != nil || got.Version != 1 || got.Observed["state"] != "running" {
			t.Fatalf("%+v %v", got, err)
		}
		got.Observed = ops.Attrs{"state": "exited"}
		got.Desired = ops.Attrs{"state": "running"} // must not be written by an observation
		do(t, s, func(tx *store.Tx) error { return tx.SaveResource(t.Context(), got, "id2") })
		again, err := s.Resource(t.Context(), r.ID)
		if err != nil || len(again.Desired) != 0 || again.Observed["state"] != "exited" {
			t.Fatalf("%+v %v", again, err)
		}
		err = s.Tx(t.Context(), t0, func(tx *store.Tx) error { return tx.SaveResource(t.Context(), got, "id2") })
		if ops.KindOf(err) != ops.Conflict {
			t.Fatal(err)
		}
		byLabel, _, err := s.Resources(t.Context(), store.ResourceFilter{Labels: map[string]string{"app.io/x": "1"}, Kinds: []string{"container"}, Text: "WE"})
		if err != nil || len(byLabel) != 1 {
			t.Fatal(byLabel, err)
		}
		things, err := s.ResourceThings(t.Context())
		if err != nil || things[r.ID] != "id2" {
			t.Fatal(things, err)
		}
	})
}

func TestResourcesSortBothWays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do(t, s, func(tx *store.Tx) error {
			for i := range 12 {
				r := ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindDisk, Name: fmt.Sprintf("d%02d", i/2), HostID: "h", HostName: "x",
					Key: ops.ResourceKey{Host: "k", Source: "linux", Key: fmt.Sprint(i)}, Presence: ops.Present, Reachable: "online",
					FirstSeen: t0, ObservedAt: t0.Add(time.Duration(i) * time.Second)}
				if err := tx.SaveResource(t.Context(), r, ""); err != nil {
					return err
				}
			}
			return nil
		})
		for _, sort := range []string{"name", "-name", "kind", "-kind", "observed_at", "-observed_at", "host"} {
			f, seen := store.ResourceFilter{Sort: sort, Limit: 5}, map[string]bool{}
			for {
				page, next, err := s.Resources(t.Context(), f)
				if err != nil {
					t.Fatal(sort, err)
				}
				for _, r := range page {
					seen[r.ID] = true
				}
				if next == nil {
					break
				}
				f.After = *next
			}
			if len(seen) != 12 {
				t.Errorf("sorted by %s: %d of 12", sort, len(seen))
			}
		}
		if _, _, err := s.Resources(t.Context(), store.ResourceFilter{Sort: "colour"}); ops.KindOf(err) != ops.Invalid {
			t.Fatal(err)
		}
	})
}

func TestSignalsAndEventsAreKeptOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sig := ops.Signal{ID: ops.NewID(ops.SignalID), Source: "rule", SourceID: "a/1", Condition: "fs_full", ResourceID: "res_1", Edge: ops.SignalRaised,
			Severity: ops.Warning, Facts: map[string]string{"x": "y"}, EventAt: t0, ReceivedAt: t0}
		event := store.StoredEvent{ResourceID: "res_1", Collector: "kernel_events", Event: ops.Event{Type: ops.EventOOMKill, At: t0, Text: "x", SourceID: "7", Count: 1}}
		for i := range 2 {
			do(t, s, func(tx *store.Tx) error {
				fresh, err := tx.AddSignal(t.Context(), sig)
				if fresh != (i == 0) {
					t.Errorf("signal %d: fresh %v", i, fresh)
				}
				return errors.Join(err, tx.AddEvents(t.Context(), []store.StoredEvent{event}))
			})
			sig.ID = ops.NewID(ops.SignalID)
		}
		events, err := s.EventsSince(t.Context(), []string{"oom_kill"}, t0.Add(-time.Second))
		if err != nil || len(events) != 1 || events[0].Text != "x" {
			t.Fatal(events, err)
		}
		signals, err := s.Signals(t.Context(), "res_1", "fs_full", 0)
		if err != nil || len(signals) != 1 || signals[0].Facts["x"] != "y" {
			t.Fatal(signals, err)
		}
	})
}

func TestDeliveriesAreEnqueuedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := ops.Delivery{ID: ops.NewID(ops.DeliveryID), Channel: "mail", DedupeKey: "inc_1/opened/mail", IncidentID: "inc_1",
			Message: ops.Message{Title: "x", At: t0}, NextAt: t0, CreatedAt: t0}
		for i := range 2 {
			do(t, s, func(tx *store.Tx) error {
				fresh, err := tx.Enqueue(t.Context(), d, why)
				if fresh != (i == 0) {
					t.Errorf("%d: fresh %v", i, fresh)
				}
				return err
			})
		}
		due, err := s.DueDeliveries(t.Context(), ops.DeliveryQueued, t0, 10)
		if err != nil || len(due) != 1 || due[0].Message.Title != "x" {
			t.Fatal(due, err)
		}
		claim := func() error {
			return s.Tx(t.Context(), t0, func(tx *store.Tx) error {
				_, err := tx.MoveDelivery(t.Context(), due[0], ops.DeliverySend, why, func(d *ops.Delivery) { d.Attempts++ })
				return err
			})
		}
		if err := claim(); err != nil {
			t.Fatal(err)
		}
		if err := claim(); ops.KindOf(err) != ops.Conflict {
			t.Fatalf("two senders took one delivery: %v", err)
		}
		if n, err := s.CountDeliveries(t.Context(), store.DeliveryFilter{States: []string{"sending"}, Channel: "mail"}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	})
}

func TestRemovedResourcesAreForgottenWhenNothingTellsOfThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		make := func(key string, p ops.Presence) ops.Resource {
			r := ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindContainer, Name: key, HostID: "h", HostName: "x",
				Key: ops.ResourceKey{Host: "k", Source: "docker", Key: key}, Presence: p, Reachable: "online", FirstSeen: t0, ObservedAt: t0}
			do(t, s, func(tx *store.Tx) error { return tx.SaveResource(t.Context(), r, "thing") })
			return r
		}
		here, gone, told := make("here", ops.Present), make("gone", ops.Removed), make("told", ops.Removed)
		do(t, s, func(tx *store.Tx) error { return tx.OpenFinding(t.Context(), newFinding(told.ID), why) })
		do(t, s, func(tx *store.Tx) error {
			n, err := tx.PruneResources(t.Context(), t0.Add(time.Hour))
			if n != 1 {
				t.Errorf("%d rows", n)
			}
			return err
		})
		for r, want := range map[*ops.Resource]bool{&here: true, &gone: false, &told: true} {
			_, thing, ok, err := s.ResourceByKey(t.Context(), r.Key)
			if err != nil || ok != want || ok && thing != "thing" {
				t.Errorf("%s: %v %v", r.Name, ok, err)
			}
		}
	})
}
