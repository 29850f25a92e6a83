package patrol

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// attempts is how often a transaction is tried when others changed the same
// rows meanwhile.
const attempts = 5

// A wish is a trigger before it is accepted.
type wish struct {
	kind     ops.TriggerKind
	scope    ops.RunScope // canonical: sorted IDs
	reason   string
	why      store.Why // who asks
	sourceID string    // unique for its kind
	depth    string
	delay    time.Duration // before it may start, to wait for others like it
	replayOf string
	model    string // that a replay asks; "" for those of the run before
}

// A Request is a person's wish.
type Request struct {
	Scope  ops.RunScope // as they wrote it: IDs, names, aliases
	Depth  string       // quick or normal; "" for normal
	Reason string
	Why    store.Why
}

// Ask accepts a person's wish and answers the run that answers it: that run
// exists whatever happens from now on. A scope that names nothing, or nothing
// for certain, is refused with the fields that are wrong.
func (p *Patrol) Ask(ctx context.Context, q Request) (ops.Run, error) {
	if q.Depth == "" {
		q.Depth = depthNormal
	}
	if q.Depth != depthQuick && q.Depth != depthNormal {
		return ops.Run{}, wrongField("depth", "a patrol is quick or normal; not %q", q.Depth)
	}
	scope, err := p.resolve(ctx, q.Scope)
	if err != nil {
		return ops.Run{}, err
	}
	return p.acceptOne(ctx, wish{kind: ops.TriggerManual, scope: scope, reason: redact.Line(q.Reason, 500), why: q.Why,
		sourceID: ops.NewID(ops.TriggerID), depth: q.Depth})
}

// Anomaly accepts that readings of a resource are not as they usually are.
// The source says when, so that the same one said twice changes nothing.
func (p *Patrol) Anomaly(ctx context.Context, resourceID string, sev ops.Severity, sourceID string) error {
	if !p.wants(ops.TriggerAnomaly) || sev.Rank() < p.set.MinSeverity.Rank() {
		return nil
	}
	_, err := p.acceptOne(ctx, wish{kind: ops.TriggerAnomaly, scope: ops.RunScope{Resources: []string{resourceID}}, depth: depthNormal,
		reason: fmt.Sprintf("readings are unusual (%s)", sev), why: store.Why{Actor: actor}, sourceID: sourceID})
	return err
}

func (p *Patrol) acceptOne(ctx context.Context, w wish) (r ops.Run, err error) {
	err = p.retry(ctx, func(tx *store.Tx) error {
		runs, err := accept(ctx, tx, []wish{w})
		if err == nil {
			r, err = tx.Run(ctx, runs[0])
		}
		return err
	})
	p.work.Wake()
	return r, err
}

// retry runs a transaction again when others changed the same rows meanwhile.
func (p *Patrol) retry(ctx context.Context, f func(*store.Tx) error) (err error) {
	for range attempts {
		if err = p.store.Tx(ctx, time.Now(), f); err == nil || ops.KindOf(err) != ops.Conflict {
			return err
		}
	}
	return err
}

// A waiting run is one of the queue while triggers are put into it.
type waiting struct {
	run     ops.Run
	was     ops.Run // as it is stored; zero for a new one
	into    string  // where it was merged, "" while it waits
	changed bool
}

// A queue is the runs that wait while one transaction puts triggers into them.
type queue struct {
	all      []*waiting
	triggers []ops.RunTrigger
	why      map[string]store.Why // by run, of its last trigger
}

