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

// Setting answers a stored setting and its version; version 0 says that it
// was never set.
func (v view) Setting(ctx context.Context, name string) (value string, version int64, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT value, version FROM setting WHERE name = $1`, name).Scan(&value, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, nil
	}
	return value, version, err
}

// SetSetting writes a setting if its version is still the one that the caller
// saw. Internal ones (cursors, limits) leave no transition.
func (tx *Tx) SetSetting(ctx context.Context, name, value string, seen int64) error {
	ok, err := one(tx.q.ExecContext(ctx, `INSERT INTO setting (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = setting.version + 1 WHERE setting.version = $3`, name, value, seen))
	if err == nil && !ok {
		return ops.Errorf(ops.Conflict, "the setting %s was changed meanwhile; read it again", name)
	}
	return err
}

// A CheckDef is a stored check: its definition as JSON, who declared it, and
// for heartbeats the token of its URL and the last beat.
type CheckDef struct {
	Name      string
	Def       json.RawMessage
	Origin    string // config or page
	BeatToken string
	LastBeat  time.Time
	Version   int64
}

func scanCheck(row interface{ Scan(...any) error }) (CheckDef, error) {
	var c CheckDef
	var def string
	var beat int64
	err := row.Scan(&c.Name, &def, &c.Origin, &c.BeatToken, &beat, &c.Version)
	c.Def, c.LastBeat = json.RawMessage(def), fromMS(beat)
	return c, err
}

// Checks answers every declared check by name.
func (v view) Checks(ctx context.Context) ([]CheckDef, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT name, def, origin, beat_token, last_beat_ms, version FROM check_def ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (CheckDef, error) { return scanCheck(r) })
}

// Check answers one declared check.
func (v view) Check(ctx context.Context, name string) (CheckDef, error) {
	c, err := scanCheck(v.q.QueryRowContext(ctx, `SELECT name, def, origin, beat_token, last_beat_ms, version FROM check_def WHERE name = $1`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return c, ops.Errorf(ops.NotFound, "there is no check %s", name)
	}
	return c, err
}

// SaveCheck inserts or replaces a declared check; the beat token and the last
// beat of an existing one are kept.
func (tx *Tx) SaveCheck(ctx context.Context, c CheckDef, why Why) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO check_def (name, def, origin, beat_token) VALUES ($1,$2,$3,$4)
		ON CONFLICT (name) DO UPDATE SET def = excluded.def, origin = excluded.origin, version = check_def.version + 1`,
		c.Name, string(c.Def), c.Origin, c.BeatToken)
	if err != nil {
		return fmt.Errorf("save check %s: %w", c.Name, err)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: "declare", Object: "check", ObjectID: c.Name, Reason: why.Reason})
	return nil
}

// DeleteCheck removes a declared check.
func (tx *Tx) DeleteCheck(ctx context.Context, name string, why Why) error {
	ok, err := one(tx.q.ExecContext(ctx, `DELETE FROM check_def WHERE name = $1`, name))
	if err != nil {
		return fmt.Errorf("delete check %s: %w", name, err)
	}
	if !ok {
		return ops.Errorf(ops.NotFound, "there is no check %s", name)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: "withdraw", Object: "check", ObjectID: name, Reason: why.Reason})
	return nil
}

// Beat records that the heartbeat with the given token came and answers its
// check's name.
func (tx *Tx) Beat(ctx context.Context, token string, at time.Time) (name string, err error) {
	err = tx.q.QueryRowContext(ctx, `UPDATE check_def SET last_beat_ms = $1 WHERE beat_token = $2 AND beat_token <> '' RETURNING name`, toMS(at), token).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ops.Errorf(ops.NotFound, "no heartbeat has this address")
	}
	return name, err
}
