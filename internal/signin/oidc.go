package signin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// OIDCOptions let people sign in through an OpenID Connect provider.
type OIDCOptions struct {
	Issuer       string   `json:"issuer" doc:"The provider's address, as its discovery document has it."`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret,omitempty"`
	Scopes       []string `json:"scopes,omitempty" doc:"Asked for besides openid, profile and email."`
	// RedirectURL is where the provider sends people back to; "" is the
	// address under which they came.
	RedirectURL string `json:"redirect_url,omitempty"`
	// The role of an account follows from a claim at every sign-in. Who has
	// none of the values gets DefaultRole, or is refused when that is empty.
	RoleClaim   string                `json:"role_claim,omitempty" doc:"Claim with a text or a list, as groups; default groups."`
	Roles       map[string]store.Role `json:"roles,omitempty" doc:"Values of the claim with the role that they give."`
	DefaultRole store.Role            `json:"default_role,omitempty" enum:"viewer,operator,admin"`
}

// The values of a session while somebody is at the provider.
const (
	sessionState    = "oidc_state"
	sessionNonce    = "oidc_nonce"
	sessionVerifier = "oidc_verifier"
	sessionRedirect = "oidc_redirect"
)

const (
	oidcCallback    = "/api/v1/session/oidc/callback"
	providerTimeout = 10 * time.Second
)

// oidcClient finds the provider at its first use: it may be down when this
// server starts.
type oidcClient struct {
	opts      OIDCOptions
	transport *http.Transport

	mu       sync.Mutex
	provider *oidc.Provider
}

func newOIDC(opts *OIDCOptions) (*oidcClient, error) {
	if opts == nil {
		return nil, nil
	}
	if opts.Issuer == "" || opts.ClientID == "" {
		return nil, ops.Errorf(ops.Invalid, "oidc needs issuer and client_id")
	}
	for value, role := range opts.Roles {
		if rest.Rank(role) == 0 {
			return nil, ops.Errorf(ops.Invalid, "oidc gives %q the role %q; the roles are viewer, operator, admin", value, role)
		}
	}
	o := *opts
	if o.RoleClaim == "" {
		o.RoleClaim = "groups"
	}
	return &oidcClient{opts: o, transport: http.DefaultTransport.(*http.Transport).Clone()}, nil
}

func (o *oidcClient) find(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The provider keeps the context for fetching its keys later, beyond
		// this request.
		p, err := oidc.NewProvider(o.reach(context.WithoutCancel(ctx)), o.opts.Issuer)
		if err != nil {
			return nil, ops.Because(ops.Unavailable, err, "the OpenID provider at %s cannot be reached", o.opts.Issuer)
		}
		o.provider = p
	}
	return o.provider, nil
}

// reach bounds how long the provider may take.
func (o *oidcClient) reach(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, &http.Client{Timeout: providerTimeout, Transport: o.transport})
}

func (o *oidcClient) config(p *oidc.Provider, redirect string) oauth2.Config {
	return oauth2.Config{ClientID: o.opts.ClientID, ClientSecret: o.opts.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: redirect,
		Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, o.opts.Scopes...)}
}

// toProvider sends the browser to the provider.
func (in *SignIn) toProvider(w http.ResponseWriter, r *http.Request) error {
	if in.oidc == nil {
		return ops.Errorf(ops.NotFound, "no OpenID provider is configured")
	}
	ctx := r.Context()
	if err := in.byAddr.Take(rest.Sender(rest.CallerOf(ctx).Addr), in.now()); err != nil {
		return err
	}
	provider, err := in.oidc.find(ctx)
	if err != nil {
		return err
	}
	redirect := cmp.Or(in.oidc.opts.RedirectURL, in.baseURL(r)+oidcCallback)
	state, nonce, verifier := NewSecret(""), NewSecret(""), oauth2.GenerateVerifier()
	in.plain.Put(ctx, sessionState, state)
	in.plain.Put(ctx, sessionNonce, nonce)
	in.plain.Put(ctx, sessionVerifier, verifier)
	in.plain.Put(ctx, sessionRedirect, redirect)
	config := in.oidc.config(provider, redirect)
	http.Redirect(w, r, config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusFound)
	return nil
}

