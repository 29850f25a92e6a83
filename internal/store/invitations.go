package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"reeve/internal/ops"
)

const invitationColumns = `id, name, host_id, created_ms, created_by, expires_ms, used_ms, used_by, heartbeat_every_ms, grace_ms, bytes_per_s`

func scanInvitation(row interface{ Scan(...any) error }) (ops.Invitation, error) {
	var i ops.Invitation
	var created, expires, used int64
	err := row.Scan(&i.ID, &i.Name, &i.HostID, &created, &i.CreatedBy, &expires, &used, &i.UsedBy, &i.HeartbeatMS, &i.GraceMS, &i.BytesPerS)
	i.CreatedAt, i.ExpiresAt, i.UsedAt = fromMS(created), fromMS(expires), fromMS(used)
	return i, err
}

// AddInvitation stores a one-time token by its hash. Earlier ones for the same
// name end.
func (tx *Tx) AddInvitation(ctx context.Context, i ops.Invitation, tokenHash string, why Why) error {
	if _, err := tx.q.ExecContext(ctx, `DELETE FROM invitation WHERE name = $1 AND used_ms = 0`, i.Name); err != nil {
		return fmt.Errorf("end earlier invitations: %w", err)
	}
	_, err := tx.q.ExecContext(ctx, `INSERT INTO invitation (id, token_hash, name, host_id, created_ms, created_by, expires_ms, heartbeat_every_ms, grace_ms, bytes_per_s)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`, i.ID, tokenHash, i.Name, i.HostID, toMS(i.CreatedAt), i.CreatedBy, toMS(i.ExpiresAt), i.HeartbeatMS, i.GraceMS, i.BytesPerS)
	if err != nil {
		return fmt.Errorf("add invitation for %s: %w", i.Name, err)
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "invite", Object: "host", ObjectID: i.HostID, Reason: why.Reason,
		Facts: map[string]string{"name": i.Name, "invitation": i.ID}})
	return nil
}

// UseInvitation takes a token that is neither used nor too old; it counts
// once, whoever is first.
func (tx *Tx) UseInvitation(ctx context.Context, tokenHash, by string) (ops.Invitation, error) {
	i, err := scanInvitation(tx.q.QueryRowContext(ctx, `UPDATE invitation SET used_ms = $1, used_by = $2
		WHERE token_hash = $3 AND used_ms = 0 AND expires_ms > $1 RETURNING `+invitationColumns, toMS(tx.now), by, tokenHash))
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return i, err
	}
	i, err = scanInvitation(tx.q.QueryRowContext(ctx, `SELECT `+invitationColumns+` FROM invitation WHERE token_hash = $1`, tokenHash))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return i, ops.Errorf(ops.Forbidden, "the token is not known; ask for a new line: `reeve host add NAME`")
	case err != nil:
		return i, err
	case !i.UsedAt.IsZero():
		return i, ops.Errorf(ops.Forbidden, "the token was used at %s; ask for a new line: `reeve host add %s`", i.UsedAt.Format("2006-01-02 15:04:05 MST"), i.Name)
	}
	return i, ops.Errorf(ops.Forbidden, "the token expired at %s; ask for a new line: `reeve host add %s`", i.ExpiresAt.Format("2006-01-02 15:04:05 MST"), i.Name)
}

// Invitations answers those that can still be used.
func (v view) Invitations(ctx context.Context, nowMS int64) ([]ops.Invitation, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+invitationColumns+` FROM invitation WHERE used_ms = 0 AND expires_ms > $1 ORDER BY name, id`, nowMS)
	if err != nil {
		return nil, fmt.Errorf("read invitations: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.Invitation, error) { return scanInvitation(r) })
}

// DeleteInvitation withdraws one that was not used.
func (tx *Tx) DeleteInvitation(ctx context.Context, id string, why Why) error {
	ok, err := one(tx.q.ExecContext(ctx, `DELETE FROM invitation WHERE id = $1 AND used_ms = 0`, id))
	if err != nil {
		return fmt.Errorf("withdraw invitation: %w", err)
	}
	if !ok {
		return ops.Errorf(ops.NotFound, "there is no open invitation %s", id)
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "withdraw", Object: "invitation", ObjectID: id, Reason: why.Reason})
	return nil
}
