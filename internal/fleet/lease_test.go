package fleet_test

import (
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
