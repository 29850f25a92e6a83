package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

const (
	sessionLifetime = 14 * 24 * time.Hour
	tokenPrefix     = "reeve_"
	touchEvery      = time.Minute
	maxTouched      = 8192 // tokens whose last use is remembered
)

// The values of a session.
const (
	sessionAccount = "account"
	sessionCSRF    = "csrf"
	sessionPrint   = "print"
)

// signIn knows who asks: sessions, tokens, passwords, links.
type signIn struct {
	s       *Server
	plain   *scs.SessionManager
	secure  *scs.SessionManager // the same sessions, with cookies for TLS only
	hashers hashers
	byAddr  *rest.Limiter
	byName  *rest.Limiter
	beats   *rest.Limiter // heartbeats by address: many jobs of one machine come at the same minute
	jobs    *rest.Limiter // heartbeats by token
	oidc    *oidcClient

	mu      sync.Mutex
	touched map[string]time.Time // token ID to when its use was last noted
}

func newSignIn(s *Server) (*signIn, error) {
	manager := &scs.SessionManager{
		Lifetime:         sessionLifetime,
		Store:            sessionStore{s.store},
		Codec:            sessionCodec{},
		HashTokenInStore: true,
		Cookie:           scs.SessionCookie{Name: rest.CookieName + "_" + digest(s.deps.DataDir)[:8], HttpOnly: true, Path: "/", SameSite: http.SameSiteLaxMode, Persist: true},
		ErrorFunc:        func(w http.ResponseWriter, r *http.Request, err error) { rest.Fail(s.log, w, r, err) },
	}
	secure := *manager
	secure.Cookie.Secure = true
	in := &signIn{s: s, plain: manager, secure: &secure, hashers: make(hashers, hashersAtOnce),
		byAddr: rest.NewLimiter(10, 6*time.Second), byName: rest.NewLimiter(20, 3*time.Second), beats: rest.NewLimiter(300, 50*time.Millisecond), jobs: rest.NewLimiter(10, time.Second),
		touched: map[string]time.Time{}}
	var err error
	in.oidc, err = newOIDC(s.deps.OIDC)
	return in, err
}

// admit lets a request through to next when its caller may have what a route
// needs; next finds the caller in the context.
func (in *signIn) admit(needs rest.Permission, next http.Handler) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := in.authorize(r, needs)
		if err != nil {
			rest.Fail(in.s.log, w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
	if needs == rest.Open {
		return inner
	}
	return in.withSession(inner)
}

// withSession loads the session of a request and stores what changed in it.
func (in *signIn) withSession(next http.Handler) http.Handler {
	plain, secure := in.plain.LoadAndSave(next), in.secure.LoadAndSave(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil || in.s.public != nil && in.s.public.Scheme == "https" && r.Host == in.s.public.Host {
			secure.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

// authorize finds out who asks and whether they may.
func (in *signIn) authorize(r *http.Request, needs rest.Permission) (*http.Request, error) {
	var c rest.Caller
	c.Addr, c.Local = addrOf(r)
	c.Base = in.s.baseURL(r)
	if needs == rest.Open {
		return r.WithContext(rest.WithCaller(r.Context(), c)), nil
	}
	var err error
	if token := bearer(r); token != "" {
		err = in.byToken(r.Context(), token, &c)
	} else {
		err = in.bySession(r, &c)
	}
	if err != nil {
		return r, err
	}
	return r.WithContext(rest.WithCaller(r.Context(), c)), c.May(needs)
}

func (in *signIn) byToken(ctx context.Context, secret string, c *rest.Caller) error {
	refused := ops.Errorf(ops.Unauthentic, "the API token is not known, has expired, or its account is disabled")
	t, err := in.s.store.TokenByHash(ctx, digest(secret))
	if ops.KindOf(err) == ops.NotFound {
		return refused
	}
	if err != nil {
		return err
	}
	now := in.s.now()
	account, err := in.s.store.Account(ctx, t.AccountID)
	if err != nil {
		return err
	}
	if account.Disabled || !t.ExpiresAt.IsZero() && now.After(t.ExpiresAt) {
		return refused
	}
	c.Account, c.Token, c.Scopes = account, t.Name, t.Scopes
	in.noteUse(ctx, t.ID, now)
	return nil
}

// noteUse writes down that a token was used, at most once a minute. A database
// that cannot be written to, as on a full disk, must not keep people from
// looking.
func (in *signIn) noteUse(ctx context.Context, id string, now time.Time) {
	in.mu.Lock()
	due := now.Sub(in.touched[id]) >= touchEvery
	if due {
		if len(in.touched) > maxTouched {
			clear(in.touched)
		}
		in.touched[id] = now
	}
	in.mu.Unlock()
	if !due {
		return
	}
	if err := in.s.store.TouchToken(ctx, id, now); err != nil {
		in.s.log.Warn("the use of an API token cannot be noted", "token", id, "error", err)
	}
}

func (in *signIn) bySession(r *http.Request, c *rest.Caller) error {
	ctx := r.Context()
	if in.plain.GetString(ctx, sessionAccount) == "" {
		return nil
	}
	account, ok, err := in.holder(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return in.plain.Destroy(ctx)
	}
	c.Account = account
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return nil
	}
	want, got := in.plain.GetString(ctx, sessionCSRF), r.Header.Get("X-CSRF-Token")
	if subtle.ConstantTimeCompare([]byte(want), []byte(got)) != 1 {
		return ops.Errorf(ops.Forbidden, "the header X-CSRF-Token is missing or wrong; GET /api/v1/session tells it")
	}
	return nil
}

// holder answers the account of a session; ok is false when the account is
// gone or disabled, or has got another password since.
func (in *signIn) holder(ctx context.Context) (account store.Account, ok bool, err error) {
	account, err = in.s.store.Account(ctx, in.plain.GetString(ctx, sessionAccount))
	if ops.KindOf(err) == ops.NotFound {
		return account, false, nil
	}
	return account, err == nil && !account.Disabled && in.plain.GetString(ctx, sessionPrint) == fingerprint(account.Password), err
}

// still reports whether who began a long answer may still have it: nobody
// signed out, was disabled, or lost the token.
func (in *signIn) still(r *http.Request, needs rest.Permission) bool {
	ctx := r.Context()
	var c rest.Caller
	if token := bearer(r); token != "" {
		return in.byToken(ctx, token, &c) == nil && c.May(needs) == nil
	}
	// The context of the request holds the session as it was.
	fresh, err := in.plain.Load(context.Background(), in.plain.Token(ctx))
	if err != nil {
		return false
	}
	account, ok, err := in.holder(fresh)
	c.Account = account
	return err == nil && ok && c.May(needs) == nil
}

// begin makes the request's session that of an account, under a new token.
func (in *signIn) begin(ctx context.Context, account store.Account) error {
	if err := in.plain.RenewToken(ctx); err != nil {
		return err
	}
	in.plain.Put(ctx, sessionAccount, account.ID)
	in.plain.Put(ctx, sessionCSRF, newSecret(""))
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
