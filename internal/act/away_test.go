package act_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/act"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/workload"
	"reeve/test/storetest"
)

// A hung agent takes an order or a question and never answers.
type hung struct{}

func (hung) Perform(ctx context.Context, _ *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hung) Receipt(ctx context.Context, _ *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A blind agent cannot look at the thing.
type blind struct{ *machine }

func (blind) Perform(context.Context, *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	return nil, ops.Errorf(ops.Unavailable, "web cannot be looked at: the engine does not answer")
}

// with makes the bench's server reach these agents.
func (b *bench) with(agent func(host string) act.Agent) {
	b.act = act.New(act.Options{Log: slog.New(slog.DiscardHandler), Store: b.store, Server: "srv", Ended: func(string) {},
		Agent:  func(host string) (act.Agent, bool) { return agent(host), true },
		Refuse: func(string, string, workload.Operation) error { return nil }})
	b.pass = b.act.Loops()[0].Pass
}

func TestAHostThatDoesNotAnswerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, storetest.SQLite(t))
		good, bad := b.row.ID, ops.Host{ID: ops.NewID(ops.HostID), Name: "bad", State: ops.HostOnline}
		var stuck []string
		b.tx(func(tx *store.Tx) error {
			if err := tx.AddHost(t.Context(), bad, store.Why{Actor: "test"}); err != nil {
				return err
			}
			for i := range 10 {
				r := store.WorkloadRow{Row: workload.Row{ID: ops.NewID(ops.WorkloadID), HostID: bad.ID, Driver: "shelf", Name: fmt.Sprint(i), Observed: workload.Running, Generation: 7}}
				if _, err := tx.SaveWorkload(t.Context(), &r, "", store.WorkloadRow{}, store.Why{}); err != nil {
					return err
				}
				stuck = append(stuck, r.ID)
			}
			return nil
		})
		b.with(func(host string) act.Agent {
			if host == bad.ID {
				return hung{}
			}
			return b.machine
		})
		for _, b.row.ID = range stuck {
			b.approved(workload.Stop)
		}
		run := func(until time.Duration, over func() bool) {
			for end := time.Now().Add(until); time.Now().Before(end) && !over(); time.Sleep(2 * time.Second) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				if err := b.pass(ctx); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
		}
		run(10*time.Minute, func() bool { return false })
		b.row.ID = good
		begin := time.Now()
		x := b.approved(workload.Stop)
		run(5*time.Minute, func() bool {
			y, err := b.store.Action(t.Context(), x.ID)
			return err == nil && y.State == ops.ActionSucceeded
		})
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("an order to a healthy host took %v", took)
		}
	})
}

// TestAnApprovalThatEndedChangesNothing: what is desired is written when an
// order is sent, so the order must still count then.
func TestAnApprovalThatEndedChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, storetest.SQLite(t))
		b.here = false
		a := b.approved(workload.Stop)
		time.Sleep(16 * time.Minute) // an approval counts 15
		b.here = true
		a = b.step(a.ID)
		if w := b.workload(); a.State != ops.ActionSuperseded || !strings.Contains(a.Why, "the approval ended") || w.Desired != "" || w.Lease != nil || b.machine.ran > 0 {
			t.Errorf("%s: %s; desired %q, lease %+v", a.State, a.Why, w.Desired, w.Lease)
		}
	})
}

func TestAnOrderEndsAlthoughItsWorkloadIsForgotten(t *testing.T) {
	each(t, func(b *bench) {
		forget := func() {
			b.tx(func(tx *store.Tx) error {
				w, err := tx.WorkloadRow(b.t.Context(), b.row.ID)
				if err != nil {
					return err
				}
				_, err = tx.DeleteWorkload(b.t.Context(), w, store.Why{Actor: "test"})
				return err
			})
		}
		b.machine.cutAnswers = true
		sent := b.approved(workload.Restart)
		sent = b.step(sent.ID)
		forget()
		b.machine.p.Close()
		b.machine.mu.Lock()
		b.machine.cutAnswers = false
		b.machine.mu.Unlock()
		b.until(sent.ID, ops.ActionSucceeded)

		again := b.row
		again.ID, again.Version = ops.NewID(ops.WorkloadID), 0
		b.row = again
		b.tx(func(tx *store.Tx) error {
			_, err := tx.SaveWorkload(b.t.Context(), &again, "", store.WorkloadRow{}, store.Why{})
			return err
		})
		waits := b.approved(workload.Restart)
		forget()
		if waits = b.step(waits.ID); waits.State != ops.ActionSuperseded {
			b.t.Errorf("%s: %s", waits.State, waits.Why)
		}
	})
}

func TestAnOrderThatWasNotBegunSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, storetest.SQLite(t))
		b.with(func(string) act.Agent { return blind{b.machine} })
		x := b.approved(workload.Stop)
		for range 80 {
			x = b.step(x.ID)
			time.Sleep(2 * time.Second)
		}
		if x.State != ops.ActionExpired || !strings.Contains(x.Why, "the engine does not answer") {
			t.Errorf("%s: %s", x.State, x.Why)
		}
	})
}

// TestAnOrderThatWasNeverBegunChangesNothing of what is desired, whether the
// host refuses it or never hears of it.
func TestAnOrderThatWasNeverBegunChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, storetest.SQLite(t))
		wished := b.workload()
		before := wished
		wished.Desired, wished.DesiredBy, wished.Source = workload.Running, "config", store.FromConfig
		b.tx(func(tx *store.Tx) error {
			_, err := tx.SaveWorkload(t.Context(), &wished, "", before, store.Why{})
			return err
		})
		same := func(x ops.Action) {
			t.Helper()
			if w := b.workload(); w.Desired != workload.Running || w.DesiredBy != "config" || w.Source != store.FromConfig || w.Lease != nil {
				t.Errorf("after an order that %s (%s): %+v, lease %+v", x.State, x.Why, w.Row, w.Lease)
			}
		}
		b.machine.thing.Generation = 8 // another thing has the name there
		same(b.until(b.approved(workload.Stop).ID, ops.ActionFailed))
		b.machine.thing.Generation = 7
		b.with(func(string) act.Agent { return blind{b.machine} })
		x := b.approved(workload.Stop)
		for range 80 {
			x = b.step(x.ID)
			time.Sleep(2 * time.Second)
		}
		same(x)
	})
}

func TestWhatTheAgentDoesNotFindIsNotOrdered(t *testing.T) {
	each(t, func(b *bench) {
		before := b.workload()
		after := before
		after.Reason = workload.NoDriver + "shelf on web1"
		b.tx(func(tx *store.Tx) error {
			_, err := tx.SaveWorkload(b.t.Context(), &after, "", before, store.Why{})
			return err
		})
		if _, err := b.act.Propose(b.t.Context(), b.row.ID, workload.Stop, store.Why{Actor: "x"}); ops.KindOf(err) != ops.Conflict || !strings.Contains(err.Error(), "does not find") {
			b.t.Errorf("%v", err)
		}
	})
}
