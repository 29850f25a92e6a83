package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A Role says what an account may do: viewers read, operators also work with
// findings and checks, admins also change settings and accounts.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// An Account is a person who may sign in.
type Account struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role" enum:"viewer,operator,admin"`
	Password  string    `json:"-"`
	Subject   string    `json:"oidc_subject,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled"`
	Version   int64     `json:"version"`
}

const accountColumns = `id, name, role, password, subject, created_ms, disabled, version`

func scanAccount(row interface{ Scan(...any) error }) (Account, error) {
	var a Account
	var created, disabled int64
	err := row.Scan(&a.ID, &a.Name, &a.Role, &a.Password, &a.Subject, &created, &disabled, &a.Version)
	a.CreatedAt, a.Disabled = fromMS(created), disabled != 0
	if errors.Is(err, sql.ErrNoRows) {
		return a, ops.Errorf(ops.NotFound, "there is no such account")
	}
	return a, err
}

// Account answers an account by ID.
func (v view) Account(ctx context.Context, id string) (Account, error) {
	return scanAccount(v.q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM account WHERE id = $1`, id))
}

// AccountNamed answers an account by name.
func (v view) AccountNamed(ctx context.Context, name string) (Account, error) {
	return scanAccount(v.q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM account WHERE name = $1`, name))
}

// AccountOfSubject answers the account of an OpenID Connect subject.
func (v view) AccountOfSubject(ctx context.Context, subject string) (Account, error) {
	return scanAccount(v.q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM account WHERE subject = $1 AND subject <> ''`, subject))
}

// Accounts answers every account by name.
func (v view) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+accountColumns+` FROM account ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (Account, error) { return scanAccount(r) })
}

// SaveAccount inserts (version 0) or updates an account.
func (tx *Tx) SaveAccount(ctx context.Context, a Account, verb string, why Why) error {
	var ok bool
	var err error
	if a.Version == 0 {
		ok, err = one(tx.q.ExecContext(ctx, `INSERT INTO account (id, name, role, password, subject, created_ms) VALUES ($1,$2,$3,$4,$5,$6)
			ON CONFLICT (name) DO NOTHING`, a.ID, a.Name, a.Role, a.Password, a.Subject, toMS(a.CreatedAt)))
	} else {
		ok, err = one(tx.q.ExecContext(ctx, `UPDATE account SET name=$1, role=$2, password=$3, subject=$4, disabled=$5, version=version+1
			WHERE id=$6 AND version=$7`, a.Name, a.Role, a.Password, a.Subject, flag(a.Disabled), a.ID, a.Version))
	}
	if err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "an account named %s exists already, or it was changed meanwhile", a.Name)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: verb, Object: "user", ObjectID: a.ID, Reason: why.Reason,
		Facts: map[string]string{"name": a.Name, "role": string(a.Role)}})
	return nil
}

// DeleteAccount removes an account with its tokens.
func (tx *Tx) DeleteAccount(ctx context.Context, a Account, why Why) error {
	if _, err := tx.q.ExecContext(ctx, `DELETE FROM account WHERE id = $1`, a.ID); err != nil {
		return fmt.Errorf("delete account: %w", err)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: "delete", Object: "user", ObjectID: a.ID, Reason: why.Reason, Facts: map[string]string{"name": a.Name}})
	return nil
}

// An APIToken lets a program act for an account, within scopes.
type APIToken struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	AccountID string    `json:"account_id"`
	Hash      string    `json:"-"`
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	UsedAt    time.Time `json:"used_at,omitzero"`
}

const tokenColumns = `id, name, account_id, hash, scopes, created_ms, expires_ms, used_ms`

func scanToken(row interface{ Scan(...any) error }) (APIToken, error) {
	var t APIToken
	var scopes string
	var created, expires, used int64
	err := row.Scan(&t.ID, &t.Name, &t.AccountID, &t.Hash, &scopes, &created, &expires, &used)
	t.Scopes = strings.Fields(scopes)
	t.CreatedAt, t.ExpiresAt, t.UsedAt = fromMS(created), fromMS(expires), fromMS(used)
	if errors.Is(err, sql.ErrNoRows) {
		return t, ops.Errorf(ops.NotFound, "there is no such token")
	}
	return t, err
}

// TokenByHash answers a token by the hash of its secret.
func (v view) TokenByHash(ctx context.Context, hash string) (APIToken, error) {
	return scanToken(v.q.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM api_token WHERE hash = $1`, hash))
}

// Tokens answers every token, the newest first.
func (v view) Tokens(ctx context.Context) ([]APIToken, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+tokenColumns+` FROM api_token ORDER BY created_ms DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (APIToken, error) { return scanToken(r) })
}

// AddToken stores a token.
func (tx *Tx) AddToken(ctx context.Context, t APIToken, why Why) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO api_token (id, name, account_id, hash, scopes, created_ms, expires_ms) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		t.ID, t.Name, t.AccountID, t.Hash, strings.Join(t.Scopes, " "), toMS(t.CreatedAt), toMS(t.ExpiresAt))
	if err != nil {
		return fmt.Errorf("add token: %w", err)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: "create", Object: "token", ObjectID: t.ID, Reason: why.Reason,
		Facts: map[string]string{"name": t.Name, "scopes": strings.Join(t.Scopes, " ")}})
	return nil
}

// DeleteToken revokes a token.
func (tx *Tx) DeleteToken(ctx context.Context, id string, why Why) error {
	ok, err := one(tx.q.ExecContext(ctx, `DELETE FROM api_token WHERE id = $1`, id))
	if err != nil {
		return fmt.Errorf("delete token: %w", err)
	}
	if !ok {
		return ops.Errorf(ops.NotFound, "there is no token %s", id)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: "revoke", Object: "token", ObjectID: id, Reason: why.Reason})
	return nil
}

// TouchToken notes when a token was last used.
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time) error {
	_, err := s.write.ExecContext(ctx, `UPDATE api_token SET used_ms = $1 WHERE id = $2`, toMS(at), id)
	return err
}

// FindSession, CommitSession and DeleteSession keep browser sessions for the
// session library; tokens are hashed by the caller.
func (s *Store) FindSession(ctx context.Context, token string, now time.Time) (data string, ok bool, err error) {
	err = s.q.QueryRowContext(ctx, `SELECT data FROM session WHERE token = $1 AND expires_ms > $2`, token, toMS(now)).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return data, err == nil, err
}

// CommitSession inserts or replaces a session.
func (s *Store) CommitSession(ctx context.Context, token, data string, expires time.Time) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO session (token, data, expires_ms) VALUES ($1,$2,$3)
		ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires_ms = excluded.expires_ms`, token, data, toMS(expires))
	return err
}

// DeleteSession ends a session.
func (s *Store) DeleteSession(ctx context.Context, token string) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM session WHERE token = $1`, token)
	return err
}

// PruneSessions deletes sessions that ended before a time.
func (s *Store) PruneSessions(ctx context.Context, before time.Time) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM session WHERE expires_ms < $1`, toMS(before))
	return err
}
