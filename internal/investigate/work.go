package investigate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"reeve/internal/brief"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tool"
)

// workPass carries out the investigation that is next, if any.
func (v *Investigate) workPass(ctx context.Context) error {
	var i ops.Investigation
	found := false
	err := v.store.Tx(ctx, time.Now(), func(tx *store.Tx) (err error) {
		i, found, err = tx.ClaimInvestigation(ctx, v.set.AtOnce, store.Why{Actor: actor})
		return err
	})
	if err != nil || !found {
		return err
	}
	err = v.carryOut(ctx, i)
	v.wake() // the next one may have waited for this place
	return err
}

// carryOut runs one investigation within its time and ends it, whatever
// happens.
func (v *Investigate) carryOut(ctx context.Context, i ops.Investigation) error {
	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	run, end := context.WithTimeoutCause(run, v.set.Time, errTime)
	defer end()
	v.mu.Lock()
	v.running[i.ID] = stop
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		delete(v.running, i.ID)
		v.mu.Unlock()
	}()
	q := &inquiry{v: v, i: i}
	err := q.safely(run)
	return v.finish(ctx, run, q, err)
}

// An inquiry is one investigation while it goes on.
type inquiry struct {
	v       *Investigate
	mu      sync.Mutex // of i, while a model calls tools
	i       ops.Investigation
	scene   *Scene
	weigher *weigher
	book    Runbook
	signs   []Sign
	looked  bool    // the runbook was gone through to its end
	result  outcome // of the runbook, then of the model where that is better
	shown   shown   // what tools answered, for quotes
}

// safely turns a panic into an error: one bad investigation ends, the others
// go on.
func (q *inquiry) safely(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			q.v.log.Error("an investigation panicked", "investigation", q.i.ID, "panic", r)
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return q.run(ctx)
}

func (q *inquiry) run(ctx context.Context) error {
	now := time.Now().UTC()
	scene, err := q.v.load(ctx, q.i.IncidentID, now)
	if err != nil {
		return err
	}
	book, err := runbookOf(scene.Root.Condition)
	if err != nil {
		return err
	}
	q.scene, q.book = scene, book
	q.v.loadSeries(ctx, scene, q.book)
	q.weigher = q.v.weigher(scene, &q.shown)
	q.i.Detail.Versions = map[string]string{"runbook": q.book.Condition + "/" + q.book.Version, "prompt": promptVersion}
	if err := q.look(ctx); err != nil {
		return err
	}
	q.weighSigns(ctx)
	q.looked = true
	return q.askModel(ctx)
}

// weigher answers what re-checks claims about a scene: words that tools
// answered in this investigation may be quoted too.
func (v *Investigate) weigher(s *Scene, more *shown) *weigher {
	source := v.source
	source.Texts = more.texts(v.source.Texts)
	return &weigher{source: source, now: s.Now, scene: s, changes: func(ctx context.Context, id string) ([]ops.Transition, error) {
		return v.store.Transitions(ctx, store.TransitionFilter{Object: "resource", ObjectID: id, Newest: true, Limit: 200})
	}}
}

// look goes through the runbook: call, judge, record.
func (q *inquiry) look(ctx context.Context) error {
	box := q.v.o.Tools(tool.Desk{Resolve: q.v.o.Resolver(nil), Now: q.scene.Now}, false)
	openAll(ctx, box, q.book)
	for _, step := range q.book.Steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		input, err := step.input(q.scene.places())
		if err != nil {
			return err
		}
		began := time.Now()
		answer := box.Call(ctx, step.Tool, input)
		row := record("runbook", step.Tool, input, answer, time.Since(began))
		row.Why = step.Why
		q.shown.add(step.Tool, input, answer, func(ref string) string { return ref })
		q.scene.hear(q.shown.lines)
		signs := step.judge(q.scene)
		q.signs = append(q.signs, signs...)
		row.Shows = tell(signs)
		if err := q.step(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// openAll asks for the tools that are not offered at first.
func openAll(ctx context.Context, box tool.Toolbox, b Runbook) {
	offered := map[string]bool{}
	for _, s := range box.Specs() {
		offered[s.Name] = true
	}
	var closed []string
	for _, s := range b.Steps {
		if !offered[s.Tool] {
			offered[s.Tool] = true
			closed = append(closed, s.Tool)
		}
	}
	if len(closed) > 0 {
		names, _ := json.Marshal(map[string]any{"names": closed}) // texts always marshal
		box.Call(ctx, tool.MoreTools, names)
	}
}

// The bounds of what is kept of one step.
const (
	maxOutput = 4 << 10
	maxShows  = 2 << 10
)

// record makes the row of one look.
func record(kind, name string, input json.RawMessage, r tool.Result, took time.Duration) ops.InvestigationStep {
	text := []byte(r.Text)
	row := ops.InvestigationStep{Kind: kind, Name: redact.Line(name, 100), Input: kept(input), Hash: fmt.Sprintf("%x", sum(text)), Bytes: int64(len(text)), TookUS: took.Microseconds()}
	if r.Failed {
		row.Err = redact.Line(r.Text, 1000)
		return row
	}
	row.Output = redact.Cut(r.Text, maxOutput)
	return row
}

// kept answers arguments fit to be stored: JSON of a bounded size.
func kept(input json.RawMessage) json.RawMessage {
	if len(input) <= maxOutput && json.Valid(input) {
		return input
	}
	text, _ := json.Marshal(redact.Line(string(input), maxOutput)) // a text always marshals
	return text
}

func tell(signs []Sign) string {
	text := ""
	for _, s := range signs {
		if s.Text != "" {
			text += s.Text + "\n"
		}
	}
	return redact.Cut(redact.Text(trimEnd(text)), maxShows)
}

func trimEnd(s string) string {
	if s == "" {
		return s
	}
	return s[:len(s)-1]
}

// step keeps what was done so far: a person who watches sees it at once.
func (q *inquiry) step(ctx context.Context, row ops.InvestigationStep) error {
	q.i.Detail.Steps = append(q.i.Detail.Steps, row)
	return q.v.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		next, err := tx.ProgressInvestigation(ctx, q.i)
		q.i = next
		return err
	})
}

