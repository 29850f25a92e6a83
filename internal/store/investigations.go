package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

const (
	investigationColumns = `id, incident_id, trigger_by, actor, state, attempt, starts, model, queued_ms, not_before_ms, started_ms, ended_ms,
	summary, confidence, tokens, cost, error, version`
	wholeInvestigation = investigationColumns + `, detail`
	// investigationLock names the row that whoever starts or asks for an
	// investigation holds, so that what is counted is still so when it is
	// written.
	investigationLock = "lock:investigation"
)

func scanInvestigation(row interface{ Scan(...any) error }, more ...any) (ops.Investigation, error) {
	var i ops.Investigation
	var tokens string
	var queued, notBefore, started, ended int64
	err := row.Scan(append([]any{&i.ID, &i.IncidentID, &i.Trigger, &i.Actor, &i.State, &i.Attempt, &i.Starts, &i.Model, &queued, &notBefore,
		&started, &ended, &i.Summary, &i.Confidence, &tokens, &i.Cost, &i.Err, &i.Version}, more...)...)
	i.QueuedAt, i.NotBefore, i.StartedAt, i.EndedAt = fromMS(queued), fromMS(notBefore), fromMS(started), fromMS(ended)
	return i, errors.Join(err, fromJSON(tokens, &i.Tokens))
}

func scanWhole(row interface{ Scan(...any) error }) (ops.Investigation, error) {
	var detail string
	i, err := scanInvestigation(row, &detail)
	return i, errors.Join(err, fromJSON(detail, &i.Detail))
}

