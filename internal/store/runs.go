package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

const runColumns = `id, trigger_kind, triggers, reason, actor, depth, priority, asked, state, health, quiet, queued_ms, not_before_ms,
	started_ms, ended_ms, starts, merged_into, model, tokens, cost, digest, summary, error, version`

// scanRunWith reads a run, and into more what was selected after its columns.
func scanRunWith(row interface{ Scan(...any) error }, more ...any) (ops.Run, error) {
	var r ops.Run
	var asked, tokens string
	var quiet, queued, notBefore, started, ended int64
	var cost sql.NullInt64
	err := row.Scan(append([]any{&r.ID, &r.Trigger, &r.Triggers, &r.Reason, &r.Actor, &r.Depth, &r.Priority, &asked, &r.State, &r.Health, &quiet,
		&queued, &notBefore, &started, &ended, &r.Starts, &r.MergedInto, &r.Model, &tokens, &cost, &r.Digest, &r.Summary, &r.Err, &r.Version}, more...)...)
	r.Quiet, r.QueuedAt, r.NotBefore, r.StartedAt, r.EndedAt = quiet != 0, fromMS(queued), fromMS(notBefore), fromMS(started), fromMS(ended)
	if cost.Valid {
		r.Cost = &cost.Int64
	}
	return r, errors.Join(err, fromJSON(asked, &r.Asked), fromJSON(tokens, &r.Tokens))
}

func scanRuns(rows *sql.Rows) (ops.Run, error) { return scanRunWith(rows) }

// Run answers one run with its detail.
func (v view) Run(ctx context.Context, id string) (ops.Run, error) {
	var detail string
	r, err := scanRunWith(v.q.QueryRowContext(ctx, `SELECT `+runColumns+`, detail FROM run WHERE id = $1`, id), &detail)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ops.Errorf(ops.NotFound, "there is no run %s", id)
	}
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, err)
	}
	return r, fromJSON(detail, &r.Detail)
}

// A RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	States   []string
	Triggers []string
	Healths  []string
	After    Key
	Limit    int
}

// Runs answers a page of runs without their details, the newest first, and
// where it ended when there may be more.
func (v view) Runs(ctx context.Context, f RunFilter) ([]ops.Run, *Key, error) {
	w := where{}
	if f.States != nil {
		w.in(`state || ''`, f.States)
	}
	if f.Triggers != nil {
		w.in("trigger_kind", f.Triggers)
	}
	if f.Healths != nil {
		w.in("health", f.Healths)
	}
	if f.After.ID != "" {
		w.add(`(queued_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+runColumns+` FROM run`+w.text()+` ORDER BY queued_ms DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read runs: %w", err)
	}
	all, err := collectRows(rows, scanRuns)
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.QueuedAt), ID: last.ID}, nil
}

// QueuedRuns answers every run that waits, the oldest first.
func (v view) QueuedRuns(ctx context.Context) ([]ops.Run, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+runColumns+` FROM run WHERE state = 'queued' ORDER BY queued_ms, id`)
	if err != nil {
		return nil, fmt.Errorf("read queued runs: %w", err)
	}
	return collectRows(rows, scanRuns)
}

// A RunningRun is a run that goes on, with which server does it and when that
// last said so.
type RunningRun struct {
	ops.Run
	Owner string
	Beat  time.Time
}

