// Package agent joins the parts that run on a host that is not a server's
// own: collectors, the spool, the connection to the server, and the answers
// on its command direction.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/collectors"
	"reeve/internal/command"
	"reeve/internal/gather"
	"reeve/internal/journal"
	"reeve/internal/link"
	"reeve/internal/ops"
)

// What an agent keeps in its data folder beside its identity.
const (
	spoolFolder      = "spool"
	collectorsFolder = "collectors"
	sequenceFile     = "sequence"
	settingsFile     = "settings.json"
)

// Options are what an agent is started with.
type Options struct {
	Data string
	// Etc is where root keeps what the agent believes; "" for Data.
	Etc   string
	Roots gather.Roots
	// Live says that Roots are of the machine this process runs on though its
	// root is not /: the agent is in a container.
	Live    bool
	Labels  map[string]string
	Version string
	// Spool bounds what waits on the disk, in bytes; zero for 64 MiB.
	Spool int64
	// Alarm is where a person is told that the server is gone; "" for nowhere.
	Alarm      string
	AlarmAfter time.Duration
	// Socket is where the part that performs listens; with PerformHere it is
	// in this process instead.
	Socket      string
	PerformHere bool
	// PerformState is where the part that performs keeps its receipts; "" for
	// a folder in Data.
	PerformState string
	// Program is where the running program is; "" to find it. TrialTime is how
	// long it may take to reach the server after it was put there; 0 for
	// TrialTime.
	Program   string
	TrialTime time.Duration
	// ClockOffset is added to the clock that the agent tells its server; tests
	// of wrong clocks set it.
	ClockOffset time.Duration
}

// env answers the host as collectors see it.
func (o Options) env(log *slog.Logger) collect.Env {
	r := o.Roots
	r.StateDir = o.collectorsDir()
	if r.Root != "" && r.Root != "/" && !o.Live {
		return gather.RecordedEnv(log, r)
	}
	return gather.LiveEnv(log, r)
}

// An Agent is the watcher of one host.
type Agent struct {
	log     *slog.Logger
	o       Options
	env     collect.Env
	id      ops.HostIdentity
	machine []string
	joined  joined
	hands   *Hands
	spool   *journal.Spool
	counter *journal.Counter
	started time.Time
	trial   *onTrial // nil for a program that has shown that it works

	// Of the pass that keeps the connection: the address that was good, how
	// often addresses were tried since, and whose turn it is.
	good        string
	tries, turn int

	failing failing // of the pass that sends what waits

	handing sync.Mutex

	mu       sync.Mutex
	conn     *connection // nil while there is none
	settings []byte
	heardAt  time.Time // when the server last answered
	reason   string    // why there is no connection
	pending  pending
	changed  chan struct{} // settings came
	more     chan struct{} // the spool has something
	closers  []func()
}

// pending is the report that the collectors hand over again and again until
// it is kept: it keeps its number.
type pending struct{ theirs, ours int64 }

