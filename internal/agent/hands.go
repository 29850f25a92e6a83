package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/drivers"
	"reeve/internal/journal"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/perform"
	"reeve/internal/workload"
)

// Hands list what can be commanded on a host and, where it has approvers,
// carry out what they approved.
type Hands struct {
	log       *slog.Logger
	drivers   map[string]drivers.Driver
	counter   *journal.Counter
	performer orders // nil where nothing is ever changed

	mu   sync.Mutex
	last int64 // number of the newest list
}

// orders are who takes tickets: the part in this process, or the one behind a
// socket.
type orders interface {
	Perform(ctx context.Context, ticket []byte, approvers [][]byte) ([]byte, error)
	Receipt(ctx context.Context, key string) ([]byte, error)
}

// listsFile keeps the numbers of lists, which never fall.
const listsFile = "lists"

// NewHands makes hands that list, with folder dir of their own.
func NewHands(log *slog.Logger, dir string, env collect.Env) (*Hands, error) {
	counter, err := journal.OpenCounter(filepath.Join(dir, listsFile))
	if err != nil {
		return nil, err
	}
	return &Hands{log: log, counter: counter, drivers: openDrivers(env)}, nil
}

func openDrivers(env collect.Env) map[string]drivers.Driver {
	all := map[string]drivers.Driver{}
	for _, d := range drivers.All() {
		all[d.Name] = d.Open(env)
	}
	return all
}

// CommandHere lets the hands carry out orders in this process. The pin is the
// hash of the root of the approvers.
func (h *Hands) CommandHere(dir string, env collect.Env, host, pin string) (close func(), err error) {
	p, err := newPerformer(h.log, dir, env, host, pin, h.sequence)
	if err != nil {
		return nil, err
	}
	h.performer = here{p}
	return p.Close, nil
}

// newPerformer makes the part that carries out orders.
func newPerformer(log *slog.Logger, dir string, env collect.Env, host, pin string, sequence func() int64) (*perform.Performer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, ops.Because(ops.Unavailable, err, "the folder %s cannot be made", dir)
	}
	all := map[string]perform.Driver{}
	for name, d := range openDrivers(env) {
		definition, _ := drivers.Get(name)
		all[name] = commanded{definition, d}
	}
	return perform.New(perform.Options{Log: log, Dir: dir, Host: host, Pin: pin, Drivers: all, Sequence: sequence, Now: time.Now})
}

func (h *Hands) sequence() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Drivers answers the names of what can be listed here.
func (h *Hands) Drivers() []string {
	var names []string
	for _, d := range drivers.All() {
		names = append(names, d.Name)
	}
	return names
}

// listLag is how far the numbers of lists may fall behind the clock.
const listLag = 10 * time.Minute

// number answers the number of the next list. A machine that goes back to a
// snapshot takes its counter back with it, and the clock goes on: so do the
// numbers.
func (h *Hands) number() (int64, error) {
	if now := time.Now(); now.Add(-listLag).UnixMilli() > h.last {
		if err := h.counter.AtLeast(now.UnixMilli()); err != nil {
			return 0, err
		}
	}
	return h.counter.Next()
}

// Workloads lists what is on the host, each driver for itself: one that fails
// makes no other list incomplete.
func (h *Hands) Workloads(ctx context.Context, _ *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock() // one list after the other, so that numbers are their order
	number, err := h.number()
	if err != nil {
		return nil, link.Wire(err)
	}
	answer := &linkpb.WorkloadsResponse{Sequence: number, AtMs: time.Now().UnixMilli()}
	for _, d := range drivers.All() {
		list, err := h.drivers[d.Name].List(ctx)
		if errors.Is(err, collect.ErrAbsent) {
			continue // nothing is known of what is not there
		}
		x := &linkpb.DriverList{Driver: d.Name, Complete: err == nil}
		if err != nil {
			x.Error = err.Error()
		}
		for _, w := range list {
			x.Workloads = append(x.Workloads, &linkpb.Workload{Key: w.Name, Name: w.Name, Label: w.Label, Generation: strconv.FormatInt(w.Generation, 10), SinceMs: millisOf(w.Since)})
		}
		answer.Drivers = append(answer.Drivers, x)
	}
	h.last = number
	return answer, nil
}

func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Perform carries an order out, if this host takes any.
func (h *Hands) Perform(ctx context.Context, r *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	if h.performer == nil {
		return nil, link.Wire(ops.Errorf(ops.Forbidden, "this agent only watches: it joined without approvers, or its part that performs does not run"))
	}
	receipt, err := h.performer.Perform(ctx, r.GetTicket(), r.GetApprovers())
	if err != nil {
		return nil, link.Wire(err)
	}
	return &linkpb.PerformResponse{Receipt: receipt}, nil
}

// Receipt answers the record of an order, nothing when there is none.
func (h *Hands) Receipt(ctx context.Context, r *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	if h.performer == nil {
		return &linkpb.ReceiptResponse{}, nil
	}
	receipt, err := h.performer.Receipt(ctx, r.GetKey())
	if err != nil {
		return nil, link.Wire(err)
	}
	return &linkpb.ReceiptResponse{Receipt: receipt}, nil
}

// here takes orders in this process.
type here struct{ p *perform.Performer }

func (h here) Perform(ctx context.Context, ticket []byte, approvers [][]byte) ([]byte, error) {
	r, err := h.p.Perform(ctx, ticket, approvers)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

func (h here) Receipt(_ context.Context, key string) ([]byte, error) {
	r, ok, err := h.p.Receipt(key)
	if err != nil || !ok {
		return nil, err
	}
	return json.Marshal(r)
}

// commanded is a driver as package perform sees it.
type commanded struct {
	definition drivers.Definition
	driver     drivers.Driver
}

func (c commanded) Look(ctx context.Context, name string) (t perform.Thing, ok bool, err error) {
	list, err := c.driver.List(ctx)
	if err != nil {
		return t, false, err
	}
	for _, w := range list {
		if w.Name == name {
			state, _ := c.definition.State(w.Label)
			return perform.Thing{Label: w.Label, State: state, Generation: w.Generation}, true, nil
		}
	}
	return t, false, nil
}

func (c commanded) Do(ctx context.Context, op workload.Operation, name string, generation int64) (string, error) {
	if err := c.definition.Refuse(op, name); err != nil {
		return "", err
	}
	return c.driver.Do(ctx, op, drivers.Target{Name: name, Generation: generation})
}
