package app

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	dutyLease = "duty"
	dutyEvery = 3 * time.Second
	dutyLife  = 9 * time.Second
	// serverAlive is how long ago another server may have spoken and live.
	serverAlive = 15 * time.Second
	// serverGone is how long ago it must have spoken for its parts to go: after
	// the database was away all are silent but the first to be back.
	serverGone = 2 * time.Minute
	// serverKept is how long one that went without a word is missed.
	serverKept = 7 * 24 * time.Hour
)

// A duty is the right to do what only one of several servers does: judge,
// tell people, patrol. It is a lease in the database; whatever is written
// under it is refused once another server has followed. With SQLite there is
// one server, which always has it.
type duty struct {
	shared bool // several servers may be on the database

	mu    sync.Mutex
	lease store.Lease
	until time.Time // on this process's clock: it is lost before the database says so
	other bool      // another server had it when this one last asked
}

// on answers a context to do single work under, false while another server
// has the duty.
func (d *duty) on(ctx context.Context) (context.Context, bool) {
	if !d.shared {
		return ctx, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !time.Now().Before(d.until) {
		return ctx, false
	}
	return store.Under(ctx, d.lease), true
}

// elsewhere reports whether another server has the duty.
func (d *duty) elsewhere() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.other
}

// single makes a loop's pass one that happens only on duty.
func (s *Server) single(l *loop.Loop) *loop.Loop {
	l.Pass = s.onDuty(l.Pass)
	return l
}

// onDuty answers a pass that happens only on duty.
func (s *Server) onDuty(pass func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		under, on := s.duty.on(ctx)
		if !on {
			return nil
		}
		err := pass(under)
		if _, still := s.duty.on(ctx); !still && ops.KindOf(err) == ops.Conflict {
			return nil // another server has taken over meanwhile
		}
		return err
	}
}

// takeDuty is the pass that says that this server lives and takes the duty
// when nobody has it.
func (s *Server) takeDuty(ctx context.Context) error {
	if err := s.store.SaveServer(ctx, s.self()); err != nil {
		return err
	}
	began := time.Now()
	fence, held, err := s.store.TakeLease(ctx, dutyLease, s.serverID, dutyLife)
	if err != nil {
		return err
	}
	s.duty.mu.Lock()
	had := began.Before(s.duty.until) && s.duty.lease.Fence == fence
	s.duty.mu.Unlock()
	if held && !had {
		s.log.Info("this server is on duty: it judges, tells and patrols")
		if err := s.assume(ctx); err != nil {
			return err
		}
	}
	s.duty.mu.Lock()
	defer s.duty.mu.Unlock()
	if s.duty.other = !held; !held {
		if !s.duty.until.IsZero() {
			s.log.Info("another server is on duty")
		}
		s.duty.until = time.Time{}
		return nil
	}
	if !had {
		s.woken.declare.Wake() // its period is long
	}
	s.duty.lease = store.Lease{Name: dutyLease, Holder: s.serverID, Fence: fence}
	s.duty.until = began.Add(dutyLife - time.Second)
	return nil
}

// assume goes on where the server that had the duty before ended.
func (s *Server) assume(ctx context.Context) error {
	s.watch.Forget()
	return s.investigate.Recover(ctx)
}

// self is this server as others see it.
func (s *Server) self() ops.Server {
	name, _ := os.Hostname()       // without one the name is empty
	address, _ := s.agentAddress() // without one agents cannot reach it
	return ops.Server{ID: s.serverID, Name: name, Version: s.version, Address: address, External: s.config.Metrics.URL != "", Since: s.started}
}

// mayShare refuses to be one of several servers when samples would be kept in
// each by itself: what one has not seen it would judge as missing.
func (s *Server) mayShare(ctx context.Context) error {
	if s.duty.shared = !strings.HasPrefix(s.config.Database, "sqlite:"); !s.duty.shared {
		return nil
	}
	others, err := s.store.Servers(ctx, serverAlive)
	if err != nil {
		return err
	}
	for _, o := range others {
		switch {
		case o.ID == s.serverID:
		case s.config.Metrics.URL == "":
			return ops.Errorf(ops.Conflict, "another server (%s, %s) is on this database: several need one external metrics store between them; set metrics.url to it, or stop the other", o.Name, o.ID)
		case !o.External:
			return ops.Errorf(ops.Conflict, "another server (%s, %s) is on this database and keeps its samples itself: set metrics.url there first, to the store of this one", o.Name, o.ID)
		}
	}
	return s.store.SaveServer(ctx, s.self())
}

// leave gives everything back, so that another server need not wait.
func (s *Server) leave(ctx context.Context) error {
	if !s.duty.shared {
		return nil
	}
	if err := s.store.DropLease(ctx, dutyLease, s.serverID); err != nil {
		return err
	}
	return s.store.DeleteServer(ctx, s.serverID)
}

// servers answers the servers of the database with those that are missed.
func (s *Server) servers(ctx context.Context) ([]ops.Server, error) {
	if !s.duty.shared {
		me := s.self()
		me.Duty, me.SeenAt = true, time.Now().UTC()
		return []ops.Server{me}, nil
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.store.Servers(ctx, serverKept)
	if err != nil {
		return nil, err
	}
	holder, err := s.store.LeaseHolder(ctx, dutyLease)
	for i, x := range all {
		all[i].Duty, all[i].Away = x.ID == holder, now.Sub(x.SeenAt) >= serverAlive
	}
	return all, err
}

// living answers the servers that live.
func (s *Server) living(ctx context.Context) ([]ops.Server, error) {
	all, err := s.servers(ctx)
	return slices.DeleteFunc(all, func(x ops.Server) bool { return x.Away }), err
}
