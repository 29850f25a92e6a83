package rest

import (
	"context"
	"net/netip"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// A Permission is what a route asks of its caller.
type Permission string

// The permissions.
const (
	Open         Permission = "open"          // nobody needs to be signed in, and no session is looked at
	Public       Permission = "public"        // nobody needs to be signed in
	Personal     Permission = "personal"      // a person at a browser, or a token that may do everything
	Read         Permission = "read"          // see the estate
	Operate      Permission = "operate"       // work with findings, incidents, checks
	Administer   Permission = "admin"         // settings, accounts, backups
	MetricsRead  Permission = "metrics:read"  // PromQL
	MetricsWrite Permission = "metrics:write" // remote write
)

// Scopes are what an API token can be limited to.
var Scopes = []string{"read", "operate", "admin", "metrics:read", "metrics:write"}

// needs says which role a permission asks of the account, and which scopes of
// a token give it. Both limit.
var needs = map[Permission]struct {
	role   store.Role
	scopes []string
}{
	Personal:     {store.Viewer, []string{"admin"}},
	Read:         {store.Viewer, []string{"read", "operate", "admin"}},
	Operate:      {store.Operator, []string{"operate", "admin"}},
	Administer:   {store.Admin, []string{"admin"}},
	MetricsRead:  {store.Viewer, []string{"metrics:read", "read", "operate", "admin"}},
	MetricsWrite: {store.Operator, []string{"metrics:write"}},
}

var ranks = map[store.Role]int{store.Viewer: 1, store.Operator: 2, store.Admin: 3}

// Rank orders roles: the one that may more has the higher rank, and what is no
// role has 0.
func Rank(role store.Role) int { return ranks[role] }

// A Caller is who asks.
type Caller struct {
	Account store.Account // zero when nobody is signed in
	Token   string        // name of the API token, "" for a browser session
	Scopes  []string      // of the token
	Addr    netip.Addr
	// Local says that the request came from this machine and through no
	// proxy that says so.
	Local bool
	// Base is the server's address as the caller knows it.
	Base string
}

// Known reports whether somebody is signed in.
func (c Caller) Known() bool { return c.Account.ID != "" }

// Actor answers the caller's name for the audit.
func (c Caller) Actor() string {
	if c.Token != "" {
		return "token:" + c.Token
	}
	return "user:" + c.Account.Name
}

// Why answers who made a change, and for whom.
func (c Caller) Why(reason string) store.Why {
	w := store.Why{Actor: c.Actor(), Reason: reason}
	if c.Token != "" {
		w.OnBehalf = "user:" + c.Account.Name
	}
	return w
}

// May answers nil when the caller has the permission. A permission that the
// table does not have is refused.
func (c Caller) May(p Permission) error {
	if p == Public || p == Open {
		return nil
	}
	if !c.Known() {
		return ops.Errorf(ops.Unauthentic, "sign in first, or send an API token")
	}
	need, ok := needs[p]
	if !ok || ranks[c.Account.Role] < ranks[need.role] {
		return ops.Errorf(ops.Forbidden, "this needs the role %s; %s has the role %s", need.role, c.Account.Name, c.Account.Role)
	}
	if c.Token != "" && !slices.ContainsFunc(need.scopes, func(s string) bool { return slices.Contains(c.Scopes, s) }) {
		return ops.Errorf(ops.Forbidden, "the API token %s does not have the scope %s", c.Token, need.scopes[0])
	}
	return nil
}

type callerKey struct{}

// WithCaller tells a request who asks.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf answers who asks; the zero Caller outside a request.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