// accept stores triggers with the runs that answer them, in one transaction:
// either all are accepted or none. It answers the run of each, also of one
// that was accepted before.
func accept(ctx context.Context, tx *store.Tx, wishes []wish) ([]string, error) {
	queued, err := tx.QueuedRuns(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{why: map[string]store.Why{}}
	for _, r := range queued {
		q.all = append(q.all, &waiting{run: r, was: r})
	}
	runs := make([]string, len(wishes))
	seen := map[string]string{}
	for i, w := range wishes {
		key := string(w.kind) + "\x00" + w.sourceID
		old, known, err := tx.TriggerOf(ctx, w.kind, w.sourceID)
		if err != nil {
			return nil, err
		}
		switch {
		case known:
			runs[i] = old.RunID
		case seen[key] != "":
			runs[i] = seen[key]
		default:
			runs[i] = q.put(tx.Now(), w)
			seen[key] = runs[i]
		}
	}
	return runs, q.save(ctx, tx)
}

// put finds or makes the run of a wish and answers its ID.
func (q *queue) put(now time.Time, w wish) string {
	var live []*waiting
	var queued []ops.Run
	for _, x := range q.all {
		if x.into == "" {
			live, queued = append(live, x), append(queued, x.run)
		}
	}
	place := place(queued, w.kind, w.scope)
	t := ops.RunTrigger{ID: ops.NewID(ops.TriggerID), Kind: w.kind, Scope: w.scope, Reason: w.reason, Actor: w.why.Actor, SourceID: w.sourceID, At: now}
	var notBefore time.Time
	if w.delay > 0 {
		notBefore = now.Add(w.delay)
	}
	var into *waiting
	if place.into == newRun {
		into = &waiting{run: ops.Run{ID: ops.NewID(ops.RunID), Trigger: w.kind, Triggers: 1, Reason: w.reason, Actor: w.why.Actor, Depth: w.depth,
			Priority: int64(w.kind.Priority()), Asked: place.scope, State: ops.RunFlow.Start(), QueuedAt: now, NotBefore: notBefore, Version: 1,
			Detail: ops.RunDetail{ReplayOf: w.replayOf, ReplayWith: w.model}}}
		q.all = append(q.all, into)
	} else {
		into = live[place.into]
		into.run = join(into.run, t, place.scope, w.depth)
		if notBefore.Before(into.run.NotBefore) {
			into.run.NotBefore = notBefore
		}
	}
	for _, i := range place.merge {
		other := live[i]
		into.run = swallow(into.run, other.run)
		other.into, other.changed = into.run.ID, true
	}
	into.changed = true
	q.why[into.run.ID] = w.why
	t.RunID = into.run.ID
	q.triggers = append(q.triggers, t)
	return into.run.ID
}

// save writes what changed: new runs first, so that what merges into one
// finds it.
func (q *queue) save(ctx context.Context, tx *store.Tx) error {
	for _, x := range q.all {
		if x.was.ID == "" {
			if err := tx.AddRun(ctx, x.run, q.because(x.run)); err != nil {
				return err
			}
		}
	}
	for _, x := range q.all {
		if err := x.save(ctx, tx, q.because(x.run)); err != nil {
			return err
		}
	}
	for _, t := range q.triggers {
		fresh, err := tx.AddTrigger(ctx, t)
		if err == nil && !fresh { // Another server accepted it since this transaction looked.
			err = ops.Errorf(ops.Conflict, "the trigger was accepted meanwhile")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *queue) because(r ops.Run) store.Why {
	why, ok := q.why[r.ID]
	if !ok {
		return store.Why{Actor: actor}
	}
	why.Reason = r.Reason
	return why
}

func (x *waiting) save(ctx context.Context, tx *store.Tx, why store.Why) (err error) {
	stored := x.was
	if stored.ID == "" {
		stored = x.run
	} else if x.changed && x.into == "" {
		_, err = tx.NoteRun(ctx, stored, "join", why, func(r *ops.Run) { *r = x.run })
	}
	if err != nil || x.into == "" {
		return err
	}
	_, err = tx.MoveRun(ctx, stored, ops.RunMerge, store.Why{Actor: actor, Reason: "looks at the same"}, func(r *ops.Run) {
		state := r.State
		*r = x.run
		r.State, r.MergedInto, r.EndedAt = state, x.into, tx.Now()
	})
	return err
}

// Cancel stops a run that waits or goes on.
func (p *Patrol) Cancel(ctx context.Context, id string, why store.Why) (r ops.Run, err error) {
	err = p.retry(ctx, func(tx *store.Tx) error {
		if r, err = tx.Run(ctx, id); err != nil {
			return err
		}
		if ops.RunFlow.Final(r.State) {
			return ops.Errorf(ops.Conflict, "run %s is %s already", id, r.State)
		}
		r, err = tx.MoveRun(ctx, r, ops.RunCancel, why, func(r *ops.Run) {
			r.EndedAt, r.Err = tx.Now(), "cancelled by "+why.Actor
		})
		return err
	})
	if err == nil {
		p.stopCurrent(id, errCancelled)
	}
	return r, err
}

// wants reports whether an event asks for a look.
func (p *Patrol) wants(k ops.TriggerKind) bool { return slices.Contains(p.set.Events, k) }
