// Package perform is the part on a host that changes something. It believes
// nobody: every order is a ticket that it checks itself against the approvers
// whose root was pinned when the host joined, runs at most once, within its
// deadline, on the very thing that was planned for, and keeps a receipt of
// before it tells anybody. It needs no network.
package perform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"reeve/internal/authority"
	"reeve/internal/journal"
	"reeve/internal/ops"
	"reeve/internal/workload"
)

const (
	// maxSkew is how far the clocks of approver, server and host may differ.
	maxSkew = 5 * time.Second
	// receiptsKept is how long a receipt is kept after its ticket has ended.
	receiptsKept = 30 * 24 * time.Hour
)

// A Driver commands workloads of one kind.
type Driver interface {
	// Look answers the thing that has a name; ok is false for none.
	Look(ctx context.Context, name string) (t Thing, ok bool, err error)
	// Do does an operation with the thing that has the name and generation.
	Do(ctx context.Context, op workload.Operation, name string, generation int64) (note string, err error)
}

// A Thing is a workload as its driver sees it now.
type Thing struct {
	Label      string
	State      workload.State
	Generation int64
}

// Options are what a Performer is made of.
type Options struct {
	Log     *slog.Logger
	Dir     string // where receipts are kept
	Host    string // key of this host
	Pin     string // hash of the root of the approvers; "" refuses everything
	Drivers map[string]Driver
	// Sequence answers the number of the newest list of workloads that was
	// taken before now.
	Sequence func() int64

	Now func() time.Time
}

// A Performer runs tickets.
type Performer struct {
	o        Options
	receipts *journal.Receipts

	mu   sync.Mutex
	set  authority.ApproverSet // the newest that was proven
	busy map[string]bool       // targets with an operation under way
	wg   sync.WaitGroup
}

// New opens the receipts. What was under way when the process before died is
// in them as running: its outcome is unknown, and it is not run again.
func New(o Options) (*Performer, error) {
	receipts, err := journal.OpenReceipts(filepath.Join(o.Dir, "receipts"))
	if err != nil {
		return nil, err
	}
	p := &Performer{o: o, receipts: receipts, busy: map[string]bool{}}
	return p, p.readSet()
}

// Close waits for the operations under way.
func (p *Performer) Close() { p.wg.Wait() }

// setFile keeps the newest set of approvers that was proven, so that an older
// one never counts again.
const setFile = "approvers.json"

func (p *Performer) readSet() error {
	text, err := os.ReadFile(filepath.Join(p.o.Dir, setFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.set)
	}
	if err != nil {
		return ops.Because(ops.Invalid, err, "the approvers in %s cannot be read; nothing is changed until the host has joined again", filepath.Join(p.o.Dir, setFile))
	}
	return nil
}

