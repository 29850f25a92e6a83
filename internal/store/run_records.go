package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

const triggerColumns = `id, kind, scope, reason, actor, source_id, at_ms, run_id`

func scanTrigger(row interface{ Scan(...any) error }) (ops.RunTrigger, error) {
	var t ops.RunTrigger
	var scope string
	var at int64
	err := row.Scan(&t.ID, &t.Kind, &scope, &t.Reason, &t.Actor, &t.SourceID, &at, &t.RunID)
	t.At = fromMS(at)
	return t, errors.Join(err, fromJSON(scope, &t.Scope))
}

// AddTrigger stores an accepted trigger with the run that it names; fresh is
// false when its source already made one, which stays as it is.
func (tx *Tx) AddTrigger(ctx context.Context, t ops.RunTrigger) (fresh bool, err error) {
	fresh, err = one(tx.q.ExecContext(ctx, `INSERT INTO run_trigger (`+triggerColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)
		ON CONFLICT (kind, source_id) DO NOTHING`, t.ID, t.Kind, toJSON(t.Scope), t.Reason, t.Actor, t.SourceID, toMS(t.At), t.RunID))
	if err != nil {
		return false, fmt.Errorf("add trigger: %w", err)
	}
	return fresh, nil
}

// TriggerOf answers the trigger that a source made; ok is false for none.
func (v view) TriggerOf(ctx context.Context, kind ops.TriggerKind, sourceID string) (t ops.RunTrigger, ok bool, err error) {
	t, err = scanTrigger(v.q.QueryRowContext(ctx, `SELECT `+triggerColumns+` FROM run_trigger WHERE kind = $1 AND source_id = $2`, kind, sourceID))
	if errors.Is(err, sql.ErrNoRows) {
		return t, false, nil
	}
	return t, err == nil, err
}

// TriggersOfRun answers what a run answers, the oldest first; at most limit.
func (v view) TriggersOfRun(ctx context.Context, runID string, limit int) ([]ops.RunTrigger, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+triggerColumns+` FROM run_trigger WHERE run_id = $1 ORDER BY at_ms, id LIMIT $2`, runID, limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read triggers of %s: %w", runID, err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.RunTrigger, error) { return scanTrigger(r) })
}

// CountTriggers answers how many triggers were accepted, and how many of them
// have no run, or one that was merged into none: always 0.
func (v view) CountTriggers(ctx context.Context) (all, lost int64, err error) {
	if err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM run_trigger`).Scan(&all); err != nil {
		return 0, 0, fmt.Errorf("count triggers: %w", err)
	}
	err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM run_trigger t WHERE NOT EXISTS (
		SELECT 1 FROM run r WHERE r.id = t.run_id AND (r.state <> 'merged' OR EXISTS (SELECT 1 FROM run i WHERE i.id = r.merged_into)))`).Scan(&lost)
	return all, lost, err
}

// CountTriggersOf answers how many triggers of a kind were accepted.
func (v view) CountTriggersOf(ctx context.Context, kind ops.TriggerKind) (n int64, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT count(*) FROM run_trigger WHERE kind = $1`, kind).Scan(&n)
	return n, err
}

// NoteLooks stores when resources were looked at by a run of their own.
func (tx *Tx) NoteLooks(ctx context.Context, ids []string, at time.Time) error {
	const batch, columns = 200, 2
	for len(ids) > 0 {
		now := ids[:min(batch, len(ids))]
		ids = ids[len(now):]
		args := make([]any, 0, len(now)*columns)
		for _, id := range now {
			args = append(args, id, toMS(at))
		}
		_, err := tx.q.ExecContext(ctx, `INSERT INTO run_look (resource_id, at_ms) VALUES `+tuples(len(now), columns)+`
			ON CONFLICT (resource_id) DO UPDATE SET at_ms = excluded.at_ms`, args...)
		if err != nil {
			return fmt.Errorf("note looks: %w", err)
		}
	}
	return nil
}

