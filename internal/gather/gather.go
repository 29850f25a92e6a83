// Package gather runs the collectors of a host: each at its own pace and in
// its own time, so that one that hangs holds up no other, and hands what they
// saw over to the server.
package gather

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/loop"
	"reeve/internal/ops"
)

const (
	// tick is how far apart two looks for collectors that are due are at
	// least, so that those which are due within one begin together: on a host
	// with little to do, to wake up costs more than what is done.
	tick = time.Second
	// look is how far apart they are at most.
	look = 10 * time.Second
	// handEvery is how often what could not be handed over is offered again.
	handEvery = 5 * time.Second
	// leastEvery is the shortest period that a setting can ask for.
	leastEvery = time.Second
	// handTimeout bounds one try to hand a report over.
	handTimeout = 30 * time.Second
	// stopTimeout is how long Run waits for collectors when it ends.
	stopTimeout = 5 * time.Second
	// lastTimeout bounds the last try, when that time is over.
	lastTimeout = 2 * time.Second
)

// Options say what to run and where it goes.
type Options struct {
	Host        ops.HostIdentity
	Env         collect.Env
	Definitions []collect.Definition
	// Settings are by the name of the collector.
	Settings map[string]Setting
	// Hand takes a report. A report that it fails to take is offered again,
	// with the same sequence.
	Hand func(ctx context.Context, report ops.Report) error
}

// A Setting changes how one collector runs.
type Setting struct {
	Every   time.Duration // zero means the definition's
	Enabled *bool         // nil means enabled
	Options map[string]string
}

// A Worker runs the collectors of one host.
type Worker struct {
	log    *slog.Logger
	host   ops.HostIdentity
	hand   func(context.Context, ops.Report) error
	jobs   []*job
	first  bool
	buffer *buffer
	// ctx ends the collectors under way when the worker is closed: they
	// outlive the pass that starts them.
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
	handing *loop.Loop
	looking *loop.Loop
	began   time.Time  // of the first look
	mu      sync.Mutex // guards the jobs' state, first and wake
	wake    *time.Timer
	one     sync.Mutex // hands over
	pending *ops.Report
	number  int64
}

// New makes a worker. A setting for a collector that does not exist is a
// mistake in the configuration.
func New(log *slog.Logger, o Options) (*Worker, error) {
	if dir := o.Env.StateDir; dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the collectors' directory: %w", err)
		}
	}
	w := &Worker{log: log, host: o.Host, hand: o.Hand, first: true, buffer: newBuffer(), number: time.Now().UnixMilli()}
	for _, d := range o.Definitions {
		w.jobs = append(w.jobs, newJob(log, d, o.Settings[d.Name], o.Env))
	}
	for name := range o.Settings {
		if !slices.ContainsFunc(o.Definitions, func(d collect.Definition) bool { return d.Name == name }) {
			return nil, ops.Errorf(ops.Invalid, "collectors: there is no collector %q", name)
		}
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w, nil
}

// Loops answers the worker's passes, for the group that supervises them. Call
// it once, and Close after the group has stopped.
func (w *Worker) Loops() []*loop.Loop {
	w.handing = &loop.Loop{
		Name: "hand_over", Doc: "Hands what the collectors saw over to the server.",
		Every: handEvery, Timeout: handTimeout, Pass: w.handOver,
	}
	w.looking = &loop.Loop{
		Name: "gather", Doc: "Starts the collectors that are due and watches those that run.",
		Every: look, Pass: w.pass,
	}
	return []*loop.Loop{w.looking, w.handing}
}

// Run supervises the worker's passes until ctx ends, for a process that has
// no group of its own.
func (w *Worker) Run(ctx context.Context) error {
	group := loop.NewGroup(w.log)
	for _, l := range w.Loops() {
		group.Add(l)
	}
	group.Start(ctx)
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(group.Stop(stopping), w.Close(stopping))
}

// Close stops the collectors under way, waits for them until ctx ends, and
// hands over what came in since the last pass. The error names those that do
// not stop; what the others saw is handed over all the same.
func (w *Worker) Close(ctx context.Context) error {
	w.stop()
	w.mu.Lock()
	if w.wake != nil {
		w.wake.Stop()
	}
	w.mu.Unlock()
	done := make(chan struct{})
	go func() { w.wg.Wait(); close(done) }()
	var late error
	select {
	case <-done:
	case <-ctx.Done():
		late = w.busy()
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
		defer cancel()
	}
	return errors.Join(late, w.handOver(ctx))
}

