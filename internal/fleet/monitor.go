package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"reeve/internal/ops"
	"reeve/internal/reach"
	"reeve/internal/store"
)

// JudgeEvery is the period of the pass that judges.
const JudgeEvery = 5 * time.Second

const (
	monitorLease = "fleet_monitor"
	leaseLife    = 3 * JudgeEvery
	// batch is how many hosts are written in one transaction.
	batch = 200
)

// judge is the pass that says which hosts are reachable.
func (f *Fleet) judge(ctx context.Context) error {
	fence, held, err := f.store.TakeLease(ctx, monitorLease, f.Server, leaseLife)
	if err == nil {
		f.awake(time.Now())
	}
	if err != nil || !held {
		return errors.Join(err, f.follow(ctx))
	}
	now, err := f.now(ctx)
	if err != nil {
		return err
	}
	hosts, quiet, err := f.store.HostsToJudge(ctx)
	if err != nil {
		return err
	}
	uptime := time.Since(f.started)
	e := reach.Estate{Hosts: make([]reach.Host, 0, len(hosts)), Uptime: uptime}
	for _, h := range hosts {
		e.Hosts = append(e.Hosts, f.ages(h, now, uptime))
	}
	e.Proven = f.proven(ctx, e)
	moves, blind := reach.Judge(e)
	if err := f.tell(ctx, now, Blindness{Tripped: blind.Tripped, Silent: blind.Silent, Expected: blind.Expected, Judging: true}, fence); err != nil {
		return err
	}
	if err := f.noteQuiet(ctx, now, looked{hosts, quiet, e}, fence); err != nil {
		return err
	}
	if len(moves) == 0 {
		return nil
	}
	judged := make(map[string]ops.Host, len(hosts))
	for _, h := range hosts {
		judged[h.ID] = h
	}
	for part := range slices.Chunk(moves, batch) {
		if err := f.move(ctx, now, judged, part, fence); err != nil {
			return err
		}
		f.Moved()
	}
	return nil
}

// awake notes that this process runs and reaches the database. After it did
// not for a while (it was stopped, its disk hung, the database was away) it is
// like one that was just started: the silence may have been its own.
func (f *Fleet) awake(now time.Time) {
	if !f.passed.IsZero() && now.Sub(f.passed) > reach.Quiet {
		f.log.Warn("this server was away; nobody's silence is judged for a while", "away", now.Sub(f.passed).Round(time.Second))
		f.started = now
	}
	f.passed = now
}

// unstarted reports whether a host has joined, or joined anew, and was not
// heard of since.
func unstarted(h ops.Host) bool {
	return h.State == ops.HostOnline && !h.Local && h.HeartbeatAt.IsZero()
}

// ages answers the ages of a host's clocks. Those of a host that is connected
// here are of the process's own clock; none is older than the process.
func (f *Fleet) ages(h ops.Host, now time.Time, uptime time.Duration) reach.Host {
	since := func(t time.Time) time.Duration {
		if t.IsZero() {
			return uptime
		}
		return min(max(now.Sub(t), 0), uptime)
	}
	x := reach.Host{ID: h.ID, State: h.State, Beat: since(h.HeartbeatAt), Proof: since(h.ProofAt), Report: since(h.ReportAt),
		Every: h.Beat(), Grace: h.Grace(), InState: max(now.Sub(h.Since), 0), Local: h.Local,
		Ends: !h.MaintenanceUntil.IsZero() && !now.Before(h.MaintenanceUntil)}
	if unstarted(h) { // what was before it joined is not its silence
		x.Beat, x.Proof, x.Report = min(x.Beat, x.InState), min(x.Proof, x.InState), min(x.Report, x.InState)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.local[h.ID] {
		x.Beat, x.Report = 0, 0
	}
	x.Unstarted = unstarted(h) && f.sessions[h.ID] == nil
	if s := f.sessions[h.ID]; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		here := time.Now()
		nearer := func(age *time.Duration, t time.Time) {
			if !t.IsZero() {
				*age = min(*age, here.Sub(t))
			}
		}
		nearer(&x.Beat, s.heard.beat)
		nearer(&x.Proof, s.heard.proof)
		nearer(&x.Report, s.heard.report)
		x.Settling = here.Sub(s.heard.since) < reach.Missed*x.Every
	}
	return x
}