// New opens an agent that has joined.
func New(log *slog.Logger, o Options) (*Agent, error) {
	if _, err := os.Stat(filepath.Join(o.Data, serverFile)); errors.Is(err, os.ErrNotExist) {
		return nil, notJoined(o.Data)
	}
	a := &Agent{log: log, o: o, started: time.Now(), heardAt: time.Now(), changed: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	if err := a.open(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (a *Agent) open() error {
	o := a.o
	unlock, err := lock(o.Data)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, unlock)
	if a.joined, err = readJoined(o.Data); err != nil {
		return err
	}
	if err := os.MkdirAll(o.collectorsDir(), 0o700); err != nil {
		return ops.Because(ops.Unavailable, err, "the folder %s cannot be made", o.collectorsDir())
	}
	a.openTrial()
	a.env = o.env(a.log)
	if a.id, err = gather.Identity(o.Data, a.env); err != nil {
		return err
	}
	a.id.Name, a.id.Labels, a.machine = a.joined.server.Name, o.Labels, machine(a.env)
	a.spool, err = journal.OpenSpool(filepath.Join(o.Data, spoolFolder), journal.SpoolOptions{MaxBytes: o.Spool, Log: a.log,
		Codec: journal.Codec{Encode: link.EncodeReport, Decode: link.DecodeReport}})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() { a.spool.Close() })
	if a.counter, err = journal.OpenCounter(filepath.Join(o.Data, sequenceFile)); err != nil {
		return err
	}
	// A machine that was put back from a backup takes its count of reports back
	// with it: their numbers follow the clock, or the server ignores what is
	// reported before it is reached.
	if err := a.counter.AtLeast(time.Now().UnixMilli()); err != nil {
		a.log.Warn("the numbers of reports do not follow the clock", "err", err)
	}
	if err := a.openHands(); err != nil {
		return err
	}
	a.settings, _ = os.ReadFile(filepath.Join(o.Data, settingsFile)) // the server says them anew
	return nil
}

// openHands lets the agent list what can be commanded, and take orders where
// it joined with approvers.
func (a *Agent) openHands() (err error) {
	if a.hands, err = NewHands(a.log, a.o.Data, a.env); err != nil {
		return err
	}
	pin, ok := a.o.orders(a.log)
	switch {
	case command.ReadOnly || !ok:
	case a.o.PerformHere:
		wait, err := a.hands.CommandHere(a.o.performState(), a.env, pin.Host, pin.Approvers)
		if err != nil {
			return err
		}
		a.closers = append(a.closers, wait)
	default:
		a.hands.CommandBehind(a.o.Socket)
	}
	return nil
}

// Close gives back what New opened.
func (a *Agent) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

// Run watches the host until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		failed = a.collect(ctx)
		cancel()
	})
	wg.Go(func() { a.keepConnected(ctx) })
	wg.Go(func() { a.watchServer(ctx) })
	var untried error
	wg.Go(func() {
		if untried = a.watchTrial(ctx); untried != nil {
			cancel()
		}
	})
	wg.Wait()
	return errors.Join(failed, untried)
}

// collect runs the collectors, anew with each change of the settings.
func (a *Agent) collect(ctx context.Context) error {
	for ctx.Err() == nil {
		worker, err := a.worker()
		if err != nil {
			return err
		}
		running, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- worker.Run(running) }() // ends below
		select {
		case <-a.changed:
			a.log.Info("the server's settings changed: collecting anew")
		case <-ctx.Done():
		}
		stop()
		if err := <-done; err != nil {
			a.log.Warn("collectors did not stop", "err", err)
		}
	}
	return nil
}

// worker makes the collectors with the newest settings. What the agent does
// not know of them is of a newer server, and left out.
func (a *Agent) worker() (*gather.Worker, error) {
	a.mu.Lock()
	text := a.settings
	a.mu.Unlock()
	told, err := link.ParseSettings(text)
	if err != nil {
		a.log.Error("the server's settings cannot be read; collecting without", "err", err)
	}
	settings := map[string]gather.Setting{}
	for name, c := range told.Collectors {
		if _, ok := collectors.Get(name); ok {
			settings[name] = gather.Setting{Every: c.Every(), Enabled: c.Enabled, Options: c.Options}
		}
	}
	w, err := gather.New(a.log, gather.Options{Host: a.id, Env: a.env, Definitions: collectors.All(), Settings: settings, Hand: a.hand})
	if err != nil {
		return nil, fmt.Errorf("make the collectors: %w", err)
	}
	return w, nil
}

// hand sends a report, or keeps it for later on the disk: when it answers nil
// the report is in safe hands.
func (a *Agent) hand(ctx context.Context, r ops.Report) error {
	// One at a time: numbers reach the server in their order, or it takes the
	// lower one for a report that it knows.
	a.handing.Lock()
	defer a.handing.Unlock()
	number, err := a.number(r.Sequence)
	if err != nil {
		return err
	}
	r.Sequence = number
	if waiting, _, _ := a.spool.Depth(); waiting == 0 {
		if conn := a.connected(); conn != nil && conn.report(ctx, r, false) == nil {
			return nil
		}
	}
	err = a.spool.Put(r)
	if ops.KindOf(err) == ops.Conflict { // it waits already
		err = nil
	}
	if err == nil {
		select {
		case a.more <- struct{}{}:
		default:
		}
	}
	return err
}

// number answers the number of a report of the collectors; one that comes
// again keeps its own.
func (a *Agent) number(theirs int64) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending.theirs == theirs && theirs != 0 {
		return a.pending.ours, nil
	}
	n, err := a.counter.Next()
	if err == nil {
		a.pending = pending{theirs, n}
	}
	return n, err
}

func (a *Agent) connected() *connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn
}

// clock answers the time that the agent tells.
func (a *Agent) clock() time.Time { return time.Now().Add(a.o.ClockOffset) }
