// Package fleet looks after the hosts: it lets them join with a one-time
// token, knows who may speak on a connection, keeps the three clocks by which
// a host is judged reachable, and judges. What a host says goes to whoever
// takes reports in.
//
// Clocks live in memory, on the process's own monotonic clock, and are
// written every few seconds as ages before the database's time, so that
// several servers agree. Exactly one server judges at a time: the holder of a
// lease in the database.
package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/store"
)

// Options are what a Fleet is made of.
type Options struct {
	Log   *slog.Logger
	Store *store.Store
	// Accept takes a report in; what is accepted is durable.
	Accept func(context.Context, ops.Report) error
	// Seal and Open keep the authority's key out of the database's text.
	Seal func(name, value string) (string, error)
	Open func(name, sealed string) (string, error)
	// Settings answers what an agent shall collect, as JSON.
	Settings func(ops.Host) []byte
	// Proven reports whether something else than agents shows that the
	// server's own network works.
	Proven func(context.Context) bool
	// Begun is called when a host has connected, before its first report: what
	// is remembered of it may be another server's by now.
	Begun func(ctx context.Context, host string) error
	// Addresses answers where agents reach the servers that live, this one
	// first.
	Addresses func(context.Context) []string
	// Moved is called after hosts moved: a hint for whoever watches.
	Moved  func()
	Server string // ID of this server
	// Alone says that no other server is on the database. It goes on without
	// agents of other machines when their authority cannot be opened, so that a
	// person can mend that; one of several refuses to start.
	Alone   bool
	Version string
	// CertLife is how long certificates of agents count; zero for HostLife.
	CertLife time.Duration
}

// A Fleet is the server's side of its hosts.
type Fleet struct {
	Options
	log     *slog.Logger
	store   *store.Store
	started time.Time // with its monotonic reading
	passed  time.Time // when the pass that judges last reached the database
	link    *link.Server
	roots   roots
	opened  atomic.Int64 // connections since the start

	mu        sync.Mutex
	sessions  map[string]*session // by host
	local     map[string]bool     // hosts whose agent is inside this server
	heard     map[string]heard    // clocks of hosts without a session now
	written   map[string]wrote    // clocks as they were written last
	placed    map[string]bool     // hosts whose resource is known
	numbers   map[string]*number  // of reports, by host
	blind     Blindness
	toldUnder int64 // fence of the lease under which the brake was written; of the loop that judges

	flushing, pinging, judging *loop.Loop
}

// A Blindness is the state of the mass brake.
type Blindness struct {
	Tripped  bool      `json:"tripped"`
	Silent   int       `json:"silent"`
	Expected int       `json:"expected"`
	Since    time.Time `json:"since,omitzero"`
	Judging  bool      `json:"judging" doc:"This server is the one that judges."`
}

// New makes a Fleet and reads, or makes, the authority of its agents.
func New(ctx context.Context, o Options) (*Fleet, error) {
	if o.CertLife == 0 {
		o.CertLife = pki.HostLife
	}
	f := &Fleet{Options: o, log: o.Log, store: o.Store, started: time.Now(), sessions: map[string]*session{}, local: map[string]bool{}, heard: map[string]heard{}, written: map[string]wrote{}, placed: map[string]bool{}, numbers: map[string]*number{}}
	f.link = link.NewServer(o.Log, keeper{f}, time.Now)
	if err := f.roots.open(ctx, f, time.Now()); err != nil {
		if !o.Alone || ops.KindOf(err) != ops.Unavailable {
			return nil, err
		}
		o.Log.Error("no agent of another machine can be let in", "err", err)
		f.roots.broken = err
	}
	return f, f.startQuiet(ctx)
}

// startQuiet notes every host that no other server has as not heard of yet:
// what is stored of them is from before this start, and nothing new must be
// concluded from it.
func (f *Fleet) startQuiet(ctx context.Context) error {
	hosts, err := f.store.Hosts(ctx, false)
	if err != nil {
		return err
	}
	var ids []string
	for _, h := range hosts {
		if !h.Local && (h.Server == f.Server || h.Server == "") {
			ids = append(ids, h.ID)
		}
	}
	return f.store.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.SetQuiet(ctx, ids, true) })
}

// Link answers who takes connections of agents.
func (f *Fleet) Link() *link.Server { return f.link }

// Fingerprint answers what an agent pins of this server.
func (f *Fleet) Fingerprint() string { return f.roots.fingerprint() }

// Loops answers the passes.
func (f *Fleet) Loops() []*loop.Loop {
	f.flushing = &loop.Loop{Name: "fleet_clocks", Doc: "Writes when hosts were last heard of.", Every: 5 * time.Second, Pass: f.flush}
	f.pinging = &loop.Loop{Name: "fleet_proof", Doc: "Asks agents to answer on the command direction.", Every: pingEvery, Pass: f.ping}
	f.judging = &loop.Loop{Name: "fleet_monitor", Doc: "Judges which hosts are reachable.", Every: JudgeEvery, Pass: f.judge}
	return []*loop.Loop{f.flushing, f.pinging, f.judging, {
		Name: "fleet_authority", Doc: "Reads the authority of the agents again, and retires the one before.", Every: time.Minute, Pass: f.rootsPass}}
}

// Close ends every connection and gives the lease back.
func (f *Fleet) Close(ctx context.Context) error {
	err := f.link.Close(ctx)
	if flushErr := f.flush(ctx); err == nil {
		err = flushErr
	}
	if dropErr := f.store.DropLease(ctx, monitorLease, f.Server); err == nil {
		err = dropErr
	}
	return err
}

// Blind answers the state of the mass brake.
func (f *Fleet) Blind() Blindness {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blind
}

// Connected answers how many agents are connected to this server.
func (f *Fleet) Connected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sessions)
}

// now answers the database's time.
func (f *Fleet) now(ctx context.Context) (time.Time, error) { return f.store.Now(ctx) }

// keeper answers package link for the fleet.
type keeper struct{ f *Fleet }

func (k keeper) TLS() (*tls.Certificate, *x509.CertPool, error) { return k.f.roots.serving(time.Now()) }

func (k keeper) Enrol(ctx context.Context, from string, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	return k.f.enrol(ctx, from, r)
}

// Agents answers the command direction of the agents that are connected to
// this server and have said hello, by host.
func (f *Fleet) Agents() map[string]link.Commander {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]link.Commander, len(f.sessions))
	for id, s := range f.sessions {
		all[id] = s.down
	}
	return all
}

// Agent answers one of Agents.
func (f *Fleet) Agent(host string) (link.Commander, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[host]
	if s == nil {
		return nil, false
	}
	return s.down, true
}
