package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"reeve/internal/ops"
)

// Outbox answers the deliveries of one channel in a state: first those whose
// time has come, the oldest first, so that many that are held hide none that
// is not.
func (v view) Outbox(ctx context.Context, channel string, state ops.DeliveryState, now time.Time, limit int) ([]ops.Delivery, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM delivery WHERE channel = $1 AND state = $2
		ORDER BY CASE WHEN next_ms <= $3 THEN 0 ELSE 1 END, created_ms, id LIMIT $4`, channel, state, toMS(now), limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read outbox of %s: %w", channel, err)
	}
	return collectRows(rows, scanDeliveries)
}

// An OutboxCount says how much of one channel is in one state.
type OutboxCount struct {
	Channel string
	State   ops.DeliveryState
	Count   int64
	Tries   int64     // the most attempts that one of them had
	Next    time.Time // the latest next attempt; of dead ones when the last was given up
	LastOK  time.Time // when one was taken last
}

// CountOutbox answers, by channel and state, what ended since a time and
// everything that still waits.
func (v view) CountOutbox(ctx context.Context, since time.Time) ([]OutboxCount, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT channel, state, count(*), max(attempts), max(next_ms), max(delivered_ms) FROM delivery
		WHERE state IN ('queued', 'sending') OR (state IN ('delivered', 'dead') AND next_ms >= $1) GROUP BY channel, state ORDER BY channel, state`, toMS(since))
	if err != nil {
		return nil, fmt.Errorf("count outbox: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (OutboxCount, error) {
		var c OutboxCount
		var next, ok int64
		err := r.Scan(&c.Channel, &c.State, &c.Count, &c.Tries, &next, &ok)
		c.Next, c.LastOK = fromMS(next), fromMS(ok)
		return c, err
	})
}

// HasDue reports whether anything of a channel waits whose time has come, or
// is being sent.
func (v view) HasDue(ctx context.Context, channel string, by time.Time) (bool, error) {
	var n int64
	err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM delivery
		WHERE channel = $1 AND (state = 'sending' OR (state = 'queued' AND next_ms <= $2)) LIMIT 1) AS due`, channel, toMS(by)).Scan(&n)
	return n > 0, err
}
