package act_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"reeve/internal/act"
	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/perform"
	"reeve/internal/store"
	"reeve/internal/workload"
	"reeve/test/storetest"
)

// A machine is a host: one thing that can be commanded, the real part that
// performs, and a wire to it that can be cut in either direction.
type machine struct {
	mu          sync.Mutex
	thing       perform.Thing
	ran         int
	hold        chan struct{}
	cutRequests bool // nothing reaches the machine
	cutAnswers  bool // what it answers is lost
	p           *perform.Performer
}

func (m *machine) Look(context.Context, string) (perform.Thing, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.thing, true, nil
}

func (m *machine) Do(ctx context.Context, op workload.Operation, _ string, _ int64) (string, error) {
	m.mu.Lock()
	hold := m.hold
	m.ran++
	m.mu.Unlock()
	if hold != nil {
		<-hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.thing.State = map[workload.Operation]workload.State{workload.Start: workload.Running, workload.Stop: workload.Stopped}[op]
	return "", nil
}

var errCut = errors.New("the wire is cut")

func (m *machine) wire() (cutRequests, cutAnswers bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cutRequests, m.cutAnswers
}

func (m *machine) Perform(ctx context.Context, r *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	lost, mute := m.wire()
	if lost {
		return nil, errCut
	}
	receipt, err := m.p.Perform(ctx, r.GetTicket(), r.GetApprovers())
	if mute {
		return nil, errCut
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(receipt)
	return &linkpb.PerformResponse{Receipt: text}, err
}

func (m *machine) Receipt(_ context.Context, r *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	if lost, mute := m.wire(); lost || mute {
		return nil, errCut
	}
	receipt, ok, err := m.p.Receipt(r.GetKey())
	if err != nil || !ok {
		return &linkpb.ReceiptResponse{}, err
	}
	text, err := json.Marshal(receipt)
	return &linkpb.ReceiptResponse{Receipt: text}, err
}

type bench struct {
	t       *testing.T
	store   *store.Store
	act     *act.Act
	machine *machine
	here    bool // the agent is connected to this server
	key     approver.Key
	host    ops.Host
	row     store.WorkloadRow
	pass    func(context.Context) error
}

func each(t *testing.T, f func(b *bench)) {
	storetest.Each(t, func(t *testing.T, st *store.Store) { f(newBench(t, st)) })
}

func newBench(t *testing.T, st *store.Store) *bench {
	t.Helper()
	key, err := approver.Make(filepath.Join(t.TempDir(), "key"), "anna")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: st, key: key, here: true, host: ops.Host{ID: ops.NewID(ops.HostID), Name: "web1", State: ops.HostOnline},
		machine: &machine{thing: perform.Thing{Label: "up", State: workload.Running, Generation: 7}}}
	b.act = b.server()
	root := approver.Root(key)
	if err := b.act.Follow(t.Context(), root, store.Why{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	b.machine.p, err = perform.New(perform.Options{Log: slog.New(slog.DiscardHandler), Dir: t.TempDir(), Host: b.host.ID, Pin: root.Hash(),
		Drivers: map[string]perform.Driver{"shelf": b.machine}, Sequence: func() int64 { return 1 }, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.machine.p.Close)
	b.row = store.WorkloadRow{Row: workload.Row{ID: ops.NewID(ops.WorkloadID), HostID: b.host.ID, Driver: "shelf", Name: "web", Observed: workload.Running, Generation: 7}}
	b.tx(func(tx *store.Tx) error {
		if err := tx.AddHost(t.Context(), b.host, store.Why{Actor: "test"}); err != nil {
			return err
		}
		_, err := tx.SaveWorkload(t.Context(), &b.row, "", store.WorkloadRow{}, store.Why{})
		return err
	})
	return b
}

// server answers an Act as a process that was just started has it.
func (b *bench) server() *act.Act {
	a := act.New(act.Options{Log: slog.New(slog.DiscardHandler), Store: b.store, Server: ops.NewID(ops.ServerID), Ended: func(string) {},
		Agent: func(string) (act.Agent, bool) { return b.machine, b.here },
		Refuse: func(_, name string, op workload.Operation) error {
			if op == workload.Snapshot {
				return ops.Errorf(ops.Invalid, "a shelf cannot %s %s", op, name)
			}
			return nil
		}})
	b.pass = a.Loops()[0].Pass
	return a
}

func (b *bench) tx(f func(*store.Tx) error) {
	b.t.Helper()
	if err := b.store.Tx(b.t.Context(), time.Now(), f); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) approved(op workload.Operation) ops.Action {
	b.t.Helper()
	a, err := b.act.Propose(b.t.Context(), b.row.ID, op, store.Why{Actor: "user:anna"})
	if err != nil {
		b.t.Fatal(err)
	}
	if a, err = b.act.Approve(b.t.Context(), a.ID, b.key.Approve(a.PlanHash, "", authority.Approve, time.Now()), store.Why{Actor: "user:anna"}); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// step does one pass, as the loop would, and answers the action after it.
func (b *bench) step(id string) ops.Action {
	b.t.Helper()
	if err := b.pass(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	a, err := b.store.Action(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// until does passes until the action has a state; what it waits for on the
// machine ends by itself.
func (b *bench) until(id string, want ops.ActionState) ops.Action {
	b.t.Helper()
	for range 200 {
		a := b.step(id)
		if a.State == want {
			return a
		}
		b.machine.p.Close() // the operation under way has ended after it
	}
	a, _ := b.store.Action(b.t.Context(), id)
	b.t.Fatalf("the action is %s (%s), not %s", a.State, a.Why, want)
	return a
}

func (b *bench) workload() store.WorkloadRow {
	b.t.Helper()
	w, err := b.store.WorkloadRow(b.t.Context(), b.row.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

func TestAnApprovedActionRunsOnceAndIsWritten(t *testing.T) {
	each(t, func(b *bench) {
		a := b.approved(workload.Stop)
		a = b.until(a.ID, ops.ActionSucceeded)
		w := b.workload()
		if b.machine.ran != 1 || w.Lease != nil || w.Observed != workload.Stopped || w.Desired != workload.Stopped || w.DesiredBy != "user:anna" || len(a.Receipt) == 0 {
			b.t.Fatalf("ran %d, %+v, %+v", b.machine.ran, w.Row, a)
		}
		b.step(a.ID)
		all, err := b.store.Transitions(b.t.Context(), store.TransitionFilter{Object: "action", ObjectID: a.ID})
		if err != nil || len(all) < 4 {
			b.t.Errorf("%d transitions, %v", len(all), err)
		}
	})
}

func TestWithoutApprovalNothingIsSent(t *testing.T) {
	each(t, func(b *bench) {
		a, err := b.act.Propose(b.t.Context(), b.row.ID, workload.Stop, store.Why{Actor: "user:anna"})
		if err != nil {
			b.t.Fatal(err)
		}
		if a = b.step(a.ID); a.State != ops.ActionAwaiting || b.machine.ran > 0 {
			b.t.Fatalf("%s, ran %d", a.State, b.machine.ran)
		}
	})
}

func TestAnAgentOfAnotherServerIsLeftToThatServer(t *testing.T) {
	each(t, func(b *bench) {
		b.here = false
		a := b.approved(workload.Stop)
		if a = b.step(a.ID); a.State != ops.ActionApproved {
			b.t.Fatalf("%s", a.State)
		}
		b.here = true // the other server reads the same rows
		b.act = b.server()
		b.until(a.ID, ops.ActionSucceeded)
	})
}

func TestAnAnswerThatIsLostIsAskedForAndNothingRunsTwice(t *testing.T) {
	each(t, func(b *bench) {
		b.machine.cutAnswers = true
		a := b.approved(workload.Stop)
		if a = b.step(a.ID); a.State != ops.ActionDispatching {
			b.t.Fatalf("%s", a.State)
		}
		b.act = b.server() // and the server dies
		b.step(a.ID)
		b.machine.mu.Lock()
		b.machine.cutAnswers = false
		b.machine.mu.Unlock()
		b.until(a.ID, ops.ActionSucceeded)
		if b.machine.ran != 1 {
			b.t.Errorf("it ran %d times", b.machine.ran)
		}
	})
}

func TestAnOrderThatNeverArrivedIsSentAgainUnderItsFence(t *testing.T) {
	each(t, func(b *bench) {
		b.machine.cutRequests = true
		a := b.approved(workload.Stop)
		a = b.step(a.ID)
		fence := a.Fence
		b.machine.mu.Lock()
		b.machine.cutRequests = false
		b.machine.mu.Unlock()
		b.act = b.server()
		a = b.until(a.ID, ops.ActionSucceeded)
		if b.machine.ran != 1 || a.Fence != fence {
			b.t.Errorf("ran %d times, fence %d then %d", b.machine.ran, fence, a.Fence)
		}
	})
}

func TestATargetThatIsAnotherNowSupersedesThePlan(t *testing.T) {
	each(t, func(b *bench) {
		a := b.approved(workload.Stop)
		before := b.workload()
		after := before
		after.Generation = 8
		b.tx(func(tx *store.Tx) error {
			_, err := tx.SaveWorkload(b.t.Context(), &after, "observe", before, store.Why{Actor: "test"})
			return err
		})
		if a = b.step(a.ID); a.State != ops.ActionSuperseded || b.machine.ran > 0 {
			b.t.Fatalf("%s: %s", a.State, a.Why)
		}
	})
}

func TestTheHostRefusesWhatIsNotAsPlannedThere(t *testing.T) {
	each(t, func(b *bench) {
		b.machine.thing.Generation = 8 // the server has not seen it yet
		a := b.approved(workload.Stop)
		a = b.until(a.ID, ops.ActionFailed)
		if w := b.workload(); w.Lease != nil || b.machine.ran > 0 {
			b.t.Errorf("ran %d, lease %+v", b.machine.ran, w.Lease)
		}
	})
}

func TestWhatADriverNeverDoesIsNotProposed(t *testing.T) {
	each(t, func(b *bench) {
		if _, err := b.act.Propose(b.t.Context(), b.row.ID, workload.Snapshot, store.Why{Actor: "x"}); ops.KindOf(err) != ops.Invalid {
			b.t.Errorf("%v", err)
		}
	})
}

func TestADegradedHostIsNotCommanded(t *testing.T) {
	each(t, func(b *bench) {
		a := b.approved(workload.Stop)
		h, err := b.store.Host(b.t.Context(), b.host.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		b.tx(func(tx *store.Tx) error {
			_, err := tx.MoveHost(b.t.Context(), h, ops.HostDegrade, store.Why{Actor: "test", Reason: "no proof"}, nil)
			return err
		})
		if a = b.step(a.ID); a.State != ops.ActionSuperseded || b.machine.ran > 0 {
			b.t.Errorf("%s", a.State)
		}
		if _, err := b.act.Propose(b.t.Context(), b.row.ID, workload.Stop, store.Why{Actor: "x"}); ops.KindOf(err) != ops.Conflict {
			b.t.Errorf("a proposal meanwhile: %v", err)
		}
	})
}

func TestOneOperationAtATimeOnAWorkload(t *testing.T) {
	each(t, func(b *bench) {
		b.machine.hold = make(chan struct{})
		first := b.approved(workload.Stop)
		second := b.approved(workload.Stop)
		b.step(first.ID)
		a, err := b.store.Action(b.t.Context(), second.ID)
		if err != nil || a.State != ops.ActionSuperseded {
			b.t.Errorf("the second is %s, %v", a.State, err)
		}
		close(b.machine.hold)
		b.until(first.ID, ops.ActionSucceeded)
		if b.machine.ran != 1 {
			b.t.Errorf("%d ran", b.machine.ran)
		}
	})
}