// prove walks from the pinned root to the newest set that the server knows. A
// chain that ends before the set that was proven already is refused.
func (p *Performer) prove(chain [][]byte) (authority.ApproverSet, error) {
	var sets []authority.ApproverSet
	for _, text := range chain {
		var s authority.ApproverSet
		if err := json.Unmarshal(text, &s); err != nil {
			return s, ops.Because(ops.Forbidden, err, "a set of approvers cannot be read")
		}
		sets = append(sets, s)
	}
	if p.o.Pin == "" {
		return authority.ApproverSet{}, ops.Errorf(ops.Forbidden, "this host joined without approvers: nothing is ever changed here")
	}
	newest, err := authority.Chain(p.o.Pin, sets)
	if err != nil {
		return newest, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch known := p.set; {
	case newest.Version < known.Version, newest.Version == known.Version && newest.Hash() != known.Hash(),
		known.Version > 0 && sets[known.Version-1].Hash() != known.Hash():
		return newest, ops.Errorf(ops.Forbidden, "the server's approvers are older than version %d, which this host knows, or branch off from it. Only a database that was put back from a backup explains that: "+
			"then see with `reeve approver` that the list is right, and remove %s on the host, as root", known.Version, filepath.Join(p.o.Dir, setFile))
	case newest.Version == known.Version:
		return newest, nil
	}
	text, err := json.Marshal(newest)
	if err != nil {
		return newest, err
	}
	if err := journal.Replace(filepath.Join(p.o.Dir, setFile), text); err != nil {
		return newest, err
	}
	p.set = newest
	return newest, nil
}

// Perform begins what a ticket orders, and answers the receipt as it is then.
// A ticket that came before is answered with what is on record. Everything
// that speaks against it is an error of kind Forbidden or Conflict.
func (p *Performer) Perform(ctx context.Context, text []byte, approvers [][]byte) (journal.Receipt, error) {
	ticket, err := authority.Decode(text)
	if err != nil {
		return journal.Receipt{}, err
	}
	set, err := p.prove(approvers)
	if err != nil {
		return journal.Receipt{}, err
	}
	now := p.o.Now()
	if old, ok, err := p.receipts.Get(ticket.Plan.IdempotencyKey); err != nil || ok {
		return old, err // also when the ticket has ended since
	}
	if err := authority.Check(ticket, set, now, p.o.Host, maxSkew); err != nil {
		return journal.Receipt{}, err
	}
	driver, op, err := p.able(ticket.Plan)
	if err != nil {
		return journal.Receipt{}, err
	}
	before, err := p.ready(ctx, driver, ticket)
	if err != nil {
		return journal.Receipt{}, err
	}
	return p.begin(ticket, driver, op, before)
}

// able answers who carries a plan out. The grammar is closed: a parameter
// that nobody knows is refused.
func (p *Performer) able(plan authority.Plan) (Driver, workload.Operation, error) {
	driver, ok := p.o.Drivers[plan.Adapter]
	if !ok {
		return nil, "", ops.Errorf(ops.Forbidden, "this host has no driver %q", plan.Adapter)
	}
	op, known := workload.OfVerb(plan.Verb)
	if !known || op == workload.Remove {
		return nil, "", ops.Errorf(ops.Forbidden, "the verb %q is not known here", plan.Verb)
	}
	if len(plan.Params) > 0 {
		return nil, "", ops.Errorf(ops.Forbidden, "the verb %s takes no parameters", plan.Verb)
	}
	return driver, op, nil
}

// ready reads the target live and refuses when it is not what was planned
// for.
func (p *Performer) ready(ctx context.Context, driver Driver, t authority.Ticket) (ops.Attrs, error) {
	thing, ok, err := driver.Look(ctx, t.Plan.Target)
	switch {
	case err != nil:
		return nil, ops.Because(ops.Unavailable, err, "%s cannot be looked at: %v", t.Plan.Target, err)
	case !ok:
		return nil, ops.Errorf(ops.Conflict, "%s is not here", t.Plan.Target)
	case t.Plan.Generation != 0 && thing.Generation != t.Plan.Generation:
		return nil, ops.Errorf(ops.Conflict, "%s is not the one that was planned for: another took its name", t.Plan.Target)
	}
	seen := attrs(thing, ok, 0)
	for name, want := range t.Plan.Preconditions {
		if got, ok := seen[name]; !ok || got != want {
			return nil, ops.Errorf(ops.Conflict, "%s was planned while its %s was %s; now it is %q", t.Plan.Verb, name, want, got)
		}
	}
	return seen, nil
}

func attrs(t Thing, there bool, sequence int64) ops.Attrs {
	if !there {
		return ops.Attrs{"observed": string(workload.Absent), "sequence": strconv.FormatInt(sequence, 10)}
	}
	state := t.State
	if state == "" {
		state = workload.Unknown
	}
	return ops.Attrs{"observed": string(state), "raw_label": t.Label, "generation": strconv.FormatInt(t.Generation, 10), "sequence": strconv.FormatInt(sequence, 10)}
}

// begin records that the operation starts, and starts it.
func (p *Performer) begin(t authority.Ticket, driver Driver, op workload.Operation, before ops.Attrs) (journal.Receipt, error) {
	target := t.Plan.Adapter + "/" + t.Plan.Target
	p.mu.Lock()
	defer p.mu.Unlock()
	// The same order may have come twice at once: the first has begun it.
	if old, ok, err := p.receipts.Get(t.Plan.IdempotencyKey); err != nil || ok {
		return old, err
	}
	if p.busy[target] {
		return journal.Receipt{}, ops.Errorf(ops.Conflict, "another operation is under way on %s", t.Plan.Target)
	}
	if err := p.fence(target, t.Fence); err != nil {
		return journal.Receipt{}, err
	}
	old, err := p.receipts.Begin(t.Plan.IdempotencyKey, t.Fence, t.Deadline, t.Approval.PlanHash)
	if err != nil || old != nil {
		if old != nil {
			return *old, nil
		}
		return journal.Receipt{}, err
	}
	p.busy[target] = true
	p.wg.Go(func() {
		p.run(t, driver, op, before)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.busy, target)
	})
	r, _, err := p.receipts.Get(t.Plan.IdempotencyKey)
	return r, err
}

