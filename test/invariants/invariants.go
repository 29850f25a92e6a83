// Package invariants checks a database at rest against the invariants of the
// domain, for tests that crash, restart and shuffle.
package invariants

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// Check answers which invariants of 2-domain.md do not hold in a database at
// rest. Told says that channels are configured and had time to be told.
func Check(ctx context.Context, s *store.Store, told bool) error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if good, broken, err := s.VerifyAudit(ctx, func(int64, int64) {}); err != nil || broken != nil {
		bad("audit: %d good, %+v, %v", good, broken, err)
	}
	states, err := Replay(ctx, s)
	if err != nil {
		return err
	}
	findings, _, err := s.Findings(ctx, store.FindingFilter{All: true})
	if err != nil {
		return err
	}
	alive := map[string]string{}
	for _, f := range findings {
		if got := states["finding "+f.ID]; got != string(f.State) {
			bad("finding %s is %s, its transitions end at %q (invariant 6)", f.ID, f.State, got)
		}
		if f.State == ops.FindingClosed {
			continue
		}
		key := ops.Fingerprint(f.ResourceID, f.Condition)
		if other := alive[key]; other != "" {
			bad("%s and %s are alive for one fingerprint (invariant 1)", other, f.ID)
		}
		alive[key] = f.ID
		if f.Active() && f.IncidentID == "" {
			bad("finding %s is in no incident", f.ID)
		}
	}
	return errors.Join(append(wrong, incidents(ctx, s, states, told), runs(ctx, s, states))...)
}

// runs checks that every accepted trigger names a run, and that a run is what
// its transitions say.
func runs(ctx context.Context, s *store.Store, states map[string]string) error {
	_, lost, err := s.CountTriggers(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	if lost > 0 {
		wrong = append(wrong, fmt.Errorf("%d accepted triggers have no run (invariant 8)", lost))
	}
	f := store.RunFilter{Limit: 1000}
	for next := &f.After; next != nil; {
		f.After = *next
		var page []ops.Run
		if page, next, err = s.Runs(ctx, f); err != nil {
			return err
		}
		for _, r := range page {
			if got := states["run "+r.ID]; got != string(r.State) {
				wrong = append(wrong, fmt.Errorf("run %s is %s, its transitions end at %q (invariant 6)", r.ID, r.State, got))
			}
		}
	}
	return errors.Join(wrong...)
}

func incidents(ctx context.Context, s *store.Store, states map[string]string, told bool) error {
	var wrong []error
	all, _, err := s.Incidents(ctx, store.IncidentFilter{All: true})
	if err != nil {
		return err
	}
	for _, i := range all {
		if got := states["incident "+i.ID]; got != string(i.State) {
			wrong = append(wrong, fmt.Errorf("incident %s is %s, its transitions end at %q (invariant 6)", i.ID, i.State, got))
		}
		n, err := s.CountDeliveries(ctx, store.DeliveryFilter{Incident: i.ID})
		if err != nil {
			return err
		}
		if told && n == 0 {
			wrong = append(wrong, fmt.Errorf("incident %s has no delivery (invariant 6)", i.ID))
		}
	}
	return errors.Join(wrong...)
}

// moving are the objects whose transitions are moves of a lifecycle.
var moving = []string{"finding", "incident", "delivery", "run"}

// Replay follows every transition from state to state: each must begin where
// the last one of its object ended, and none may leave a terminal state.
func Replay(ctx context.Context, s *store.Store) (map[string]string, error) {
	states := map[string]string{}
	for after := int64(0); ; {
		page, err := s.Transitions(ctx, store.TransitionFilter{After: after, Limit: 1000})
		if err != nil || len(page) == 0 {
			return states, err
		}
		for _, t := range page {
			after = t.Seq
			if t.To == "" || !slices.Contains(moving, t.Object) {
				continue
			}
			key := t.Object + " " + t.ObjectID
			if states[key] != t.From {
				return states, fmt.Errorf("transition %d (%s of %s) begins at %q, the one before ended at %q (invariant 6)", t.Seq, t.Verb, key, t.From, states[key])
			}
			states[key] = t.To
		}
	}
}
