package perform_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/journal"
	"reeve/internal/ops"
	"reeve/internal/perform"
	"reeve/internal/workload"
)

// A shelf is a driver of things in memory. hold, when set, keeps operations
// from ending until it is closed.
type shelf struct {
	mu     sync.Mutex
	things map[string]perform.Thing
	done   []workload.Operation
	hold   chan struct{}
	fails  error
	meet   *sync.WaitGroup // when set, looks wait for each other
}

func (s *shelf) Look(_ context.Context, name string) (perform.Thing, bool, error) {
	s.mu.Lock()
	t, ok := s.things[name]
	meet := s.meet
	s.mu.Unlock()
	if meet != nil {
		meet.Done()
		meet.Wait()
	}
	return t, ok, nil
}

func (s *shelf) Do(ctx context.Context, op workload.Operation, name string, generation int64) (string, error) {
	s.mu.Lock()
	hold, fails := s.hold, s.fails
	s.done = append(s.done, op)
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if fails != nil {
		return "", fails
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.things[name]
	t.State, t.Label = map[workload.Operation]workload.State{workload.Start: workload.Running, workload.Stop: workload.Stopped, workload.Pause: workload.Paused}[op], string(op)
	s.things[name] = t
	return "done", nil
}

func (s *shelf) ran() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.done)
}

type bench struct {
	t     *testing.T
	dir   string
	key   approver.Key
	chain []authority.ApproverSet
	shelf *shelf
	p     *perform.Performer
	now   time.Time
}

const hostKey = "host_1"

func newBench(t *testing.T) *bench {
	t.Helper()
	key, err := approver.Make(filepath.Join(t.TempDir(), "key"), "anna")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: t.TempDir(), key: key, chain: []authority.ApproverSet{approver.Root(key)}, now: time.Now(),
		shelf: &shelf{things: map[string]perform.Thing{"web": {Label: "up", State: workload.Running, Generation: 7}}}}
	b.open(b.chain[0].Hash())
	return b
}

// open starts the performer, as a new process would.
func (b *bench) open(pin string) {
	b.t.Helper()
	p, err := perform.New(perform.Options{Log: slog.New(slog.DiscardHandler), Dir: b.dir, Host: hostKey, Pin: pin, Drivers: map[string]perform.Driver{"shelf": b.shelf},
		Sequence: func() int64 { return 3 }, Now: func() time.Time { return b.now }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.p = p
	b.t.Cleanup(p.Close)
}

func (b *bench) plan(id string) authority.Plan {
	return authority.Plan{ID: id, Verb: "workload.stop", Adapter: "shelf", TargetHost: hostKey, Target: "web", Generation: 7,
		Preconditions: map[string]string{"observed": "running"}, Expiry: b.now.Add(10 * time.Minute), IdempotencyKey: id, Proposer: "user:anna"}
}

func (b *bench) ticket(plan authority.Plan, fence int64) authority.Ticket {
	return authority.Ticket{Plan: plan, Approval: b.key.Approve(authority.Hash(plan), "", authority.Approve, b.now), Fence: fence, Deadline: b.now.Add(time.Minute)}
}

func (b *bench) send(t authority.Ticket) (journal.Receipt, error) {
	b.t.Helper()
	text, err := json.Marshal(t)
	if err != nil {
		b.t.Fatal(err)
	}
	var chain [][]byte
	for _, s := range b.chain {
		set, err := json.Marshal(s)
		if err != nil {
			b.t.Fatal(err)
		}
		chain = append(chain, set)
	}
	return b.p.Perform(b.t.Context(), text, chain)
}

// outcome waits for the end of what is under way.
func (b *bench) outcome(key string) journal.Receipt {
	b.t.Helper()
	b.p.Close()
	r, ok, err := b.p.Receipt(key)
	if err != nil || !ok {
		b.t.Fatalf("no receipt of %s: %v", key, err)
	}
	return r
}

func TestAnOrderRunsOnceAndKeepsItsReceipt(t *testing.T) {
	b := newBench(t)
	ticket := b.ticket(b.plan("act_1"), 1)
	if _, err := b.send(ticket); err != nil {
		t.Fatal(err)
	}
	r := b.outcome("act_1")
	if r.State != journal.Succeeded || r.Before["observed"] != "running" || r.After["observed"] != "stopped" || r.After["sequence"] != "3" || r.Output != "done" {
		t.Fatalf("the receipt is %+v", r)
	}
	for range 3 { // the same order again, also with a higher fence and after a restart
		ticket.Fence++
		if again, err := b.send(ticket); err != nil || again.State != journal.Succeeded {
			t.Fatalf("an order that came again: %+v, %v", again, err)
		}
		b.open(b.chain[0].Hash())
	}
	if n := b.shelf.ran(); n != 1 {
		t.Fatalf("it ran %d times", n)
	}
}

func TestWhatSpeaksAgainstAnOrderIsRefusedBeforeAnythingRuns(t *testing.T) {
	for name, change := range map[string]func(b *bench, p *authority.Plan, t *authority.Ticket){
		"another host":            func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.TargetHost = "host_2" },
		"another thing of a name": func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Generation = 6 },
		"it is not there":         func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Target = "db" },
		"it is not as planned":    func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Preconditions["observed"] = "paused" },
		"a condition nobody can read": func(_ *bench, p *authority.Plan, _ *authority.Ticket) {
			p.Preconditions = map[string]string{"moon": "full"}
		},
		"an unknown verb":   func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Verb = "shell.run" },
		"a removal":         func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Verb = "workload.remove" },
		"an unknown driver": func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Adapter = "qemu" },
		"parameters":        func(_ *bench, p *authority.Plan, _ *authority.Ticket) { p.Params = map[string]string{"force": "yes"} },
		"an ended plan":     func(b *bench, p *authority.Plan, _ *authority.Ticket) { p.Expiry = b.now },
		"a passed deadline": func(b *bench, _ *authority.Plan, t *authority.Ticket) { t.Deadline = b.now },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			plan := b.plan("act_1")
			var late authority.Ticket
			change(b, &plan, &late)
			ticket := b.ticket(plan, 1)
			if !late.Deadline.IsZero() {
				ticket.Deadline = late.Deadline
			}
			_, err := b.send(ticket)
			if kind := ops.KindOf(err); kind != ops.Forbidden && kind != ops.Conflict {
				t.Errorf("it was taken: %v", err)
			}
			b.p.Close()
			if _, known, _ := b.p.Receipt("act_1"); known || b.shelf.ran() > 0 {
				t.Error("something of it ran or was recorded")
			}
		})
	}
}

