package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

// A StoredEvent is an event with the resource it was attributed to.
type StoredEvent struct {
	ResourceID string
	Collector  string
	ops.Event
}

// AddEvents stores events; one that is there already changes nothing.
func (tx *Tx) AddEvents(ctx context.Context, events []StoredEvent) error {
	for _, e := range events {
		_, err := tx.q.ExecContext(ctx, `
			INSERT INTO event (id, resource_id, collector, source_id, type, at_ms, text, facts, count)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT (resource_id, collector, source_id) DO NOTHING`,
			ops.NewID("evt"), e.ResourceID, e.Collector, e.SourceID, e.Type, toMS(e.At), e.Text, toJSON(e.Facts), e.Count)
		if err != nil {
			return fmt.Errorf("add event: %w", err)
		}
	}
	return nil
}

// EventsSince answers the events of some types since a time, oldest first; at
// most 20,000, the newest then.
func (v view) EventsSince(ctx context.Context, types []string, since time.Time) ([]StoredEvent, error) {
	const bound = 20_000
	w := where{}
	w.in("type", types)
	w.add("at_ms >= $?", toMS(since))
	rows, err := v.q.QueryContext(ctx, `SELECT resource_id, collector, source_id, type, at_ms, text, facts, count FROM event`+
		w.text()+` ORDER BY at_ms DESC, id DESC LIMIT `+w.arg(bound), w.args...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return reversed(collectRows(rows, scanEvent))
}

// ResourceEvents answers the newest events of one resource, newest first.
func (v view) ResourceEvents(ctx context.Context, resourceID string, limit int) ([]StoredEvent, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT resource_id, collector, source_id, type, at_ms, text, facts, count FROM event
		WHERE resource_id = $1 ORDER BY at_ms DESC, id DESC LIMIT $2`, resourceID, limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return collectRows(rows, scanEvent)
}

func scanEvent(rows *sql.Rows) (StoredEvent, error) {
	var e StoredEvent
	var at int64
	var facts string
	err := rows.Scan(&e.ResourceID, &e.Collector, &e.SourceID, &e.Type, &at, &e.Text, &facts, &e.Count)
	e.At = fromMS(at)
	return e, errors.Join(err, fromJSON(facts, &e.Facts))
}

func reversed[T any](all []T, err error) ([]T, error) {
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all, err
}

// PruneEvents deletes events older than a time; what findings rest on has its
// own copy as evidence.
func (tx *Tx) PruneEvents(ctx context.Context, before time.Time) (int64, error) {
	res, err := tx.q.ExecContext(ctx, `DELETE FROM event WHERE at_ms < $1`, toMS(before))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// A TrackRow is the stored hold and clear timer of a detector on a resource.
type TrackRow struct {
	ResourceID, Condition string
	State                 string // as package detect serialises it
}

// Tracks answers every stored track.
func (v view) Tracks(ctx context.Context) ([]TrackRow, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT resource_id, condition, state FROM track`)
	if err != nil {
		return nil, err
	}
	return collectRows(rows, func(r *sql.Rows) (TrackRow, error) {
		var t TrackRow
		return t, r.Scan(&t.ResourceID, &t.Condition, &t.State)
	})
}

// SaveTracks writes tracks; an empty state deletes.
func (tx *Tx) SaveTracks(ctx context.Context, tracks []TrackRow) error {
	for _, t := range tracks {
		var err error
		if t.State == "" {
			_, err = tx.q.ExecContext(ctx, `DELETE FROM track WHERE resource_id = $1 AND condition = $2`, t.ResourceID, t.Condition)
		} else {
			_, err = tx.q.ExecContext(ctx, `INSERT INTO track (resource_id, condition, state) VALUES ($1,$2,$3)
				ON CONFLICT (resource_id, condition) DO UPDATE SET state = excluded.state`, t.ResourceID, t.Condition, t.State)
		}
		if err != nil {
			return fmt.Errorf("save track: %w", err)
		}
	}
	return nil
}

// AddSignal stores a signal; fresh is false when its source already said it.
func (tx *Tx) AddSignal(ctx context.Context, s ops.Signal) (fresh bool, err error) {
	res, err := tx.q.ExecContext(ctx, `
		INSERT INTO signal (id, source, source_id, condition, resource_id, edge, severity, facts, event_ms, received_ms)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) ON CONFLICT (source, source_id) DO NOTHING`,
		s.ID, s.Source, s.SourceID, s.Condition, s.ResourceID, s.Edge, s.Severity, toJSON(s.Facts), toMS(s.EventAt), toMS(s.ReceivedAt))
	return one(res, err)
}

// Signals answers the signals of one fingerprint, newest first.
func (v view) Signals(ctx context.Context, resourceID, condition string, limit int) ([]ops.Signal, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT id, source, source_id, condition, resource_id, edge, severity, facts, event_ms, received_ms
		FROM signal WHERE resource_id = $1 AND condition = $2 ORDER BY event_ms DESC, id DESC LIMIT $3`, resourceID, condition, limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read signals: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.Signal, error) {
		var s ops.Signal
		var facts string
		var event, received int64
		err := r.Scan(&s.ID, &s.Source, &s.SourceID, &s.Condition, &s.ResourceID, &s.Edge, &s.Severity, &facts, &event, &received)
		s.EventAt, s.ReceivedAt = fromMS(event), fromMS(received)
		return s, errors.Join(err, fromJSON(facts, &s.Facts))
	})
}