// RunningRuns answers the runs that go on.
func (v view) RunningRuns(ctx context.Context) ([]RunningRun, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+runColumns+`, owner, beat_ms FROM run WHERE state = 'running' ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read running runs: %w", err)
	}
	return collectRows(rows, func(rows *sql.Rows) (r RunningRun, err error) {
		var beat int64
		r.Run, err = scanRunWith(rows, &r.Owner, &beat)
		r.Beat = fromMS(beat)
		return r, err
	})
}

// RunsOfScope answers the newest finished runs that were asked for exactly
// this scope, the newest first, without their details.
func (v view) RunsOfScope(ctx context.Context, asked ops.RunScope, limit int) ([]ops.Run, error) {
	_, hash := askedText(asked)
	rows, err := v.q.QueryContext(ctx, `SELECT `+runColumns+` FROM run WHERE asked_hash = $1 AND state || '' = 'done'
		ORDER BY queued_ms DESC, id DESC LIMIT $2`, hash, limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read runs of a scope: %w", err)
	}
	return collectRows(rows, scanRuns)
}

// LastEnded answers the newest runs that ended in one of the states, the one
// that ended last first, without their details.
func (v view) LastEnded(ctx context.Context, states []string, limit int) ([]ops.Run, error) {
	w := where{}
	w.in("state", states)
	rows, err := v.q.QueryContext(ctx, `SELECT `+runColumns+` FROM run`+w.text()+` ORDER BY ended_ms DESC, id DESC LIMIT `+w.arg(limitOf(limit)), w.args...)
	if err != nil {
		return nil, fmt.Errorf("read ended runs: %w", err)
	}
	return collectRows(rows, scanRuns)
}

// LastRunStart answers when a run was last started, zero for never.
func (v view) LastRunStart(ctx context.Context) (time.Time, error) {
	var ms sql.NullInt64
	err := v.q.QueryRowContext(ctx, `SELECT max(started_ms) FROM run`).Scan(&ms)
	return fromMS(ms.Int64), err
}

// CountRuns answers how many runs there are by state.
func (v view) CountRuns(ctx context.Context) (map[ops.RunState]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT state, count(*) FROM run GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	counts := map[ops.RunState]int64{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var s ops.RunState
		var n int64
		err := r.Scan(&s, &n)
		counts[s] = n
		return struct{}{}, err
	})
	return counts, err
}

// AddRun inserts a queued run.
func (tx *Tx) AddRun(ctx context.Context, r ops.Run, why Why) error {
	asked, hash := askedText(r.Asked)
	_, err := tx.q.ExecContext(ctx, `INSERT INTO run (id, trigger_kind, triggers, reason, actor, depth, priority, asked, asked_hash, state, queued_ms,
			not_before_ms, detail)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)`,
		r.ID, r.Trigger, r.Triggers, r.Reason, r.Actor, r.Depth, r.Priority, asked, hash, r.State, toMS(r.QueuedAt), toMS(r.NotBefore), toJSON(r.Detail))
	if err != nil {
		return fmt.Errorf("add run: %w", err)
	}
	tx.Record(runTransition("queue", "", r, why))
	return nil
}

// MoveRun applies one event of the lifecycle to a run as the caller read it,
// with its detail where change sets one. It refuses an illegal move, and a run
// that was changed since it was read.
func (tx *Tx) MoveRun(ctx context.Context, r ops.Run, on ops.RunEvent, why Why, change func(*ops.Run)) (ops.Run, error) {
	to, err := ops.RunFlow.Next(r.State, on)
	if err != nil {
		return r, ops.Because(ops.Conflict, err, "a run that is %s cannot %s", r.State, on)
	}
	next := r
	next.State = to
	change(&next)
	if err := tx.saveRun(ctx, &next, r.Version); err != nil {
		return r, err
	}
	tx.Record(runTransition(string(on), r.State, next, why))
	return next, nil
}

// NoteRun changes fields of a run without moving it: its scope and priority
// when a trigger joins it.
func (tx *Tx) NoteRun(ctx context.Context, r ops.Run, verb string, why Why, change func(*ops.Run)) (ops.Run, error) {
	next := r
	change(&next)
	next.State = r.State
	if err := tx.saveRun(ctx, &next, r.Version); err != nil {
		return r, err
	}
	tx.Record(runTransition(verb, r.State, next, why))
	return next, nil
}

func (tx *Tx) saveRun(ctx context.Context, r *ops.Run, seen int64) error {
	asked, hash := askedText(r.Asked)
	w := where{}
	query := `UPDATE run SET trigger_kind=` + w.arg(r.Trigger) + `, triggers=` + w.arg(r.Triggers) + `, reason=` + w.arg(r.Reason) +
		`, depth=` + w.arg(r.Depth) + `, priority=` + w.arg(r.Priority) + `, asked=` + w.arg(asked) + `, asked_hash=` + w.arg(hash) +
		`, state=` + w.arg(r.State) + `, health=` + w.arg(r.Health) + `, quiet=` + w.arg(flag(r.Quiet)) + `, not_before_ms=` + w.arg(toMS(r.NotBefore)) +
		`, started_ms=` + w.arg(toMS(r.StartedAt)) + `, ended_ms=` + w.arg(toMS(r.EndedAt)) + `, starts=` + w.arg(r.Starts) +
		`, merged_into=` + w.arg(r.MergedInto) + `, model=` + w.arg(r.Model) + `, tokens=` + w.arg(toJSON(r.Tokens)) + `, cost=` + w.arg(r.Cost) +
		`, digest=` + w.arg(r.Digest) + `, summary=` + w.arg(r.Summary) + `, error=` + w.arg(r.Err) + `, version=version+1`
	if ops.RunFlow.Final(r.State) { // Nothing but the outcome has one.
		query += `, detail=` + w.arg(toJSON(r.Detail))
	}
	ok, err := one(tx.q.ExecContext(ctx, query+` WHERE id=`+w.arg(r.ID)+` AND version=`+w.arg(seen), w.args...))
	if err != nil {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "run %s was changed meanwhile; read it again", r.ID)
	}
	r.Version = seen + 1
	return nil
}

func runTransition(verb string, from ops.RunState, r ops.Run, why Why) ops.Transition {
	facts := map[string]string{"trigger": string(r.Trigger)}
	if r.Health != "" {
		facts["health"] = string(r.Health)
	}
	if r.MergedInto != "" {
		facts["into"] = r.MergedInto
	}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "run", ObjectID: r.ID,
		From: string(from), To: string(r.State), Reason: why.Reason, Facts: facts}
}

// askedText writes a scope and answers a text of fixed length that stands for
// it. Callers keep its lists sorted, so that equal scopes have equal texts.
func askedText(s ops.RunScope) (text, hash string) {
	text = toJSON(s)
	sum := sha256.Sum256([]byte(text))
	return text, hex.EncodeToString(sum[:16])
}