func TestOnlyTheSignatureOfAnApproverCounts(t *testing.T) {
	b := newBench(t)
	eve, err := approver.Make(filepath.Join(t.TempDir(), "key"), "eve")
	if err != nil {
		t.Fatal(err)
	}
	ticket := b.ticket(b.plan("act_1"), 1)
	forged := ticket
	forged.Approval = eve.Approve(authority.Hash(ticket.Plan), "", authority.Approve, b.now)
	changed := ticket
	changed.Plan.Target = "db"
	rejected := ticket
	rejected.Approval = b.key.Approve(authority.Hash(ticket.Plan), "", authority.Reject, b.now)
	for name, x := range map[string]authority.Ticket{"a stranger's": forged, "of another plan": changed, "a no": rejected} {
		if _, err := b.send(x); ops.KindOf(err) != ops.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A chain of the server's own making has another root.
	honest := b.chain
	b.chain = []authority.ApproverSet{approver.Root(eve)}
	if _, err := b.send(forged); ops.KindOf(err) != ops.Forbidden {
		t.Errorf("another root: %v", err)
	}
	b.chain = honest
	b.open("")
	if _, err := b.send(ticket); ops.KindOf(err) != ops.Forbidden {
		t.Errorf("a host without approvers: %v", err)
	}
	if b.shelf.ran() > 0 {
		t.Error("something ran")
	}
}

func TestAnApproverThatWasRemovedStaysRemoved(t *testing.T) {
	b := newBench(t)
	bob, err := approver.Make(filepath.Join(t.TempDir(), "key"), "bob")
	if err != nil {
		t.Fatal(err)
	}
	root := b.chain[0]
	both := root.Next([]authority.ApproverKey{b.key.Public(), bob.Public()}, b.key.Private)
	bobAlone := both.Next([]authority.ApproverKey{bob.Public()}, bob.Private)
	b.chain = []authority.ApproverSet{root, both, bobAlone}
	anna := b.ticket(b.plan("act_1"), 1)
	if _, err := b.send(anna); ops.KindOf(err) != ops.Forbidden {
		t.Fatalf("a removed approver's: %v", err)
	}
	// The server leaves out the newest set, after a restart of the host too.
	b.chain = b.chain[:2]
	for range 2 {
		if _, err := b.send(anna); ops.KindOf(err) != ops.Forbidden {
			t.Fatalf("an older chain: %v", err)
		}
		b.open(root.Hash())
	}
	b.chain, b.key = []authority.ApproverSet{root, both, bobAlone}, bob
	if _, err := b.send(b.ticket(b.plan("act_2"), 1)); err != nil {
		t.Fatalf("the approver that is left: %v", err)
	}
}

func TestAnOlderAttemptIsRefused(t *testing.T) {
	b := newBench(t)
	if _, err := b.send(b.ticket(b.plan("act_1"), 5)); err != nil {
		t.Fatal(err)
	}
	b.p.Close()
	for _, fence := range []int64{4, 5} {
		plan := b.plan("act_2")
		plan.Preconditions = nil
		if _, err := b.send(b.ticket(plan, fence)); ops.KindOf(err) != ops.Conflict {
			t.Errorf("fence %d after 5: %v", fence, err)
		}
		b.open(b.chain[0].Hash())
	}
	if b.shelf.ran() != 1 {
		t.Errorf("%d ran", b.shelf.ran())
	}
}

func TestOneOperationAtATimeOnOneThing(t *testing.T) {
	b := newBench(t)
	b.shelf.hold = make(chan struct{})
	if r, err := b.send(b.ticket(b.plan("act_1"), 1)); err != nil || r.State != journal.Running {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := b.send(b.ticket(b.plan("act_2"), 2)); ops.KindOf(err) != ops.Conflict {
		t.Errorf("a second one meanwhile: %v", err)
	}
	if r, ok, err := b.p.Receipt("act_1"); err != nil || !ok || r.State != journal.Running {
		t.Errorf("while it runs: %+v, %v, %v", r, ok, err)
	}
	close(b.shelf.hold)
	if r := b.outcome("act_1"); r.State != journal.Succeeded {
		t.Errorf("%+v", r)
	}
}

// TestTheSameOrderTwiceAtOnceIsOneOrder: a server that had no answer sends it
// again, while the first is on its way.
func TestTheSameOrderTwiceAtOnceIsOneOrder(t *testing.T) {
	b := newBench(t)
	b.shelf.hold, b.shelf.meet = make(chan struct{}), &sync.WaitGroup{}
	b.shelf.meet.Add(2)
	ticket := b.ticket(b.plan("act_1"), 1)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if r, err := b.send(ticket); err != nil || r.State != journal.Running {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	b.shelf.mu.Lock()
	b.shelf.meet = nil
	b.shelf.mu.Unlock()
	close(b.shelf.hold)
	if r := b.outcome("act_1"); r.State != journal.Succeeded || b.shelf.ran() != 1 {
		t.Errorf("ran %d: %+v", b.shelf.ran(), r)
	}
}

func TestTheHostItselfEndsAnOrderAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.shelf.hold = make(chan struct{}) // never ends by itself
		if _, err := b.send(b.ticket(b.plan("act_1"), 1)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if r := b.outcome("act_1"); r.State != journal.Unknown {
			t.Errorf("the outcome is %s: a call that was cut off may have had its effect", r.State)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it ran for %v", took)
		}
	})
}

func TestAFailureIsTold(t *testing.T) {
	b := newBench(t)
	b.shelf.fails = errors.New("no such image")
	if _, err := b.send(b.ticket(b.plan("act_1"), 1)); err != nil {
		t.Fatal(err)
	}
	if r := b.outcome("act_1"); r.State != journal.Failed || r.Err != "no such image" || r.After["observed"] != "running" {
		t.Errorf("%+v", r)
	}
}

// TestAnOrderThatADeathCutOffIsUnknownAndNeverRunAgain leaves a receipt as a
// process does that dies in the middle.
func TestAnOrderThatADeathCutOffIsUnknownAndNeverRunAgain(t *testing.T) {
	b := newBench(t)
	receipts, err := journal.OpenReceipts(filepath.Join(b.dir, "receipts"))
	if err != nil {
		t.Fatal(err)
	}
	ticket := b.ticket(b.plan("act_1"), 1)
	if _, err := receipts.Begin("act_1", 1, ticket.Deadline, ticket.Approval.PlanHash); err != nil {
		t.Fatal(err)
	}
	b.open(b.chain[0].Hash())
	if r, ok, err := b.p.Receipt("act_1"); err != nil || !ok || r.State != journal.Unknown {
		t.Fatalf("%+v, %v, %v", r, ok, err)
	}
	if r, err := b.send(ticket); err != nil || r.State != journal.Unknown {
		t.Fatalf("sent again: %+v, %v", r, err)
	}
	if b.shelf.ran() > 0 {
		t.Error("it ran")
	}
}

func TestBytesThatAreNoTicketAreRefused(t *testing.T) {
	b := newBench(t)
	for _, text := range []string{"", "{}", "[]", `{"plan":1}`, `{"plan":{},"x":1}`, "\x00\xff"} {
		if _, err := b.p.Perform(t.Context(), []byte(text), nil); ops.KindOf(err) != ops.Forbidden {
			t.Errorf("%q: %v", text, err)
		}
	}
}
