// Package reconcile compares what should run on the hosts with what does. For
// each host whose agent is connected to this server it reads the rows, asks
// the agent for its list, and writes what package workload makes of both, each
// row by compare-and-swap on the version that was read before the list. It
// never changes what is desired but for a person's word, and commands
// nothing: differences are problems, which become findings.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// Every is how often each host is asked that beats as hosts do by themselves.
const Every = 30 * time.Second

// pace answers how often a host is asked: one that beats rarely has a link
// that is slow or costs money.
func pace(h ops.Host) time.Duration { return max(Every, 2*h.Beat()) }

const (
	look       = 5 * time.Second // between looks at whose turn it is
	askTimeout = 20 * time.Second
	atOnce     = 16 // hosts that are asked at a time
)

// actor is who the transitions of passes are from.
const actor = "reconcile"

// An Agent answers lists of workloads.
type Agent interface {
	Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error)
}

// A Driver is what must be known of a driver to understand its lists.
type Driver struct {
	// State answers what a word of the driver means.
	State func(label string) (s workload.State, inTransit bool)
	// Strangers says that what nobody declared is kept and may be a finding.
	Strangers bool
}

// Options are what a Reconcile is made of.
type Options struct {
	Log   *slog.Logger
	Store *store.Store
	// Agents answers the agents that are connected to this server, by host.
	Agents  func() map[string]Agent
	Drivers map[string]Driver
	// Changed is called after a pass that changed something: a hint.
	Changed func()
}

// A Reconcile asks hosts and writes what it concludes.
type Reconcile struct {
	Options
	loop *loop.Loop

	mu    sync.Mutex
	hosts map[string]asked
}

// asked is what is remembered of a host between passes.
type asked struct {
	at       time.Time
	every    time.Duration // as far as it is known
	agent    Agent         // the connection; another one is asked at once
	sequence int64         // of the newest list: an older one is dropped whole
}

// New makes a Reconcile.
func New(o Options) *Reconcile { return &Reconcile{Options: o, hosts: map[string]asked{}} }

// Loops answers its passes.
func (r *Reconcile) Loops() []*loop.Loop {
	r.loop = &loop.Loop{Name: "reconcile", Doc: "Compares what should run on the hosts with what does.", Every: look, Timeout: 2 * time.Minute, Pass: r.pass}
	return []*loop.Loop{r.loop}
}

// Soon asks a host again at the next pass, which comes at once.
func (r *Reconcile) Soon(host string) {
	r.mu.Lock()
	x := r.hosts[host]
	x.at = time.Time{}
	r.hosts[host] = x
	r.mu.Unlock()
	if r.loop != nil {
		r.loop.Wake()
	}
}

// pass asks the hosts whose turn it is. One that does not answer holds up
// nobody, and nothing is concluded about it.
func (r *Reconcile) pass(ctx context.Context) error {
	var mu sync.Mutex
	var failed error
	agents := r.Agents()
	loop.Spread(ctx, r.due(agents), look/2, atOnce, func(id string) {
		if err := r.Host(ctx, id, agents[id]); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		}
	})
	r.forget(agents)
	return failed
}

// due answers the hosts whose turn it is, and notes that it was.
func (r *Reconcile) due(agents map[string]Agent) (ids []string) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, agent := range agents {
		x := r.hosts[id]
		if x.agent == agent && now.Sub(x.at) < max(x.every, Every) {
			continue
		}
		x.at, x.agent = now, agent
		r.hosts[id] = x
		ids = append(ids, id)
	}
	return ids
}

func (r *Reconcile) forget(agents map[string]Agent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.hosts {
		if agents[id] == nil {
			delete(r.hosts, id)
		}
	}
}

// Host reconciles one host now. An agent that does not answer is no failure
// of this pass: its reachability is judged elsewhere.
func (r *Reconcile) Host(ctx context.Context, id string, agent Agent) error {
	host, err := r.Store.Host(ctx, id)
	if err != nil || host.ResourceID == "" {
		return ignoreMissing(err)
	}
	rows, err := r.Store.WorkloadsOf(ctx, id)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := agent.Workloads(asking, &linkpb.WorkloadsRequest{})
	if err != nil {
		r.Log.Debug("a host did not list its workloads", "host", host.Name, "err", err)
		return nil
	}
	r.mu.Lock()
	x := r.hosts[id]
	stale := answer.GetSequence() <= x.sequence
	x.sequence, x.every = max(x.sequence, answer.GetSequence()), pace(host)
	r.hosts[id] = x
	r.mu.Unlock()
	if stale {
		return nil
	}
	now, err := r.Store.Now(ctx)
	if err != nil {
		return err
	}
	changes := r.judge(now, host, rows, answer)
	if len(changes) == 0 {
		return nil
	}
	if err := r.write(ctx, now, host, changes); err != nil {
		return fmt.Errorf("write the workloads of %s: %w", host.Name, err)
	}
	r.Changed()
	return nil
}

func ignoreMissing(err error) error {
	if ops.KindOf(err) == ops.NotFound {
		return nil
	}
	return err
}
