package patrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

const (
	// lost is after how long a run of another server that says nothing more is
	// taken from it.
	lost = time.Minute
	// writeTimeout bounds the writing of an outcome, which goes on while the
	// server stops.
	writeTimeout = 10 * time.Second
)

// What ends a run before its time.
var (
	errCancelled = errors.New("a person cancelled it")
	errGaveWay   = errors.New("it made room for a more urgent one")
	errTimeout   = errors.New("it took longer than it may")
	errTaken     = errors.New("it is not this server's any more")
)

// A refusal says why a run is not done at all.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// Pass does the next run that may start, and answers at once when none may.
func (p *Patrol) Pass(ctx context.Context) error {
	if err := p.reclaim(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	run, ok, err := p.claim(ctx, stop)
	if err != nil || !ok {
		return err
	}
	p.carryOut(ctx, running, run)
	p.work.Wake()
	return nil
}

// reclaim puts runs back into the queue whose process ended while they were
// going on; one that was started too often is closed as interrupted.
func (p *Patrol) reclaim(ctx context.Context) error {
	running, err := p.store.RunningRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range running {
		if p.goesOn(r) {
			continue
		}
		err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
			why := store.Why{Actor: actor, Reason: "the process ended while it was going on"}
			if err := tx.ReleaseRun(ctx, r.ID); err != nil {
				return err
			}
			if r.Starts < maxStarts {
				_, err := tx.MoveRun(ctx, r.Run, ops.RunRequeue, why, func(r *ops.Run) {})
				return err
			}
			_, err := tx.MoveRun(ctx, r.Run, ops.RunInterrupt, why, func(r *ops.Run) {
				r.EndedAt, r.Health = tx.Now(), ops.RunNotDone
				r.Err = fmt.Sprintf("the process ended %d times while it was going on", r.Starts)
			})
			return err
		})
		if err != nil && ops.KindOf(err) != ops.Conflict {
			return err
		}
	}
	return nil
}

// goesOn reports whether somebody still does a run. One database file has one
// server; of several servers on one PostgreSQL each says so now and then.
func (p *Patrol) goesOn(r store.RunningRun) bool {
	if p.currentID() == r.ID {
		return true
	}
	return p.store.Dialect() != "sqlite" && r.Owner != p.node && time.Since(r.Beat) < lost
}

// claim starts the run that is due: by compare-and-swap, so that of several
// servers one does it.
func (p *Patrol) claim(ctx context.Context, stop context.CancelCauseFunc) (r ops.Run, ok bool, err error) {
	r, ok, err = p.ready(ctx)
	if err != nil || !ok {
		return r, false, err
	}
	p.setCurrent(&current{run: r, stop: stop})
	err = p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		whole, err := tx.Run(ctx, r.ID)
		if err != nil {
			return err
		}
		r.Detail = whole.Detail // Lists are without: of a replay it says of what.
		r, err = tx.MoveRun(ctx, r, ops.RunStart, store.Why{Actor: actor}, func(r *ops.Run) {
			r.StartedAt, r.NotBefore = tx.Now(), time.Time{}
			r.Starts++
		})
		if err != nil {
			return err
		}
		held, err := tx.HoldRun(ctx, r.ID, p.node)
		if err == nil && !held {
			err = ops.Errorf(ops.Conflict, "run %s is another server's", r.ID)
		}
		return err
	})
	switch {
	case err == nil:
		p.setCurrent(&current{run: r, stop: stop})
		return r, true, nil
	case ops.KindOf(err) == ops.Conflict:
		p.work.Wake() // A trigger joined it, or another server has it: look again.
		err = nil
	}
	p.setCurrent(nil)
	return r, false, err
}

