package api

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

// actor answers the caller's name for the audit.
func (c Caller) actor() string {
	if c.Token != "" {
		return "token:" + c.Token
	}
	return "user:" + c.Account.Name
}

// why answers who made a change, and for whom.
func (c Caller) why(reason string) store.Why {
	w := store.Why{Actor: c.actor(), Reason: reason}
	if c.Token != "" {
		w.OnBehalf = "user:" + c.Account.Name
	}
	return w
}

// may answers nil when the caller has the permission. A permission that the
// table does not have is refused.
func (c Caller) may(p Permission) error {
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

// grants reports whether the caller may hand out a scope: no token makes one
// that may do more than itself.
func (c Caller) grants(scope string) bool {
	return c.Token == "" || slices.Contains(c.Scopes, "admin") && scope != "metrics:write" || slices.Contains(c.Scopes, scope)
}

type callerKey struct{}

func withCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf answers who asks; the zero Caller outside a request.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
