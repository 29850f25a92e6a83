package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/store"
	"reeve/test/storetest"
)

const lease = "fleet_monitor"

func pair(t *testing.T, st *store.Store) (a, b *server) {
	keys := t.TempDir()
	as := func(id string) *server {
		return serve(t, st, keys, func(o *fleet.Options) { o.Server = id })
	}
	return as("srv_a"), as("srv_b")
}

// judges says which of two servers judge after a pass of each.
func judges(a, b *server) [2]bool {
	a.run(lease)
	b.run(lease)
	return [2]bool{a.fleet.Blind().Judging, b.fleet.Blind().Judging}
}

func TestOfSeveralServersOneJudges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		a, b := pair(t, st)
		for range 3 {
			if got := judges(a, b); got != [2]bool{true, false} {
				t.Fatalf("judging: %v", got)
			}
		}
		a.close()
		b.run(lease)
		if !b.fleet.Blind().Judging {
			t.Error("nobody took over from a server that was stopped")
		}
		b.close()
	})
}

func TestAnotherServerJudgesWhenOneDies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		a, b := pair(t, st)
		judges(a, b)
		fence, held, err := st.TakeLease(t.Context(), lease, "srv_a", -time.Second) // its time is over
		if err != nil || !held {
			t.Fatal(held, err)
		}
		b.run(lease)
		if got := judges(a, b); got != [2]bool{false, true} {
			t.Errorf("judging: %v", got)
		}
		err = st.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
			held, err := tx.CheckLease(t.Context(), lease, "srv_a", fence)
			if held {
				t.Error("what a stale holder judged is written")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAServerThatDiesIsFollowedWhenItsLeaseIsOver(t *testing.T) {
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, storetest.SQLite(t))
		judges(a, b) // and a dies
		for waited := time.Duration(0); ; waited += fleet.JudgeEvery {
			b.run(lease)
			if b.fleet.Blind().Judging {
				if waited < 2*fleet.JudgeEvery || waited > 4*fleet.JudgeEvery {
					t.Errorf("it followed after %v", waited)
				}
				break
			}
			if waited > time.Minute {
				t.Fatal("nobody judges")
			}
			time.Sleep(fleet.JudgeEvery)
		}
	})
}

// TestEveryServerTellsOfTheBrake, also the one that does not judge, and the
// one that judges next does not begin to count anew.
func TestEveryServerTellsOfTheBrake(t *testing.T) {
	in(t, 5, func(w *world) {
		other := serve(w.t, w.store, w.dir)
		w.pass(10 * time.Minute)
		for _, n := range w.nodes[:3] {
			n.setCut(true)
		}
		w.passUntil(2*time.Minute, "the brake is on", func() bool { return w.fleet.Blind().Tripped })
		here, there := w.fleet.Blind(), blindness(other)
		if there.Judging || !there.Tripped || there.Silent != here.Silent || there.Expected != here.Expected || !there.Since.Equal(here.Since) || here.Since.IsZero() {
			t.Errorf("the other server says %+v instead of %+v", there, here)
		}
		if _, _, err := w.store.TakeLease(context.Background(), lease, "srv_1", -time.Second); err != nil { // its time is over
			t.Fatal(err)
		}
		if next := blindness(other); !next.Judging || !next.Tripped || !next.Since.Equal(here.Since) {
			t.Errorf("the next one judges %+v after %+v", next, here)
		}
		w.passUntil(time.Minute, "it judges again", func() bool { return w.fleet.Blind().Judging })
		if again := w.fleet.Blind(); !again.Tripped || !again.Since.Equal(here.Since) {
			t.Errorf("it judges %+v after %+v", again, here)
		}
		for _, n := range w.nodes[:3] {
			n.setCut(false)
		}
		w.passUntil(5*time.Minute, "the brake is off", func() bool { return !w.fleet.Blind().Tripped })
		if b := blindness(serve(w.t, w.store, w.dir)); b.Tripped || b.Judging {
			t.Errorf("afterwards another says %+v", b)
		}
	})
}

func blindness(s *server) fleet.Blindness {
	s.run(lease)
	return s.fleet.Blind()
}