// ready answers the run that may start now. When the first may only later, it
// asks to be woken then.
func (p *Patrol) ready(ctx context.Context) (r ops.Run, ok bool, err error) {
	queued, err := p.store.QueuedRuns(ctx)
	if err != nil || len(queued) == 0 {
		return r, false, err
	}
	m := rhythm{now: time.Now().UTC(), spacing: p.set.Spacing, pacing: p.set.Pacing}
	if m.lastStart, err = p.store.LastRunStart(ctx); err != nil {
		return r, false, err
	}
	if m.looks, err = p.store.Looks(ctx, m.now.Add(-p.set.Spacing)); err != nil {
		return r, false, err
	}
	r, ok, wakeAt := m.next(queued)
	if !ok && !wakeAt.IsZero() && wakeAt.Sub(m.now) < workEvery {
		time.AfterFunc(wakeAt.Sub(m.now)+time.Millisecond, p.work.Wake)
	}
	return r, ok, nil
}

// carryOut does a claimed run and records what came of it.
func (p *Patrol) carryOut(ctx, running context.Context, r ops.Run) {
	defer p.setCurrent(nil)
	running, cancel := context.WithTimeoutCause(running, p.set.Timeout, errTimeout)
	defer cancel()
	broadcast, err := p.open(ctx, r.ID)
	if err == nil {
		defer p.closeBroadcast(broadcast)
		l := &look{run: r, see: broadcast.see}
		err = safely(func() error { return p.stages(running, l) })
		err = p.settle(ctx, running, l, broadcast, err)
	}
	if err != nil { // It stays as running and is reclaimed.
		p.log.ErrorContext(ctx, "what came of a run cannot be stored", "run", r.ID, "err", err)
	}
}

// safely turns a panic of a stage into an error: the run failed, the process
// goes on.
func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// An outcome is how a run ends, or that it waits again.
type outcome struct {
	on     ops.RunEvent
	reason string
}

// outcomeOf says what follows from how the stages ended.
func outcomeOf(ctx, running context.Context, err error) outcome {
	cause := context.Cause(running)
	var refused refusal
	switch {
	case err == nil:
		return outcome{on: ops.RunFinish}
	case errors.As(err, &refused):
		return outcome{ops.RunRefuse, refused.reason}
	case errors.Is(cause, errGaveWay):
		return outcome{ops.RunRequeue, errGaveWay.Error()}
	case errors.Is(cause, errCancelled), errors.Is(cause, errTaken):
		return outcome{} // It has its outcome already, or another server has it.
	case ctx.Err() != nil:
		return outcome{ops.RunRequeue, "the server stopped while it was going on"}
	case errors.Is(cause, errTimeout):
		return outcome{ops.RunFail, errTimeout.Error()}
	}
	if message, _ := ops.Shown(err); message != "" {
		return outcome{ops.RunFail, message}
	}
	return outcome{ops.RunFail, err.Error()}
}

// settle records the outcome, the last events and what else comes of a run in
// one transaction.
func (p *Patrol) settle(ctx, running context.Context, l *look, b *broadcast, failure error) error {
	out := outcomeOf(ctx, running, failure)
	if out.on == ops.RunFail {
		p.log.WarnContext(ctx, "a patrol failed", "run", l.run.ID, "err", failure)
	}
	if out.on == ops.RunRequeue {
		b.see(EventNote, Phase{Name: "queue", Note: out.reason})
	}
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	b.writing.Lock()
	defer b.writing.Unlock()
	err := p.write(writing, l, b, out)
	if ops.KindOf(err) == ops.Conflict {
		// Somebody gave it another outcome meanwhile: that one stands, and its
		// events end.
		err = p.write(writing, l, b, outcome{})
	}
	return err
}

func (p *Patrol) write(ctx context.Context, l *look, b *broadcast, out outcome) error {
	var batch []store.RunEvent
	over := false
	err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		r, err := move(ctx, tx, l.run, out)
		if err != nil {
			return err
		}
		var done *Done
		if over = ops.RunFlow.Final(r.State); over {
			done = &Done{State: r.State, Health: r.Health, Summary: r.Summary, Err: r.Err, Into: r.MergedInto}
		}
		if err := keep(ctx, tx, r, l.record); err != nil {
			return err
		}
		batch = b.pending(done)
		return tx.AddRunEvents(ctx, r.ID, batch)
	})
	if err == nil {
		b.publish(batch, over)
	}
	return err
}

