package signin

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// SessionView says who is signed in.
type SessionView struct {
	User          *UserView `json:"user" doc:"null when nobody is signed in."`
	CSRF          string    `json:"csrf" doc:"Send it as X-CSRF-Token with every change."`
	NeedsPassword bool      `json:"needs_password" doc:"The account has none yet: until it does, only a one-time link opens it."`
	OIDC          bool      `json:"oidc" doc:"People can sign in through a provider: open /api/v1/session/oidc."`
}

func (in *SignIn) view(ctx context.Context, account store.Account) SessionView {
	v := SessionView{OIDC: in.oidc != nil}
	if account.ID == "" {
		return v
	}
	u := userView(account)
	v.User, v.CSRF = &u, in.plain.GetString(ctx, sessionCSRF)
	v.NeedsPassword = account.Password == "" && account.Subject == ""
	return v
}

func (in *SignIn) session(ctx context.Context, _ rest.NoInput) (SessionView, error) {
	return in.view(ctx, rest.CallerOf(ctx).Account), nil
}

type credentialsInput struct {
	Body struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	} `body:""`
}

// withPassword signs in. Unknown names, wrong passwords and disabled accounts
// get one answer after the same work.
func (in *SignIn) withPassword(ctx context.Context, q credentialsInput) (SessionView, error) {
	c, now := rest.CallerOf(ctx), in.now()
	if err := in.byAddr.Take(rest.Sender(c.Addr), now); err != nil {
		return SessionView{}, err
	}
	name := digest(q.Body.Name) // The name itself may be long.
	if err := in.byName.Take(name, now); err != nil {
		return SessionView{}, err
	}
	if len(q.Body.Password) > maxPasswordBytes || len(q.Body.Name) > maxNameBytes {
		return SessionView{}, errWrong
	}
	account, err := in.store.AccountNamed(ctx, q.Body.Name)
	if err != nil && ops.KindOf(err) != ops.NotFound {
		return SessionView{}, err
	}
	ok, err := in.hashers.matches(ctx, account.Password, q.Body.Password)
	if err != nil {
		return SessionView{}, err
	}
	if !ok || account.Disabled {
		in.log.Warn("sign-in refused", "addr", c.Addr.String())
		return SessionView{}, errWrong
	}
	in.byName.Forgive(name)
	return in.enter(ctx, account, "with a password")
}

var errWrong = ops.Errorf(ops.Unauthentic, "the name or the password is wrong")

// enter begins the session of an account and leaves a note in the audit.
func (in *SignIn) enter(ctx context.Context, account store.Account, how string) (SessionView, error) {
	err := in.store.Tx(ctx, in.now(), func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "user:" + account.Name, Verb: "sign_in", Object: "user", ObjectID: account.ID, Reason: how})
		return nil
	})
	if err != nil {
		return SessionView{}, err
	}
	if err := in.begin(ctx, account); err != nil {
		return SessionView{}, err
	}
	return in.view(ctx, account), nil
}

func (in *SignIn) signOut(ctx context.Context, _ rest.NoInput) (rest.None, error) {
	return rest.None{}, in.plain.Destroy(ctx)
}

type newPasswordInput struct {
	Body struct {
		Password string `json:"password"`
		Current  string `json:"current,omitempty" doc:"The password until now, when there is one."`
	} `body:""`
}

// setPassword changes the password of who asks and ends their other sessions.
func (in *SignIn) setPassword(ctx context.Context, q newPasswordInput) (rest.None, error) {
	c := rest.CallerOf(ctx)
	if c.Token != "" {
		return rest.None{}, ops.Errorf(ops.Forbidden, "an API token cannot change a password; an admin can, with PUT /api/v1/users/{id}")
	}
	if c.Account.Subject != "" {
		return rest.None{}, ops.Errorf(ops.Invalid, "%s signs in through the OpenID provider and has no password here", c.Account.Name)
	}
	if err := checkPassword(q.Body.Password); err != nil {
		return rest.None{}, err
	}
	if c.Account.Password != "" {
		if err := in.byName.Take("password "+c.Account.ID, in.now()); err != nil {
			return rest.None{}, err
		}
		ok, err := in.hashers.matches(ctx, c.Account.Password, q.Body.Current)
		if err != nil {
			return rest.None{}, err
		}
		if !ok {
			return rest.None{}, rest.Invalid("current", "the password until now is wrong")
		}
	}
	hash, err := in.hashers.hash(ctx, q.Body.Password)
	if err != nil {
		return rest.None{}, err
	}
	account := c.Account
	account.Password = hash
	err = in.store.Tx(ctx, in.now(), func(tx *store.Tx) error {
		return tx.SaveAccount(ctx, account, "set_password", c.Why(""))
	})
	if err != nil {
		return rest.None{}, err
	}
	if err := in.plain.RenewToken(ctx); err != nil {
		return rest.None{}, err
	}
	in.plain.Put(ctx, sessionPrint, fingerprint(hash))
	return rest.None{}, nil
}
