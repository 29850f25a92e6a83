package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"reeve/internal/ops"
)

// AddEvidence stores what a finding's claim rests on.
func (tx *Tx) AddEvidence(ctx context.Context, e ops.Evidence) error {
	series, err := json.Marshal(e.Series)
	if err != nil {
		return fmt.Errorf("evidence of %s: %w", e.FindingID, err)
	}
	_, err = tx.q.ExecContext(ctx, `
		INSERT INTO evidence (id, finding_id, what, query, from_ms, to_ms, series, quotes, taken_ms, hash)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		e.ID, e.FindingID, e.What, e.Query, toMS(e.From), toMS(e.To), string(series), toJSON(e.Quotes), toMS(e.TakenAt), e.Hash)
	if err != nil {
		return fmt.Errorf("add evidence of %s: %w", e.FindingID, err)
	}
	return nil
}

// Evidence answers what a finding rests on, oldest first.
func (v view) Evidence(ctx context.Context, findingID string) ([]ops.Evidence, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT id, finding_id, what, query, from_ms, to_ms, series, quotes, taken_ms, hash
		FROM evidence WHERE finding_id = $1 ORDER BY taken_ms, id LIMIT 200`, findingID)
	if err != nil {
		return nil, fmt.Errorf("read evidence of %s: %w", findingID, err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.Evidence, error) {
		var e ops.Evidence
		var from, to, taken int64
		var series, quotes string
		err := r.Scan(&e.ID, &e.FindingID, &e.What, &e.Query, &from, &to, &series, &quotes, &taken, &e.Hash)
		e.From, e.To, e.TakenAt = fromMS(from), fromMS(to), fromMS(taken)
		return e, errors.Join(err, fromJSON(series, &e.Series), fromJSON(quotes, &e.Quotes))
	})
}