// fromProvider takes in what the provider sent the browser back with.
func (in *SignIn) fromProvider(w http.ResponseWriter, r *http.Request) error {
	if in.oidc == nil {
		return ops.Errorf(ops.NotFound, "no OpenID provider is configured")
	}
	ctx := r.Context()
	state, nonce := in.plain.PopString(ctx, sessionState), in.plain.PopString(ctx, sessionNonce)
	verifier, redirect := in.plain.PopString(ctx, sessionVerifier), in.plain.PopString(ctx, sessionRedirect)
	q := r.URL.Query()
	if state == "" || !equal(state, q.Get("state")) {
		return ops.Errorf(ops.Forbidden, "this sign-in was not begun here, or began too long ago; begin again")
	}
	if problem := q.Get("error"); problem != "" {
		return ops.Errorf(ops.Forbidden, "the OpenID provider refused: %s", rest.Short(problem))
	}
	provider, err := in.oidc.find(ctx)
	if err != nil {
		return err
	}
	config := in.oidc.config(provider, redirect)
	token, err := config.Exchange(in.oidc.reach(ctx), q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return ops.Because(ops.Forbidden, err, "the OpenID provider did not accept the sign-in")
	}
	text, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: in.oidc.opts.ClientID}).Verify(ctx, text)
	if err != nil {
		return ops.Because(ops.Forbidden, err, "the OpenID provider's answer is not valid")
	}
	if !equal(nonce, id.Nonce) {
		return ops.Errorf(ops.Forbidden, "the OpenID provider's answer belongs to another sign-in")
	}
	claims, err := in.oidc.claims(ctx, provider, token, id)
	if err != nil {
		return err
	}
	account, err := in.oidcAccount(ctx, id, claims)
	if err != nil {
		return err
	}
	if _, err := in.enter(ctx, account, "through "+id.Issuer); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusFound)
	return nil
}

// oidcAccount answers the account of a subject, made at its first sign-in;
// its role follows the claim.
func (in *SignIn) oidcAccount(ctx context.Context, id *oidc.IDToken, claims map[string]any) (store.Account, error) {
	role, err := in.oidc.role(claims)
	if err != nil {
		return store.Account{}, err
	}
	subject := id.Issuer + "|" + id.Subject
	why := store.Why{Actor: "oidc", Reason: "signed in through " + id.Issuer}
	var account store.Account
	err = in.store.Tx(ctx, in.now(), func(tx *store.Tx) (err error) {
		account, err = tx.AccountOfSubject(ctx, subject)
		switch {
		case ops.KindOf(err) == ops.NotFound:
			account = store.Account{ID: ops.NewID(ops.UserID), Name: freeName(ctx, tx, claims, id.Subject), Role: role, Subject: subject, CreatedAt: tx.Now()}
			err = tx.SaveAccount(ctx, account, "create", why)
			account.Version = 1
		case err == nil && account.Disabled:
			err = ops.Errorf(ops.Forbidden, "the account %s is disabled", account.Name)
		case err == nil && account.Role != role:
			account.Role = role
			err = tx.SaveAccount(ctx, account, "change", why)
			account.Version++
		}
		return err
	})
	return account, err
}

// role answers the highest role that the claim's values give.
func (o *oidcClient) role(claims map[string]any) (store.Role, error) {
	var values []string
	switch v := claims[o.opts.RoleClaim].(type) {
	case string:
		values = []string{v}
	case []any:
		for _, x := range v {
			if text, ok := x.(string); ok {
				values = append(values, text)
			}
		}
	}
	role := o.opts.DefaultRole
	for value, r := range o.opts.Roles {
		if slices.Contains(values, value) && rest.Rank(r) > rest.Rank(role) {
			role = r
		}
	}
	if rest.Rank(role) == 0 {
		return "", ops.Errorf(ops.Forbidden, "your account at the OpenID provider gives no role here")
	}
	return role, nil
}

// freeName answers a name for a new account: what the provider calls the
// person, made unique. It is never that of an account that exists, which may
// be somebody else's.
func freeName(ctx context.Context, tx *store.Tx, claims map[string]any, subject string) string {
	base := ""
	for _, claim := range []string{"preferred_username", "email", "name"} {
		if text, _ := claims[claim].(string); len(text) < maxNameBytes-8 && userName.MatchString(text) {
			base = text
			break
		}
	}
	if base == "" {
		base = "oidc-" + digest(subject)[:8]
	}
	if _, err := tx.AccountNamed(ctx, base); ops.KindOf(err) == ops.NotFound {
		return base
	}
	return base + "-" + digest(subject)[:6]
}
