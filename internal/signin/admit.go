package signin

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

const (
	touchEvery = time.Minute
	maxTouched = 8192 // tokens whose last use is remembered
)

// Admit lets a request through to next when its caller may have what a route
// needs; next finds the caller in the context.
func (in *SignIn) Admit(needs rest.Permission, next http.Handler) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := in.authorize(r, needs)
		if err != nil {
			rest.Fail(in.log, w, r, err)
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
func (in *SignIn) withSession(next http.Handler) http.Handler {
	plain, secure := in.plain.LoadAndSave(next), in.secure.LoadAndSave(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil || in.public != nil && in.public.Scheme == "https" && r.Host == in.public.Host {
			secure.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

// authorize finds out who asks and whether they may.
func (in *SignIn) authorize(r *http.Request, needs rest.Permission) (*http.Request, error) {
	var c rest.Caller
	c.Addr, c.Local = addrOf(r)
	c.Base = in.baseURL(r)
	if needs == rest.Open {
		return r.WithContext(rest.WithCaller(r.Context(), c)), nil
	}
	var err error
	if token := Bearer(r); token != "" {
		err = in.byToken(r.Context(), token, &c)
	} else {
		err = in.bySession(r, &c)
	}
	if err != nil {
		return r, err
	}
	return r.WithContext(rest.WithCaller(r.Context(), c)), c.May(needs)
}

func (in *SignIn) byToken(ctx context.Context, secret string, c *rest.Caller) error {
	refused := ops.Errorf(ops.Unauthentic, "the API token is not known, has expired, or its account is disabled")
	t, err := in.store.TokenByHash(ctx, digest(secret))
	if ops.KindOf(err) == ops.NotFound {
		return refused
	}
	if err != nil {
		return err
	}
	now := in.now()
	account, err := in.store.Account(ctx, t.AccountID)
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
func (in *SignIn) noteUse(ctx context.Context, id string, now time.Time) {
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
	if err := in.store.TouchToken(ctx, id, now); err != nil {
		in.log.Warn("the use of an API token cannot be noted", "token", id, "error", err)
	}
}

func (in *SignIn) bySession(r *http.Request, c *rest.Caller) error {
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
func (in *SignIn) holder(ctx context.Context) (account store.Account, ok bool, err error) {
	account, err = in.store.Account(ctx, in.plain.GetString(ctx, sessionAccount))
	if ops.KindOf(err) == ops.NotFound {
		return account, false, nil
	}
	return account, err == nil && !account.Disabled && in.plain.GetString(ctx, sessionPrint) == fingerprint(account.Password), err
}

// Still reports whether who began a long answer may still have it: nobody
// signed out, was disabled, or lost the token.
func (in *SignIn) Still(r *http.Request, needs rest.Permission) bool {
	ctx := r.Context()
	var c rest.Caller
	if token := Bearer(r); token != "" {
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

// baseURL answers where people reach this server, without a slash at the end.
func (in *SignIn) baseURL(r *http.Request) string {
	if in.public != nil {
		return strings.TrimSuffix(in.public.String(), "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// addrOf answers where a request came from; local says that it was made on
// this machine and that no proxy says to have passed it on.
func addrOf(r *http.Request) (addr netip.Addr, local bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	addr = at.Addr().Unmap()
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return addr, false
		}
	}
	return addr, addr.IsLoopback()
}

// Bearer answers the API token of a request: of the Authorization header, or
// the password of HTTP basic authentication for programs that know only that.
func Bearer(r *http.Request) string {
	if kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		return strings.TrimSpace(token)
	}
	if _, password, ok := r.BasicAuth(); ok && strings.HasPrefix(password, tokenPrefix) {
		return password
	}
	return ""
}