// fence refuses an attempt that is not newer than every one before it on the
// target, and remembers it, durably, before it counts.
func (p *Performer) fence(target string, fence int64) error {
	path := filepath.Join(p.o.Dir, "fences.json")
	known := map[string]int64{}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return ops.Because(ops.Unavailable, err, "%s cannot be read", path)
	default:
		if err := json.Unmarshal(text, &known); err != nil {
			return ops.Because(ops.Unavailable, err, "%s is damaged; remove it when no order is under way", path)
		}
	}
	if fence <= known[target] {
		return ops.Errorf(ops.Conflict, "the order has the fence %d; %d was seen on %s already", fence, known[target], target)
	}
	known[target] = fence
	if text, err = json.Marshal(known); err != nil {
		return err
	}
	return journal.Replace(path, text)
}

// run does the operation until the ticket's deadline, looks, and keeps the
// outcome.
func (p *Performer) run(t authority.Ticket, driver Driver, op workload.Operation, before ops.Attrs) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), t.Deadline.Sub(p.o.Now()), fmt.Errorf("the deadline of the order passed"))
	defer cancel()
	sequence := p.o.Sequence()
	note, err := driver.Do(ctx, op, t.Plan.Target, t.Plan.Generation)
	r := journal.Receipt{State: journal.Succeeded, Output: note, Before: before, EndedAt: p.o.Now()}
	switch {
	case err != nil && ctx.Err() != nil:
		r.State, r.Err = journal.Unknown, context.Cause(ctx).Error()
	case err != nil:
		r.State, r.Err = journal.Failed, err.Error()
	}
	looking, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	if thing, there, err := driver.Look(looking, t.Plan.Target); err == nil {
		r.After = attrs(thing, there, sequence)
	}
	if err := p.receipts.Finish(t.Plan.IdempotencyKey, r); err != nil {
		p.o.Log.Error("the outcome of an order cannot be kept", "action", t.Plan.ID, "state", r.State, "err", err)
	}
	p.o.Log.Info("an order was carried out", "action", t.Plan.ID, "verb", t.Plan.Verb, "target", t.Plan.Target, "state", r.State, "err", r.Err)
	if err := p.receipts.Prune(p.o.Now().Add(-receiptsKept)); err != nil {
		p.o.Log.Warn("old receipts cannot be removed", "err", err)
	}
}

// Receipt answers what is on record for a key. One that is running while no
// operation of this process is, was cut off: its outcome is unknown.
func (p *Performer) Receipt(key string) (journal.Receipt, bool, error) {
	r, ok, err := p.receipts.Get(key)
	if err != nil || !ok || r.State != journal.Running {
		return r, ok, err
	}
	p.mu.Lock()
	idle := len(p.busy) == 0
	p.mu.Unlock()
	if !idle {
		return r, ok, nil
	}
	if r, ok, err = p.receipts.Get(key); err == nil && ok && r.State == journal.Running {
		r.State, r.Err = journal.Unknown, "the agent ended while it was at it"
		err = p.receipts.Finish(key, r)
	}
	return r, ok, err
}
