package watch_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/detectors"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/invariants"
)

// A turn is one thing that happens to an estate.
type turn struct {
	What  string
	Mount string
	Used  float64
	For   time.Duration
}

func turns() *rapid.Generator[[]turn] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) turn {
		return turn{
			What:  rapid.SampledFrom([]string{"fill", "fill", "fill", "ack", "snooze", "unsuppress", "claim", "restart", "unmount"}).Draw(t, "what"),
			Mount: rapid.SampledFrom([]string{"/", "/var", "/srv"}).Draw(t, "mount"),
			Used:  rapid.SampledFrom([]float64{0.4, 0.82, 0.9, 0.97}).Draw(t, "used"),
			For:   time.Duration(rapid.SampledFrom([]int{10, 40, 90, 400, 90000}).Draw(t, "for")) * time.Second,
		}
	}), 4, 14)
}

// TestWhateverHappensTheInvariantsHold plays random histories on a real
// database: at most one finding is alive for a fingerprint, every move has its
// transition and begins where the last one ended, no signal is lost, and a
// restart changes nothing.
func TestWhateverHappensTheInvariantsHold(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		f.Value.Set("30") // each opens real databases; make soak runs many
	}
	rapid.Check(t, func(rt *rapid.T) {
		history := turns().Draw(rt, "history")
		dir, err := os.MkdirTemp(t.TempDir(), "estate")
		if err != nil {
			rt.Fatal(err)
		}
		var failed error
		synctest.Test(t, func(t *testing.T) {
			e := &estate{t: t, dir: dir, defs: detectors.All(), fs: map[string]float64{"/": 0.4, "/var": 0.4, "/srv": 0.4}, state: map[string]ops.Attrs{}}
			e.open()
			defer func() { e.close() }()
			failed = play(e, history)
		})
		if failed != nil {
			rt.Fatal(failed)
		}
	})
}

func play(e *estate, history []turn) error {
	for i, x := range history {
		if err := e.turn(x); err != nil {
			return fmt.Errorf("turn %d %+v: %w", i, x, err)
		}
		if err := errors.Join(invariants.Check(context.Background(), e.store, false), noSignalLost(e)); err != nil {
			return fmt.Errorf("after turn %d %+v: %w", i, x, err)
		}
	}
	return nil
}

func (e *estate) turn(x turn) error {
	switch x.What {
	case "fill":
		e.fs[x.Mount] = x.Used
	case "unmount":
		delete(e.fs, x.Mount)
	case "restart":
		e.close()
		e.open()
	default:
		for _, f := range e.findings(true) {
			if err := e.person(x.What, f); err != nil && ops.KindOf(err) != ops.Conflict {
				return err
			}
		}
	}
	if x.For > time.Hour { // nobody looks that often: sleep, then look
		time.Sleep(x.For - time.Minute)
		x.For = time.Minute
	}
	e.run(x.For)
	return nil
}

func (e *estate) person(what string, f ops.Finding) error {
	ctx := context.Background()
	var err error
	switch what {
	case "ack":
		_, err = e.watch.AckFinding(ctx, f.ID, "user:ann", "")
	case "snooze":
		_, err = e.watch.Suppress(ctx, f.ID, ops.Suppression{Kind: ops.SuppressSnooze, Reason: "later", Actor: "user:ann", Until: time.Now().Add(time.Hour)})
	case "unsuppress":
		_, err = e.watch.Unsuppress(ctx, f.ID, "user:ann", "")
	case "claim":
		_, err = e.watch.Resolve(ctx, f.ID, "user:ann", "done")
	}
	return err
}

// noSignalLost checks that every raised signal is an episode of a finding.
func noSignalLost(e *estate) error {
	ctx := context.Background()
	episodes, err := episodesOf(ctx, e.store)
	if err != nil {
		return err
	}
	for key, n := range episodes {
		signals, err := e.store.Signals(ctx, key.resource, key.condition, 1000)
		if err != nil {
			return err
		}
		raised := int64(0)
		for _, s := range signals {
			if s.Edge == ops.SignalRaised {
				raised++
			}
		}
		if raised != n {
			return fmt.Errorf("%d signals raised %s, its findings have %d episodes", raised, key, n)
		}
	}
	return nil
}

type pair struct{ resource, condition string }

func episodesOf(ctx context.Context, s *store.Store) (map[pair]int64, error) {
	all, _, err := s.Findings(ctx, store.FindingFilter{All: true})
	episodes := map[pair]int64{}
	for _, f := range all {
		episodes[pair{f.ResourceID, f.Condition}] += f.Episode
	}
	return episodes, err
}
