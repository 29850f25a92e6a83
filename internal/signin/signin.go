// Package signin knows the people and programs that may ask something of this
// server: accounts, sessions, passwords, one-time links, an OpenID provider,
// API tokens, and the file with which the command line on the same machine
// gets in. Admit stands in front of every route.
//
// Start reading in Routes; what lets a request pass is in admit.go.
package signin

import (
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"reeve/internal/rest"
	"reeve/internal/store"
)

// Deps are the parts that signing in needs, all of them except where it says
// otherwise.
type Deps struct {
	Log   *slog.Logger
	Store *store.Store
	Now   func() time.Time
	// DataDir tells installations on one machine apart.
	DataDir string
	// Public is where people reach this server, nil when nobody said.
	Public *url.URL
	// OIDC lets people sign in through a provider; nil without one.
	OIDC *OIDCOptions
}

// SignIn knows who asks: sessions, tokens, passwords, links.
type SignIn struct {
	log     *slog.Logger
	store   *store.Store
	now     func() time.Time
	public  *url.URL
	plain   *scs.SessionManager
	secure  *scs.SessionManager // the same sessions, with cookies for TLS only
	hashers hashers
	byAddr  *rest.Limiter
	byName  *rest.Limiter
	oidc    *oidcClient

	mu      sync.Mutex
	touched map[string]time.Time // token ID to when its use was last noted
}

// New makes the sign-in of a server.
func New(deps Deps) (*SignIn, error) {
	manager := &scs.SessionManager{
		Lifetime:         sessionLifetime,
		Store:            sessionStore{deps.Store},
		Codec:            sessionCodec{},
		HashTokenInStore: true,
		Cookie:           scs.SessionCookie{Name: rest.CookieName + "_" + digest(deps.DataDir)[:8], HttpOnly: true, Path: "/", SameSite: http.SameSiteLaxMode, Persist: true},
		ErrorFunc:        func(w http.ResponseWriter, r *http.Request, err error) { rest.Fail(deps.Log, w, r, err) },
	}
	secure := *manager
	secure.Cookie.Secure = true
	in := &SignIn{log: deps.Log, store: deps.Store, now: deps.Now, public: deps.Public,
		plain: manager, secure: &secure, hashers: make(hashers, hashersAtOnce),
		byAddr: rest.NewLimiter(10, 6*time.Second), byName: rest.NewLimiter(20, 3*time.Second),
		touched: map[string]time.Time{}}
	var err error
	in.oidc, err = newOIDC(deps.OIDC)
	return in, err
}

// Routes lists what can be asked about sessions, accounts and tokens.
func (in *SignIn) Routes() []rest.Route {
	return []rest.Route{
		rest.Typed("GET /api/v1/session", rest.Public, "Who is signed in.", in.session),
		rest.Typed("POST /api/v1/session", rest.Public, "Sign in with a password.", in.withPassword),
		rest.Typed("POST /api/v1/session/link", rest.Public, "Sign in with the one-time link, on the machine that Reeve runs on.", in.withLink),
		rest.Typed("POST /api/v1/session/links", rest.Administer, "Make a one-time link; the one before it ends.", in.makeLink),
		rest.Typed("POST /api/v1/session/password", rest.Personal, "Set one's own password; other sessions end.", in.setPassword),
		rest.Typed("DELETE /api/v1/session", rest.Public, "Sign out.", in.signOut),
		rest.Plain("GET /api/v1/session/oidc", rest.Public, "Sign in through the OpenID provider: redirects there.", in.toProvider),
		rest.Plain("GET /api/v1/session/oidc/callback", rest.Public, "Where the OpenID provider sends people back to.", in.fromProvider),

		rest.Typed("GET /api/v1/users", rest.Administer, "Accounts.", in.users),
		rest.Typed("POST /api/v1/users", rest.Administer, "Make an account.", in.addUser),
		rest.Typed("PUT /api/v1/users/{id}", rest.Administer, "Change role or password of an account, or disable it.", in.changeUser),
		rest.Typed("DELETE /api/v1/users/{id}", rest.Administer, "Delete an account with its tokens.", in.deleteUser),

		rest.Typed("GET /api/v1/tokens", rest.Personal, "API tokens: one's own; an admin sees all.", in.tokens),
		rest.Typed("POST /api/v1/tokens", rest.Personal, "Make an API token; its secret is shown once.", in.addToken),
		rest.Typed("DELETE /api/v1/tokens/{id}", rest.Personal, "Revoke an API token.", in.deleteToken),
	}
}
