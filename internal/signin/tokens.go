package signin

import (
	"context"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// tokenPrefix begins every API token, so that people and programs know one.
const tokenPrefix = "reeve_"

// A TokenView is an API token as it is shown.
type TokenView struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	User       string    `json:"user" doc:"Name of the account that it acts for."`
	Scopes     []string  `json:"scopes" enum:"read,operate,admin,metrics:read,metrics:write"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero" doc:"Absent when it does not expire."`
	LastUsedAt time.Time `json:"last_used_at,omitzero" doc:"To the minute; absent when it was never used."`
}

func tokenView(t store.APIToken, user string) TokenView {
	return TokenView{t.ID, t.Name, user, rest.Full(t.Scopes), t.CreatedAt, t.ExpiresAt, t.UsedAt}
}

// NewToken is a token that was just made; its secret is shown once.
type NewToken struct {
	TokenView
	Secret string `json:"secret" doc:"Shown only now: send it as Authorization: Bearer."`
}

// tokens answers those of who asks; an admin sees all.
func (in *SignIn) tokens(ctx context.Context, _ rest.NoInput) (rest.List[TokenView], error) {
	c := rest.CallerOf(ctx)
	accounts, err := in.store.Accounts(ctx)
	if err != nil {
		return rest.List[TokenView]{}, err
	}
	names := map[string]string{}
	for _, a := range accounts {
		names[a.ID] = a.Name
	}
	rows, err := in.store.Tokens(ctx)
	var all []TokenView
	for _, t := range rows {
		if c.Account.Role == store.Admin || t.AccountID == c.Account.ID {
			all = append(all, tokenView(t, names[t.AccountID]))
		}
	}
	return rest.ListOf(all, ""), err
}

type newTokenInput struct {
	Body struct {
		Name      string    `json:"name"`
		Scopes    []string  `json:"scopes" enum:"read,operate,admin,metrics:read,metrics:write" doc:"What the token may do, within what its account may."`
		ExpiresAt time.Time `json:"expires_at,omitzero" doc:"Never when left out."`
	} `body:""`
}

func (in *SignIn) addToken(ctx context.Context, q newTokenInput) (NewToken, error) {
	c := rest.CallerOf(ctx)
	if len(q.Body.Name) > maxNameBytes || !userName.MatchString(q.Body.Name) {
		return NewToken{}, rest.Invalid("name", "a name has letters, digits and . _ @ + -, and begins with a letter or digit")
	}
	if len(q.Body.Scopes) == 0 {
		return NewToken{}, rest.Invalid("scopes", "name at least one scope: %s", strings.Join(rest.Scopes, ", "))
	}
	for _, scope := range q.Body.Scopes {
		if !grants(c, scope) {
			return NewToken{}, ops.Errorf(ops.Forbidden, "the token %s cannot give the scope %s, which it does not have", c.Token, scope)
		}
	}
	if !q.Body.ExpiresAt.IsZero() && q.Body.ExpiresAt.Before(in.now()) {
		return NewToken{}, rest.Invalid("expires_at", "the time has passed already")
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(q.Body.Scopes)))
	t, secret, err := makeToken(ctx, in.store, in.now(), c.Why(""), store.APIToken{
		Name: q.Body.Name, AccountID: c.Account.ID, Scopes: scopes, ExpiresAt: q.Body.ExpiresAt})
	return NewToken{tokenView(t, c.Account.Name), secret}, err
}

// grants reports whether the caller may hand out a scope: no token makes one
// that may do more than itself.
func grants(c rest.Caller, scope string) bool {
	return c.Token == "" || slices.Contains(c.Scopes, "admin") && scope != "metrics:write" || slices.Contains(c.Scopes, scope)
}

func makeToken(ctx context.Context, db *store.Store, now time.Time, why store.Why, t store.APIToken) (made store.APIToken, secret string, err error) {
	secret = NewSecret(tokenPrefix)
	t.ID, t.Hash = ops.NewID(ops.TokenID), digest(secret)
	err = db.Tx(ctx, now, func(tx *store.Tx) error {
		t.CreatedAt = tx.Now()
		return tx.AddToken(ctx, t, why)
	})
	return t, secret, err
}

func (in *SignIn) deleteToken(ctx context.Context, q rest.ByID) (rest.None, error) {
	c := rest.CallerOf(ctx)
	all, err := in.store.Tokens(ctx)
	if err != nil {
		return rest.None{}, err
	}
	i := slices.IndexFunc(all, func(t store.APIToken) bool { return t.ID == q.ID })
	if i < 0 || c.Account.Role != store.Admin && all[i].AccountID != c.Account.ID {
		return rest.None{}, ops.Errorf(ops.NotFound, "there is no token %s", rest.Short(q.ID))
	}
	return rest.None{}, in.store.Tx(ctx, in.now(), func(tx *store.Tx) error { return tx.DeleteToken(ctx, q.ID, c.Why("")) })
}
