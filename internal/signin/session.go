package signin

import (
	"context"
	"encoding/json"
	"time"

	"reeve/internal/store"
)

const sessionLifetime = 14 * 24 * time.Hour

// The values of a session.
const (
	sessionAccount = "account"
	sessionCSRF    = "csrf"
	sessionPrint   = "print"
)

// begin makes the request's session that of an account, under a new token.
func (in *SignIn) begin(ctx context.Context, account store.Account) error {
	if err := in.plain.RenewToken(ctx); err != nil {
		return err
	}
	in.plain.Put(ctx, sessionAccount, account.ID)
	in.plain.Put(ctx, sessionCSRF, NewSecret(""))
	in.plain.Put(ctx, sessionPrint, fingerprint(account.Password))
	return nil
}

// sessionStore keeps sessions in the database; the library hashes their
// tokens first.
type sessionStore struct{ db *store.Store }

func (k sessionStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	data, ok, err := k.db.FindSession(ctx, token, time.Now())
	return []byte(data), ok, err
}

func (k sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return k.db.CommitSession(ctx, token, string(data), expiry)
}

func (k sessionStore) DeleteCtx(ctx context.Context, token string) error {
	return k.db.DeleteSession(ctx, token)
}

// Find, Commit and Delete make it the library's plain store too; the library
// calls the ones with a context where they exist.
func (k sessionStore) Find(token string) ([]byte, bool, error) {
	return k.FindCtx(context.Background(), token)
}

// Commit stores a session.
func (k sessionStore) Commit(token string, data []byte, expiry time.Time) error {
	return k.CommitCtx(context.Background(), token, data, expiry)
}

// Delete ends a session.
func (k sessionStore) Delete(token string) error { return k.DeleteCtx(context.Background(), token) }

// sessionCodec writes sessions as JSON: the column is a text.
type sessionCodec struct{}

type sessionText struct {
	Deadline time.Time         `json:"deadline"`
	Values   map[string]string `json:"values"`
}

func (sessionCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	t := sessionText{deadline, map[string]string{}}
	for name, v := range values {
		t.Values[name], _ = v.(string)
	}
	return json.Marshal(t)
}

func (sessionCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var t sessionText
	if err := json.Unmarshal(b, &t); err != nil {
		return time.Time{}, nil, err
	}
	values := map[string]any{}
	for name, v := range t.Values {
		values[name] = v
	}
	return t.Deadline, values, nil
}