// busy names the collectors under way.
func (w *Worker) busy() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var busy []string
	for _, j := range w.jobs {
		if j.running {
			busy = append(busy, j.def.Name)
		}
	}
	return fmt.Errorf("collectors that do not stop: %s", strings.Join(busy, ", "))
}

// Dropped answers how many samples and events were lost because they could
// not be handed over for long.
func (w *Worker) Dropped() (samples, events int64) { return w.buffer.dropped() }

// pass starts the collectors that are due. It never waits for one.
func (w *Worker) pass(context.Context) error {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	tell := func(j *job) {
		j.told = now
		w.buffer.add(j.health(w.host, now, nil))
		w.handing.Wake()
	}
	for i, j := range w.jobs {
		switch {
		case j.disabled:
			if now.Sub(j.told) >= tellAgain {
				tell(j)
			}
		case j.running:
			if j.noticeStuck(now) {
				w.log.Warn("collector does not stop", "collector", j.def.Name, "since", j.started)
			}
			if j.stuck && now.Sub(j.told) >= j.every {
				tell(j)
			}
		case !now.Before(j.next):
			w.start(j, now, w.delay(i))
		}
	}
	if w.first {
		w.first, w.began = false, now
	}
	w.lookAgain(now)
	return nil
}

// lookAgain sees to it that the next look is when something is to do, at a
// whole number of ticks after the first.
func (w *Worker) lookAgain(now time.Time) {
	next := now.Add(look)
	for _, j := range w.jobs {
		if at := j.due(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	ticks := max((next.Sub(w.began)+tick-1)/tick, now.Sub(w.began)/tick+1)
	if w.wake != nil {
		w.wake.Stop()
	}
	w.wake = time.AfterFunc(w.began.Add(ticks*tick).Sub(now), w.looking.Wake)
}

// delay spreads the first passes of collectors that cost something over the
// first second; cheap ones begin at once.
func (w *Worker) delay(i int) time.Duration {
	if !w.first || w.jobs[i].def.Cost == collect.Cheap {
		return 0
	}
	return tick * time.Duration(i+1) / time.Duration(len(w.jobs)+1)
}

// start runs a collector once. The goroutine ends with the collector, and
// there is at most one of each.
func (w *Worker) start(j *job, now time.Time, delay time.Duration) {
	j.begin(now.Add(delay))
	w.wg.Go(func() {
		if delay > 0 {
			timer := time.NewTimer(delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-w.ctx.Done():
			}
		}
		w.finish(j, j.collect(w.ctx, w.host, w.log))
	})
}

// finish takes the result of a pass in. One that the end of the worker broke
// off says nothing about the collector or what it watches; but the events that
// it read are not read again.
func (w *Worker) finish(j *job, r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	late := j.stuck
	changed := j.end(r)
	if w.ctx.Err() != nil {
		if len(r.obs.Events) > 0 {
			w.buffer.add(ops.Observation{Collector: r.obs.Collector, Started: r.obs.Started, Took: r.obs.Took, EveryMS: r.obs.EveryMS, Events: r.obs.Events})
		}
		return
	}
	if late {
		// The server has heard of the collector since the pass began, so its
		// health is told apart, as of now.
		w.buffer.add(r.obs)
		w.buffer.add(j.health(w.host, time.Now(), nil))
	} else {
		told := j.health(w.host, r.obs.Started, &r.obs)
		j.stamp(&told)
		w.buffer.add(told)
	}
	if changed {
		w.log.Info("collector changed", "collector", j.def.Name, "state", j.state, "err", j.err, "gap", j.gap)
	}
	// What began together goes in one report.
	waiting := func(o *job) bool { return o.running && !o.stuck && o.def.Cost == collect.Cheap }
	if w.handing != nil && !slices.ContainsFunc(w.jobs, waiting) {
		w.handing.Wake()
	}
}

// handOver hands over what is there, the oldest first, until nothing is left
// or the server refuses.
func (w *Worker) handOver(ctx context.Context) error {
	if !w.one.TryLock() { // a pass that does not end, while the worker closes
		return nil
	}
	defer w.one.Unlock()
	for ctx.Err() == nil {
		if w.pending == nil {
			observations := w.buffer.take()
			if len(observations) == 0 {
				return nil
			}
			w.number++
			w.pending = &ops.Report{Host: w.host, Sequence: w.number, At: time.Now(), Observations: observations}
		}
		if err := w.hand(ctx, *w.pending); err != nil {
			return fmt.Errorf("hand over report %d: %w", w.pending.Sequence, err)
		}
		w.pending = nil
	}
	return ctx.Err()
}
