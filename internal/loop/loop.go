// Package loop runs the background work of a process: named passes, each
// called again and again, one at a time, until the process stops. A pass is
// idempotent and takes no input: it looks at the state it watches and does
// what is missing, so a lost wake costs one period and never correctness.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// FailuresToReport is how many failed passes in a row make a finding about
// Reeve itself.
const FailuresToReport = 3

const maxBackoff = 5 * time.Minute

// A Loop is a pass with its rhythm. Fill the exported fields, then hand it to
// Group.Add.
type Loop struct {
	Name    string
	Doc     string
	Every   time.Duration
	Timeout time.Duration // of one pass; zero means Every, at least a minute
	// Rest is how many times as long as a pass took nobody can wake the next:
	// what takes long on a large estate must not take all of a core.
	Rest int
	// Steady says that passes that fail do not grow rarer: somebody outside
	// counts on their rhythm.
	Steady bool
	Pass   func(context.Context) error

	wake chan struct{}
	mu   sync.Mutex
	stat Status
}

// A Status is what the passes of a loop did so far.
type Status struct {
	Name         string    `json:"name"`
	Doc          string    `json:"doc"`
	EveryMS      int64     `json:"every_ms"`
	Passes       int64     `json:"passes"`
	Failures     int       `json:"failures" doc:"Failed passes since the last that succeeded."`
	Running      bool      `json:"running"`
	Started      time.Time `json:"started_at"`
	Ended        time.Time `json:"ended_at"`
	LastOK       time.Time `json:"last_ok_at"`
	LastPassMS   int64     `json:"last_pass_ms"`
	Err          string    `json:"error,omitempty"`
	FailingSince time.Time `json:"failing_since,omitzero"`
}

// Wake asks for a pass soon. It never blocks; wakes that come together
// collapse into one.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Status answers a copy.
func (l *Loop) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stat
}

// A Group runs loops and stops them together.
type Group struct {
	log   *slog.Logger
	loops []*Loop
	wg    sync.WaitGroup
	stop  context.CancelFunc
}

// NewGroup makes an empty group.
func NewGroup(log *slog.Logger) *Group { return &Group{log: log, stop: func() {}} }

// Add takes a loop in and returns it; call it before Start.
func (g *Group) Add(l *Loop) *Loop {
	l.wake = make(chan struct{}, 1)
	if l.Timeout == 0 {
		l.Timeout = max(l.Every, time.Minute)
	}
	l.stat = Status{Name: l.Name, Doc: l.Doc, EveryMS: l.Every.Milliseconds()}
	g.loops = append(g.loops, l)
	return l
}

// Start starts every loop with a first pass at once.
func (g *Group) Start(ctx context.Context) {
	ctx, g.stop = context.WithCancel(ctx)
	for _, l := range g.loops {
		g.wg.Go(func() { g.run(ctx, l) })
	}
}

// Statuses answers the status of every loop, by name.
func (g *Group) Statuses() []Status {
	all := make([]Status, 0, len(g.loops))
	for _, l := range g.loops {
		all = append(all, l.Status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Stop asks every loop to stop and waits for the passes under way. When ctx
// ends first, the error names the loops that are still busy.
func (g *Group) Stop(ctx context.Context) error {
	g.stop()
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	var busy []error
	for _, s := range g.Statuses() {
		if s.Running {
			busy = append(busy, fmt.Errorf("loop %s is still in a pass that began at %s", s.Name, s.Started.Format(time.RFC3339)))
		}
	}
	return errors.Join(busy...)
}

func (g *Group) run(ctx context.Context, l *Loop) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		began := time.Now()
		g.pass(ctx, l)
		timer.Reset(l.wait())
		l.rest(ctx, time.Since(began))
	}
}

// rest waits after a pass that took as long as it did, at most until the next
// is due.
func (l *Loop) rest(ctx context.Context, took time.Duration) {
	d := min(time.Duration(l.Rest)*took, l.Every)
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// wait answers the time to the next pass: Every while all is well, doubled
// for each failure in a row up to five minutes, with a tenth of jitter so
// that loops that failed together do not retry together.
func (l *Loop) wait() time.Duration {
	failures := l.Status().Failures
	if failures == 0 || l.Steady {
		return l.Every
	}
	d := min(l.Every<<min(failures, 8), max(l.Every, maxBackoff))
	return d + rand.N(d/10+1)
}

func (g *Group) pass(ctx context.Context, l *Loop) {
	began := time.Now()
	l.mu.Lock()
	l.stat.Started, l.stat.Running = began, true
	l.mu.Unlock()
	passCtx, cancel := context.WithTimeoutCause(ctx, l.Timeout, fmt.Errorf("pass took longer than %v", l.Timeout))
	defer cancel()
	err := safely(passCtx, l.Pass)
	if cause := context.Cause(passCtx); err != nil && cause != nil && errors.Is(err, passCtx.Err()) {
		err = cause
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.stat.Passes++
	l.stat.Running = false
	l.stat.Ended, l.stat.LastPassMS = now, now.Sub(began).Milliseconds()
	if err == nil || ctx.Err() != nil {
		l.stat.Failures, l.stat.Err, l.stat.FailingSince = 0, "", time.Time{}
		l.stat.LastOK = now
		return
	}
	if l.stat.Failures == 0 {
		l.stat.FailingSince = now
	}
	l.stat.Failures++
	l.stat.Err = err.Error()
	g.log.Error("loop pass failed", "loop", l.Name, "failures", l.stat.Failures, "err", err)
}

// safely turns a panic into an error, so that one bad pass does not end the
// process.
func safely(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(ctx)
}