// weighSigns makes the outcome of the runbook.
func (q *inquiry) weighSigns(ctx context.Context) {
	var all []weighed
	for _, h := range merge(q.signs) {
		x, struck := q.weigher.weigh(ctx, h)
		all = append(all, x)
		q.i.Detail.Rejected = append(q.i.Detail.Rejected, struck...)
	}
	q.result = conclude(q.scene, all, len(q.i.Detail.Steps), q.v.checks(q.scene))
	q.result.write(&q.i)
	if q.book.Fix != nil && q.result.event == ops.InvestigationExplain {
		q.fix()
	}
}

// fix proposes the change of the runbook.
func (q *inquiry) fix() {
	target := q.scene.Resource
	if q.book.Fix.Target == "host" {
		target = q.scene.Host
	}
	q.i.Detail.Proposal = &ops.Proposal{Verb: q.book.Fix.Verb, Target: target.ID, Params: q.book.Fix.Params, Reason: q.book.Fix.Reason}
	q.result.event = ops.InvestigationPropose
}

// checks answers what the catalogue says a person should look at.
func (v *Investigate) checks(s *Scene) []string {
	for _, d := range v.o.Definitions {
		if d.Name == s.Root.Condition {
			return brief.Fill(d.Checks, s.Resource)
		}
	}
	return nil
}

// write puts an outcome into the investigation.
func (o outcome) write(i *ops.Investigation) {
	i.Summary, i.Confidence, i.Detail.Next = redact.Cut(o.summary, 2<<10), o.confidence, o.next
	i.Detail.Hypotheses = nil
	for _, h := range o.hypotheses {
		i.Detail.Hypotheses = append(i.Detail.Hypotheses, h.Hypothesis)
	}
}

// finish ends an investigation with what it came to, in one transaction that
// looks at the incident again. A process that stops queues it again.
func (v *Investigate) finish(ctx, run context.Context, q *inquiry, failed error) error {
	write := ctx
	if ctx.Err() != nil {
		// The process stops: what was begun is handed back within its patience.
		var cancel context.CancelFunc
		write, cancel = context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
	}
	for range 3 {
		err := v.store.Tx(write, time.Now(), func(tx *store.Tx) error { return v.end(write, tx, ctx, run, q, failed) })
		if err == nil || ops.KindOf(err) != ops.Conflict {
			return err
		}
		now, err := v.store.Investigation(write, q.i.ID)
		if err != nil || now.State != ops.InvestigationRunning {
			return err // somebody else ended it
		}
		q.i.Version = now.Version
	}
	return ops.Errorf(ops.Conflict, "investigation %s is changed by others again and again", q.i.ID)
}

func (v *Investigate) end(ctx context.Context, tx *store.Tx, process, run context.Context, q *inquiry, failed error) error {
	incident, err := tx.Incident(ctx, q.i.IncidentID)
	if err != nil {
		return err
	}
	why := store.Why{Actor: actor}
	event, text := q.ending(process, run, failed)
	switch {
	case incident.State == ops.IncidentClosed:
		event, why = ops.InvestigationSupersede, overWhy(incident)
	case event == ops.InvestigationRequeue:
		_, err := tx.MoveInvestigation(ctx, q.i, event, store.Why{Actor: actor, Reason: "the process stops"}, func(i *ops.Investigation) {
			fresh(i)
			i.Starts-- // nothing went wrong with it
		})
		return err
	}
	ended, err := tx.MoveInvestigation(ctx, q.i, event, why, func(i *ops.Investigation) {
		i.EndedAt = tx.Now()
		if text != "" {
			i.Err = text
		}
	})
	if err != nil {
		return err
	}
	return v.again(ctx, tx, ended, incident)
}

// ending answers how an investigation ends and what went wrong.
func (q *inquiry) ending(process, run context.Context, failed error) (ops.InvestigationEvent, string) {
	cause := context.Cause(run)
	late := errors.Is(cause, errTime) || errors.Is(failed, errTime)
	switch {
	case process.Err() != nil:
		return ops.InvestigationRequeue, ""
	case errors.Is(cause, errSuperseded):
		return ops.InvestigationSupersede, ""
	case q.looked && failed == nil:
		return q.result.event, ""
	case late && q.looked && q.result.event != ops.InvestigationAskPerson:
		return q.result.event, "the model ran out of time; what the runbook shows stands"
	case late:
		return ops.InvestigationTimeOut, fmt.Sprintf("it took longer than %s", q.v.set.Time)
	}
	q.v.log.Error("an investigation failed", "investigation", q.i.ID, "err", failed)
	if message, _ := ops.Shown(failed); message != "" {
		return ops.InvestigationFail, redact.Line(message, 500)
	}
	return ops.InvestigationFail, "it failed inside; the log of Reeve says why"
}