// move gives a run its outcome, or reads the one that it has.
func move(ctx context.Context, tx *store.Tx, r ops.Run, out outcome) (ops.Run, error) {
	why := store.Why{Actor: actor, Reason: redact.Line(out.reason, maxReason)}
	switch out.on {
	case "":
		return tx.Run(ctx, r.ID)
	case ops.RunRequeue:
		if err := tx.ReleaseRun(ctx, r.ID); err != nil {
			return r, err
		}
		return tx.MoveRun(ctx, r, out.on, why, forget)
	}
	return tx.MoveRun(ctx, r, out.on, why, func(r *ops.Run) { ended(r, tx.Now(), out) })
}

// keep stores what else comes of a run that is over: when its resources were
// looked at, and what its model was given.
func keep(ctx context.Context, tx *store.Tx, r ops.Run, record []byte) error {
	if !ops.RunFlow.Final(r.State) {
		return nil
	}
	if r.State == ops.RunDone && r.Trigger != ops.TriggerReplay {
		if err := tx.NoteLooks(ctx, r.Asked.Resources, tx.Now()); err != nil {
			return err
		}
	}
	if len(record) == 0 {
		return nil
	}
	return tx.SaveRunRecord(ctx, r.ID, string(record))
}

// forget takes off what a run that waits again found so far: it looks anew.
func forget(r *ops.Run) {
	r.Health, r.Quiet, r.Summary, r.Err, r.Digest = "", false, "", "", ""
	r.Detail = ops.RunDetail{ReplayOf: r.Detail.ReplayOf, ReplayWith: r.Detail.ReplayWith}
}

// ended writes how a run ended into it, within bounds.
func ended(r *ops.Run, at time.Time, out outcome) {
	r.EndedAt = at
	switch out.on {
	case ops.RunFail:
		r.Health, r.Err = ops.RunNotDone, redact.Line(out.reason, maxReason)
	case ops.RunRefuse:
		r.Health, r.Err = ops.RunNotDone, redact.Line(out.reason, maxReason)
	}
	d := &r.Detail
	d.Effective, d.Items = d.Effective[:min(len(d.Effective), maxEffective)], d.Items[:min(len(d.Items), maxItems)]
	for i, c := range d.Tools {
		if len(c.Input) > 0 && !json.Valid(c.Input) { // As a model wrote it; kept as a text.
			d.Tools[i].Input, _ = json.Marshal(string(c.Input))
		}
	}
}

// What a record keeps of long lists.
const (
	maxEffective = 1000
	maxItems     = 500
	maxListed    = 2000
	maxReason    = 1000 // bytes
)

func (p *Patrol) currentID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return ""
	}
	return p.current.run.ID
}

func (p *Patrol) setCurrent(c *current) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = c
}

// stopCurrent ends the run that goes on, if it is the one.
func (p *Patrol) stopCurrent(id string, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil && p.current.run.ID == id {
		p.current.stop(cause)
	}
}

// attend keeps an eye on the run that goes on: it says that this server does
// it, ends it when it is not to be done any more, and stops a full one for an
// urgent one of a part that is ready.
func (p *Patrol) attend(ctx context.Context) error {
	p.mu.Lock()
	now := p.current
	p.mu.Unlock()
	if now == nil || now.run.State != ops.RunRunning {
		return nil
	}
	held := false
	err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) (err error) {
		held, err = tx.HoldRun(ctx, now.run.ID, p.node)
		return err
	})
	if err != nil {
		return err
	}
	if !held {
		p.stopCurrent(now.run.ID, errTaken)
		return nil
	}
	ready, ok, err := p.ready(ctx)
	if err == nil && ok && givesWay(now.run, ready) {
		p.stopCurrent(now.run.ID, errGaveWay)
	}
	return err
}
