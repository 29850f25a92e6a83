package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func newInvestigation(incident string) ops.Investigation {
	return ops.Investigation{ID: ops.NewID(ops.InvestigationID), IncidentID: incident, Trigger: "policy", Actor: "investigate",
		State: ops.InvestigationQueued, Attempt: 1, QueuedAt: t0, Version: 1}
}

func TestInvestigationGoesThroughItsLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := newInvestigation("inc_1")
		i.NotBefore = t0.Add(time.Minute)
		do(t, s, func(tx *store.Tx) error { return tx.QueueInvestigation(t.Context(), i, why) })
		got, err := s.Investigation(t.Context(), i.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(i, got); d != "" {
			t.Fatal(d)
		}
		claim := func(at time.Time) (ok bool) {
			if err := s.Tx(t.Context(), at, func(tx *store.Tx) error {
				got, ok, err = tx.ClaimInvestigation(t.Context(), 3, why)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if claim(t0) {
			t.Fatal("it began before its pause was over")
		}
		if !claim(t0.Add(time.Minute)) || got.State != ops.InvestigationRunning || got.Starts != 1 {
			t.Fatalf("%+v", got)
		}
		cost := int64(120)
		got.Detail.Steps = []ops.InvestigationStep{{Kind: "runbook", Name: "read_metric", Shows: "it rose"}}
		do(t, s, func(tx *store.Tx) error { got, err = tx.ProgressInvestigation(t.Context(), got); return err })
		do(t, s, func(tx *store.Tx) error {
			got, err = tx.MoveInvestigation(t.Context(), got, ops.InvestigationExplain, why, func(i *ops.Investigation) {
				i.EndedAt, i.Summary, i.Confidence, i.Tokens, i.Cost = t0, "a log grew", "high", ops.Tokens{Input: 7}, &cost
			})
			return err
		})
		stored, err := s.Investigation(t.Context(), i.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, stored); d != "" {
			t.Fatal(d)
		}
		if _, active, err := s.ActiveInvestigation(t.Context(), "inc_1"); active || err != nil {
			t.Fatal(active, err)
		}
		err = s.Tx(t.Context(), t0, func(tx *store.Tx) error {
			_, err := tx.MoveInvestigation(t.Context(), stored, ops.InvestigationStart, why, func(*ops.Investigation) {})
			return err
		})
		if ops.KindOf(err) != ops.Conflict {
			t.Fatal(err)
		}
		moves, err := s.Transitions(t.Context(), store.TransitionFilter{Object: "investigation", ObjectID: i.ID})
		if err != nil || len(moves) != 3 || moves[2].To != "explained" || moves[2].Facts["confidence"] != "high" {
			t.Fatalf("%+v %v", moves, err)
		}
	})
}

// Whoever comes second is told which one is active.
func TestOneActiveInvestigationAnIncident(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first := newInvestigation("inc_1")
		do(t, s, func(tx *store.Tx) error { return tx.QueueInvestigation(t.Context(), first, why) })
		err := s.Tx(t.Context(), t0, func(tx *store.Tx) error { return tx.QueueInvestigation(t.Context(), newInvestigation("inc_1"), why) })
		if ops.KindOf(err) != ops.Conflict || !strings.Contains(err.Error(), first.ID) {
			t.Fatal(err)
		}
		do(t, s, func(tx *store.Tx) error { return tx.QueueInvestigation(t.Context(), newInvestigation("inc_2"), why) })
		do(t, s, func(tx *store.Tx) error {
			_, err := tx.MoveInvestigation(t.Context(), first, ops.InvestigationSupersede, why, func(*ops.Investigation) {})
			return err
		})
		do(t, s, func(tx *store.Tx) error { return tx.QueueInvestigation(t.Context(), newInvestigation("inc_1"), why) })
	})
}

// Sixteen workers that claim at one time start no more than are allowed, and
// none twice.
func TestNoMoreInvestigationsAtOnceThanAllowed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do(t, s, func(tx *store.Tx) error {
			for n := range 12 {
				i := newInvestigation(fmt.Sprintf("inc_%d", n))
				if n == 7 {
					i.Trigger = "manual"
				}
				if err := tx.QueueInvestigation(t.Context(), i, why); err != nil {
					return err
				}
			}
			return nil
		})
		claimed := make([]string, 16)
		var workers sync.WaitGroup
		for n := range claimed {
			workers.Go(func() {
				err := s.Tx(t.Context(), t0, func(tx *store.Tx) error {
					i, ok, err := tx.ClaimInvestigation(t.Context(), 3, why)
					if ok {
						claimed[n] = i.IncidentID
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		seen := map[string]bool{}
		for _, id := range claimed {
			if id != "" && seen[id] {
				t.Errorf("%s was started twice", id)
			}
			seen[id] = true
		}
		delete(seen, "")
		if len(seen) != 3 || !seen["inc_7"] {
			t.Fatalf("started %v; three were allowed, and the one that a person asked for goes first", seen)
		}
		running, _, err := s.Investigations(t.Context(), store.InvestigationFilter{States: []string{"running"}})
		if err != nil || len(running) != 3 {
			t.Fatal(len(running), err)
		}
	})
}

func TestInvestigationsArePaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do(t, s, func(tx *store.Tx) error {
			for n := range 11 {
				i := newInvestigation("inc_1")
				i.QueuedAt = t0.Add(time.Duration(n/2) * time.Second)
				if err := tx.QueueInvestigation(t.Context(), i, why); err != nil {
					return err
				}
				if _, err := tx.MoveInvestigation(t.Context(), i, ops.InvestigationFail, why, func(*ops.Investigation) {}); err != nil {
					return err
				}
			}
			return tx.QueueInvestigation(t.Context(), newInvestigation("inc_2"), why)
		})
		f, seen := store.InvestigationFilter{Incident: "inc_1", Limit: 4}, map[string]bool{}
		for next := &f.After; next != nil; {
			f.After = *next
			var page []ops.Investigation
			var err error
			if page, next, err = s.Investigations(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				seen[i.ID] = true
			}
		}
		if len(seen) != 11 {
			t.Fatal(len(seen))
		}
	})
}