// proven reports whether the server's own network was seen to work: an agent
// on another machine answers, or what the configuration names does.
func (f *Fleet) proven(ctx context.Context, e reach.Estate) bool {
	waits := false
	for _, h := range e.Hosts {
		if !h.Local && h.Proof < min(reach.Quiet, e.Uptime) && h.State != ops.HostHeld {
			return true
		}
		waits = waits || h.State == ops.HostHeld && h.InState >= reach.HeldFor
	}
	return waits && f.Proven(ctx)
}

// looked is what a pass looked at: the hosts, which of them are noted as quiet,
// and their ages.
type looked struct {
	hosts  []ops.Host
	noted  []bool
	estate reach.Estate
}

// noteQuiet writes which hosts are not heard of just now, or send only what
// is past: nothing is concluded from what is known of what runs on them.
func (f *Fleet) noteQuiet(ctx context.Context, now time.Time, l looked, fence int64) error {
	hosts, noted, e := l.hosts, l.noted, l.estate
	var on, off []string
	for i, h := range hosts {
		limit, age := max(reach.Quiet, 2*h.Beat()), e.Hosts[i]
		// What reaches the uptime was not heard of since the start.
		fresh := h.Local || !h.ReportAt.IsZero() && now.Sub(h.ReportAt) <= limit || age.Report <= limit && age.Report < e.Uptime
		quiet := !fresh || age.Beat > limit
		switch {
		case quiet && !noted[i]:
			on = append(on, h.ID)
		case !quiet && noted[i]:
			off = append(off, h.ID)
		}
	}
	if len(on)+len(off) == 0 {
		return nil
	}
	return f.store.Tx(ctx, now, func(tx *store.Tx) error {
		if held, err := tx.CheckLease(ctx, monitorLease, f.Server, fence); err != nil || !held {
			return err
		}
		if err := tx.SetQuiet(ctx, on, true); err != nil {
			return err
		}
		return tx.SetQuiet(ctx, off, false)
	})
}

// move writes moves, if no other server has followed this one. A host that
// moved since it was judged is left to the next pass.
func (f *Fleet) move(ctx context.Context, now time.Time, judged map[string]ops.Host, moves []reach.Move, fence int64) error {
	return f.store.Tx(ctx, now, func(tx *store.Tx) error {
		held, err := tx.CheckLease(ctx, monitorLease, f.Server, fence)
		if err != nil || !held {
			return err
		}
		for _, m := range moves {
			h, err := tx.Host(ctx, m.ID)
			if err != nil {
				return err
			}
			if was := judged[m.ID]; h.State != was.State || !h.Since.Equal(was.Since) || !h.MaintenanceUntil.Equal(was.MaintenanceUntil) {
				continue
			}
			resource := h.ResourceID
			if m.On == ops.HostSilence && resource == "" { // it never reported, and is to be told of
				if resource, err = tx.PutResource(ctx, resourceOf(h)); err != nil {
					return err
				}
			}
			_, err = tx.MoveHost(ctx, h, m.On, store.Why{Actor: actor, Reason: m.Reason}, func(h *ops.Host) {
				h.ResourceID = resource
				if m.On == ops.HostEnd {
					h.MaintenanceUntil = time.Time{}
				}
			})
			if err != nil && ops.KindOf(err) != ops.Conflict {
				return err
			}
		}
		return nil
	})
}

// resourceOf answers a host as a resource, before its first report.
func resourceOf(h ops.Host) ops.Resource {
	id := ops.NewID(ops.ResourceID)
	return ops.Resource{ID: id, Kind: ops.KindHost, Name: h.Name, HostID: id, HostName: h.Name, Key: ops.HostKey(h.ID), Presence: ops.Present}
}