// Investigation answers one investigation with its detail.
func (v view) Investigation(ctx context.Context, id string) (ops.Investigation, error) {
	i, err := scanWhole(v.q.QueryRowContext(ctx, `SELECT `+wholeInvestigation+` FROM investigation WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return i, ops.Errorf(ops.NotFound, "there is no investigation %s", id)
	}
	return i, err
}

// ActiveInvestigation answers the investigation of an incident that is queued
// or running; ok is false when there is none.
func (v view) ActiveInvestigation(ctx context.Context, incidentID string) (i ops.Investigation, ok bool, err error) {
	i, err = scanWhole(v.q.QueryRowContext(ctx, `SELECT `+wholeInvestigation+` FROM investigation WHERE incident_id = $1 AND active = 1`, incidentID))
	if errors.Is(err, sql.ErrNoRows) {
		return i, false, nil
	}
	return i, err == nil, err
}

// LastInvestigation answers the latest attempt at an incident, without its
// detail; ok is false when there was none.
func (v view) LastInvestigation(ctx context.Context, incidentID string) (i ops.Investigation, ok bool, err error) {
	i, err = scanInvestigation(v.q.QueryRowContext(ctx, `SELECT `+investigationColumns+` FROM investigation WHERE incident_id = $1
		ORDER BY attempt DESC, id DESC LIMIT 1`, incidentID))
	if errors.Is(err, sql.ErrNoRows) {
		return i, false, nil
	}
	return i, err == nil, err
}

// An InvestigationFilter chooses investigations; zero fields choose all.
type InvestigationFilter struct {
	Incident string
	States   []string
	After    Key
	Limit    int
}

// Investigations answers a page of investigations without their details, the
// newest first, and where it ended when there may be more.
func (v view) Investigations(ctx context.Context, f InvestigationFilter) ([]ops.Investigation, *Key, error) {
	w := where{}
	if f.Incident != "" {
		w.add(`incident_id = $?`, f.Incident)
	}
	if f.States != nil {
		w.in("state", f.States)
	}
	if f.After.ID != "" {
		w.add(`(queued_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+investigationColumns+` FROM investigation`+w.text()+
		` ORDER BY queued_ms DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read investigations: %w", err)
	}
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Investigation, error) { return scanInvestigation(r) })
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.QueuedAt), ID: last.ID}, nil
}

// ActiveInvestigations answers every investigation that is queued or running,
// with details, the oldest first.
func (v view) ActiveInvestigations(ctx context.Context) ([]ops.Investigation, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+wholeInvestigation+` FROM investigation WHERE active = 1 ORDER BY queued_ms, id`)
	if err != nil {
		return nil, fmt.Errorf("read active investigations: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.Investigation, error) { return scanWhole(r) })
}

// LockInvestigations makes other transactions that ask for or start
// investigations wait until this one ends. Call it before reading what is
// counted.
func (tx *Tx) LockInvestigations(ctx context.Context) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO setting (name, value) VALUES ($1, '') ON CONFLICT (name) DO UPDATE SET value = ''`, investigationLock)
	if err != nil {
		return fmt.Errorf("lock investigations: %w", err)
	}
	return nil
}

// QueueInvestigation inserts a queued investigation. It answers a conflict
// that names the active one of the incident when there is one: the index
// allows one.
func (tx *Tx) QueueInvestigation(ctx context.Context, i ops.Investigation, why Why) error {
	ok, err := one(tx.q.ExecContext(ctx, `INSERT INTO investigation (id, incident_id, trigger_by, actor, state, active, attempt, queued_ms, not_before_ms, detail)
		VALUES ($1,$2,$3,$4,$5,1,$6,$7,$8,$9) ON CONFLICT DO NOTHING`,
		i.ID, i.IncidentID, i.Trigger, i.Actor, i.State, i.Attempt, toMS(i.QueuedAt), toMS(i.NotBefore), toJSON(i.Detail)))
	if err != nil {
		return fmt.Errorf("queue investigation: %w", err)
	}
	if !ok {
		other, _, err := tx.ActiveInvestigation(ctx, i.IncidentID)
		return errors.Join(ops.Errorf(ops.Conflict, "incident %s is being investigated already: %s is %s", i.IncidentID, other.ID, other.State), err)
	}
	tx.Record(investigationTransition("queue", "", i, why))
	return nil
}

// ClaimInvestigation starts the queued investigation that is next: those that
// people asked for first, then the oldest. ok is false when none is due, or
// atOnce of them run already.
func (tx *Tx) ClaimInvestigation(ctx context.Context, atOnce int, why Why) (i ops.Investigation, ok bool, err error) {
	if err := tx.LockInvestigations(ctx); err != nil {
		return i, false, err
	}
	var running int
	if err := tx.q.QueryRowContext(ctx, `SELECT count(*) FROM investigation WHERE active = 1 AND state = 'running'`).Scan(&running); err != nil || running >= atOnce {
		return i, false, err
	}
	// manual sorts before policy.
	i, err = scanWhole(tx.q.QueryRowContext(ctx, `SELECT `+wholeInvestigation+` FROM investigation
		WHERE active = 1 AND state = 'queued' AND not_before_ms <= $1 ORDER BY trigger_by, queued_ms, id LIMIT 1`, toMS(tx.now)))
	if errors.Is(err, sql.ErrNoRows) {
		return i, false, nil
	}
	if err != nil {
		return i, false, fmt.Errorf("read the next investigation: %w", err)
	}
	i, err = tx.MoveInvestigation(ctx, i, ops.InvestigationStart, why, func(i *ops.Investigation) {
		i.StartedAt, i.EndedAt, i.Starts = tx.now, time.Time{}, i.Starts+1
	})
	return i, err == nil, err
}

// MoveInvestigation applies one event of the lifecycle to an investigation as
// the caller read it, whole. It refuses an illegal move, and one that was
// changed since.
func (tx *Tx) MoveInvestigation(ctx context.Context, i ops.Investigation, on ops.InvestigationEvent, why Why, change func(*ops.Investigation)) (ops.Investigation, error) {
	to, err := ops.InvestigationFlow.Next(i.State, on)
	if err != nil {
		return i, ops.Because(ops.Conflict, err, "an investigation that is %s cannot be moved by %s", i.State, on)
	}
	next := i
	next.State = to
	change(&next)
	if err := tx.saveInvestigation(ctx, &next, i.Version); err != nil {
		return i, err
	}
	tx.Record(investigationTransition(string(on), i.State, next, why))
	return next, nil
}

// HastenInvestigation lets a queued investigation that waits begin at once,
// on a person's word.
func (tx *Tx) HastenInvestigation(ctx context.Context, i ops.Investigation, why Why) (ops.Investigation, error) {
	next := i
	next.NotBefore, next.Trigger, next.Actor = time.Time{}, "manual", why.Actor
	if err := tx.saveInvestigation(ctx, &next, i.Version); err != nil {
		return i, err
	}
	tx.Record(investigationTransition("hasten", i.State, next, why))
	return next, nil
}

// ProgressInvestigation stores what a running investigation did so far. It
// leaves no transition: what it comes to is one, at the end.
func (tx *Tx) ProgressInvestigation(ctx context.Context, i ops.Investigation) (ops.Investigation, error) {
	next := i
	err := tx.saveInvestigation(ctx, &next, i.Version)
	return next, err
}

func (tx *Tx) saveInvestigation(ctx context.Context, i *ops.Investigation, seen int64) error {
	active := !ops.InvestigationFlow.Final(i.State)
	ok, err := one(tx.q.ExecContext(ctx, `
		UPDATE investigation SET trigger_by=$1, actor=$2, state=$3, active=$4, starts=$5, model=$6, not_before_ms=$7, started_ms=$8, ended_ms=$9,
			summary=$10, confidence=$11, tokens=$12, cost=$13, error=$14, detail=$15, version=version+1
		WHERE id=$16 AND version=$17`,
		i.Trigger, i.Actor, i.State, flag(active), i.Starts, i.Model, toMS(i.NotBefore), toMS(i.StartedAt), toMS(i.EndedAt),
		i.Summary, i.Confidence, toJSON(i.Tokens), i.Cost, i.Err, toJSON(i.Detail), i.ID, seen))
	if err != nil {
		return fmt.Errorf("save investigation %s: %w", i.ID, err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "investigation %s was changed meanwhile; read it again", i.ID)
	}
	i.Version = seen + 1
	return nil
}

func investigationTransition(verb string, from ops.InvestigationState, i ops.Investigation, why Why) ops.Transition {
	facts := map[string]string{"incident": i.IncidentID, "trigger": i.Trigger, "attempt": fmt.Sprint(i.Attempt)}
	for name, text := range map[string]string{"model": i.Model, "confidence": i.Confidence} {
		if text != "" {
			facts[name] = text
		}
	}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "investigation", ObjectID: i.ID,
		From: string(from), To: string(i.State), Reason: why.Reason, Facts: facts}
}

// ChangesOf answers the transitions of some resources within a time, the
// oldest first; at most the newest 1,000.
func (v view) ChangesOf(ctx context.Context, resourceIDs []string, from, to time.Time) ([]ops.Transition, error) {
	w := where{}
	w.add(`object = 'resource'`)
	w.in("object_id", resourceIDs)
	w.add(`at_ms >= $? AND at_ms <= $?`, toMS(from), toMS(to))
	rows, err := v.q.QueryContext(ctx, `SELECT `+auditColumns+` FROM audit`+w.text()+` ORDER BY seq DESC LIMIT `+w.arg(maxLimit), w.args...)
	if err != nil {
		return nil, fmt.Errorf("read changes of resources: %w", err)
	}
	return reversed(collectRows(rows, scanTransition))
}