// Looks answers when resources were last looked at by a run of their own,
// since a time.
func (v view) Looks(ctx context.Context, since time.Time) (map[string]time.Time, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT resource_id, at_ms FROM run_look WHERE at_ms > $1`, toMS(since))
	if err != nil {
		return nil, fmt.Errorf("read looks: %w", err)
	}
	looks := map[string]time.Time{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var id string
		var at int64
		err := r.Scan(&id, &at)
		looks[id] = fromMS(at)
		return struct{}{}, err
	})
	return looks, err
}

// HoldRun says that a server still does a run; ok is false when it is not its
// to do any more.
func (tx *Tx) HoldRun(ctx context.Context, id, owner string) (ok bool, err error) {
	return one(tx.q.ExecContext(ctx, `UPDATE run SET beat_ms = $1, owner = $2 WHERE id = $3 AND state = 'running' AND (owner = $4 OR owner = '')`,
		toMS(tx.now), owner, id, owner))
}

// ReleaseRun takes a run from the server that did it.
func (tx *Tx) ReleaseRun(ctx context.Context, id string) error {
	_, err := tx.q.ExecContext(ctx, `UPDATE run SET owner = '', beat_ms = 0 WHERE id = $1`, id)
	return err
}

// A RunEvent is one thing that a run did while it was going on.
type RunEvent struct {
	Seq  int64           `json:"seq"`
	At   time.Time       `json:"at"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// AddRunEvents stores events of a run; one that is there already stays.
func (tx *Tx) AddRunEvents(ctx context.Context, runID string, events []RunEvent) error {
	const batch, columns = 100, 5
	for len(events) > 0 {
		now := events[:min(batch, len(events))]
		events = events[len(now):]
		args := make([]any, 0, len(now)*columns)
		for _, e := range now {
			args = append(args, runID, e.Seq, toMS(e.At), e.Type, string(e.Data))
		}
		_, err := tx.q.ExecContext(ctx, `INSERT INTO run_event (run_id, seq, at_ms, type, data) VALUES `+tuples(len(now), columns)+
			` ON CONFLICT (run_id, seq) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("add events of %s: %w", runID, err)
		}
	}
	return nil
}

// RunEvents answers events of a run after a sequence, in order.
func (v view) RunEvents(ctx context.Context, runID string, after int64, limit int) ([]RunEvent, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT seq, at_ms, type, data FROM run_event WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		runID, after, limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", runID, err)
	}
	return collectRows(rows, func(r *sql.Rows) (RunEvent, error) {
		var e RunEvent
		var at int64
		var data string
		err := r.Scan(&e.Seq, &at, &e.Type, &data)
		e.At, e.Data = fromMS(at), json.RawMessage(data)
		return e, err
	})
}

// LastRunEvent answers the sequence of the last event of a run, 0 for none.
func (v view) LastRunEvent(ctx context.Context, runID string) (int64, error) {
	var seq sql.NullInt64
	err := v.q.QueryRowContext(ctx, `SELECT max(seq) FROM run_event WHERE run_id = $1`, runID).Scan(&seq)
	return seq.Int64, err
}

// SaveRunRecord stores what a run's model was given and answered.
func (tx *Tx) SaveRunRecord(ctx context.Context, runID, record string) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO run_record (run_id, record) VALUES ($1,$2)
		ON CONFLICT (run_id) DO UPDATE SET record = excluded.record`, runID, record)
	if err != nil {
		return fmt.Errorf("save record of %s: %w", runID, err)
	}
	return nil
}

// RunRecord answers what a run's model was given and answered; ok is false for
// a run without a model.
func (v view) RunRecord(ctx context.Context, runID string) (record string, ok bool, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT record FROM run_record WHERE run_id = $1`, runID).Scan(&record)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return record, err == nil, err
}

// pruneBatch is how many runs one transaction deletes.
const pruneBatch = 200

// PruneRuns deletes runs that ended before a time with all that belongs to
// them, at most a batch of them, and looks that nothing asks for any more. It
// answers how many runs went: a full batch says that there may be more.
func (tx *Tx) PruneRuns(ctx context.Context, before time.Time) (n int, more bool, err error) {
	rows, err := tx.q.QueryContext(ctx, `SELECT id FROM run WHERE state IN ('done','merged','refused','failed','interrupted','cancelled')
		AND ended_ms < $1 ORDER BY ended_ms, id LIMIT $2`, toMS(before), pruneBatch)
	if err != nil {
		return 0, false, fmt.Errorf("prune runs: %w", err)
	}
	ids, err := collectRows(rows, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		return 0, false, err
	}
	if len(ids) > 0 {
		for _, from := range []struct{ table, column string }{{"run_event", "run_id"}, {"run_record", "run_id"}, {"run_trigger", "run_id"}, {"run", "id"}} {
			w := where{}
			w.in(from.column, ids)
			if _, err := tx.q.ExecContext(ctx, `DELETE FROM `+from.table+w.text(), w.args...); err != nil {
				return 0, false, fmt.Errorf("prune runs: %w", err)
			}
		}
	}
	_, err = tx.q.ExecContext(ctx, `DELETE FROM run_look WHERE at_ms < $1`, toMS(tx.now.Add(-24*time.Hour)))
	return len(ids), len(ids) == pruneBatch, err
}
