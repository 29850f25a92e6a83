package store_test

import (
	"fmt"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// A search for a rare word ends in bounded steps and leaves nothing out.
func TestTextSearchGoesOnOverEmptyPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const many = 20_050
		wanted := map[int]bool{0: true, 5000: true, 10_049: true, 10_050: true, many - 1: true}
		do(t, s, func(tx *store.Tx) error {
			for i := range many {
				f := newFinding(fmt.Sprintf("res_%05d", i))
				f.OpenedAt = t0.Add(time.Duration(i/3) * time.Second)
				if wanted[i] {
					f.Summary = "a Zebra is in the way"
				}
				if err := tx.OpenFinding(t.Context(), f, why); err != nil {
					return err
				}
			}
			return nil
		})
		filter := store.FindingFilter{Text: "zebra", Limit: 10}
		found, pages, partly := 0, 0, false
		for next := &filter.After; next != nil; pages++ {
			filter.After = *next
			var page []ops.Finding
			var err error
			if page, next, err = s.Findings(t.Context(), filter); err != nil || pages > 10 {
				t.Fatal(pages, err)
			}
			found += len(page)
			partly = partly || next != nil && len(page) < filter.Limit
		}
		if found != len(wanted) || !partly {
			t.Fatalf("found %d of %d on %d pages, one of them shorter: %v", found, len(wanted), pages, partly)
		}
		none, next, err := s.Findings(t.Context(), store.FindingFilter{Text: "unobtainium"})
		if err != nil || len(none) != 0 || next == nil {
			t.Fatalf("%d %v %v", len(none), next, err)
		}
	})
}

// Every combination of filters answers what it says, whichever index reads it.
func TestFindingFiltersCombine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var all []ops.Finding
		do(t, s, func(tx *store.Tx) error {
			for i := range 24 {
				f := newFinding(fmt.Sprintf("res_%d", i))
				f.Condition = []string{"fs_full", "check_failing"}[i%2]
				f.Severity = []ops.Severity{ops.Warning, ops.Critical}[i/2%2]
				err := tx.OpenFinding(t.Context(), f, why)
				for n := 0; err == nil && n < i%4; n++ {
					on := []ops.FindingEvent{ops.FindingAcknowledge, ops.FindingRecover, ops.FindingExpire}[n]
					f, err = tx.MoveFinding(t.Context(), f, on, why, func(*ops.Finding) {})
				}
				if err != nil {
					return err
				}
				all = append(all, f)
			}
			return nil
		})
		states := [][]string{nil, {"open"}, {"resolved"}, {"closed"}, {"acknowledged", "resolved"}, {"open", "closed"}}
		for i := range 2 * len(states) * 3 * 3 {
			f := store.FindingFilter{Active: i%2 == 1, States: states[i/2%len(states)], Limit: 100,
				Severities: [][]string{nil, {"critical"}, {"warning", "critical"}}[i/12%3], Condition: []string{"", "fs_full", "zombies"}[i/36%3]}
			want := 0
			for _, x := range all {
				if passes(x, f) {
					want++
				}
			}
			got, _, err := s.Findings(t.Context(), f)
			if err != nil || len(got) != want {
				t.Errorf("%+v answers %d, not %d: %v", f, len(got), want, err)
			}
		}
	})
}

func passes(x ops.Finding, f store.FindingFilter) bool {
	in := func(list []string, v string) bool {
		for _, one := range list {
			if one == v {
				return true
			}
		}
		return list == nil
	}
	return (!f.Active || x.Active()) && in(f.States, string(x.State)) && in(f.Severities, string(x.Severity)) && (f.Condition == "" || x.Condition == f.Condition)
}
