package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"reeve/internal/ops"
)

// secretPrefix begins the names of sealed settings among the settings.
const secretPrefix = "secret/"

// sealedRow is how a sealed setting stands in the database.
type sealedRow struct {
	AtMS   int64  `json:"at_ms"`
	By     string `json:"by"`
	Sealed string `json:"sealed"`
}

// SealedSettings answers all sealed settings by name.
func (v view) SealedSettings(ctx context.Context) ([]ops.SealedSetting, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT name, value FROM setting WHERE name LIKE '`+secretPrefix+`%' ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read sealed settings: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.SealedSetting, error) {
		var name, value string
		var row sealedRow
		if err := r.Scan(&name, &value); err != nil {
			return ops.SealedSetting{}, err
		}
		err := json.Unmarshal([]byte(value), &row)
		return ops.SealedSetting{Name: strings.TrimPrefix(name, secretPrefix), At: fromMS(row.AtMS), By: row.By, Sealed: row.Sealed}, err
	})
}

// SaveSealed inserts or replaces a sealed setting. The transition says that it
// was sealed, and nothing of the value.
func (tx *Tx) SaveSealed(ctx context.Context, name, sealed string, why Why) (ops.SealedSetting, error) {
	s := ops.SealedSetting{Name: name, At: tx.now, By: why.Actor, Sealed: sealed}
	text, err := json.Marshal(sealedRow{toMS(s.At), s.By, s.Sealed})
	if err != nil {
		return s, err
	}
	_, version, err := tx.Setting(ctx, secretPrefix+name)
	if err != nil {
		return s, err
	}
	if err := tx.SetSetting(ctx, secretPrefix+name, string(text), version); err != nil {
		return s, err
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "seal", Object: "settings", ObjectID: secretPrefix + name, Reason: why.Reason})
	return s, nil
}

// DeleteSealed removes a sealed setting.
func (tx *Tx) DeleteSealed(ctx context.Context, name string, why Why) error {
	ok, err := one(tx.q.ExecContext(ctx, `DELETE FROM setting WHERE name = $1`, secretPrefix+name))
	if err != nil {
		return fmt.Errorf("delete sealed setting %s: %w", name, err)
	}
	if !ok {
		return ops.Errorf(ops.NotFound, "there is no sealed setting %s", name)
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "delete", Object: "settings", ObjectID: secretPrefix + name, Reason: why.Reason})
	return nil
}
