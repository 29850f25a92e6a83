package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"time"

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

// A UserView is an account as it is shown.
type UserView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      store.Role `json:"role" enum:"viewer,operator,admin"`
	OIDC      bool       `json:"oidc" doc:"It signs in through the OpenID provider."`
	CreatedAt time.Time  `json:"created_at"`
	Disabled  bool       `json:"disabled"`
	Version   int64      `json:"version"`
}

func userView(a store.Account) UserView {
	return UserView{a.ID, a.Name, a.Role, a.Subject != "" && a.Subject != localSubject, a.CreatedAt, a.Disabled, a.Version}
}

func (in *signIn) view(ctx context.Context, account store.Account) SessionView {
	v := SessionView{OIDC: in.oidc != nil}
	if account.ID == "" {
		return v
	}
	u := userView(account)
	v.User, v.CSRF = &u, in.plain.GetString(ctx, sessionCSRF)
	v.NeedsPassword = account.Password == "" && account.Subject == ""
	return v
}

func (in *signIn) session(ctx context.Context, _ rest.NoInput) (SessionView, error) {
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
func (in *signIn) withPassword(ctx context.Context, q credentialsInput) (SessionView, error) {
	c, now := rest.CallerOf(ctx), in.s.now()
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
	account, err := in.s.store.AccountNamed(ctx, q.Body.Name)
	if err != nil && ops.KindOf(err) != ops.NotFound {
		return SessionView{}, err
	}
	ok, err := in.hashers.matches(ctx, account.Password, q.Body.Password)
	if err != nil {
		return SessionView{}, err
	}
	if !ok || account.Disabled {
		in.s.log.Warn("sign-in refused", "addr", c.Addr.String())
		return SessionView{}, errWrong
	}
	in.byName.Forgive(name)
	return in.enter(ctx, account, "with a password")
}

var errWrong = ops.Errorf(ops.Unauthentic, "the name or the password is wrong")

// enter begins the session of an account and leaves a note in the audit.
func (in *signIn) enter(ctx context.Context, account store.Account, how string) (SessionView, error) {
	err := in.s.store.Tx(ctx, in.s.now(), func(tx *store.Tx) error {
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

func (in *signIn) signOut(ctx context.Context, _ rest.NoInput) (rest.None, error) {
	return rest.None{}, in.plain.Destroy(ctx)
}

type newPasswordInput struct {
	Body struct {
		Password string `json:"password"`
		Current  string `json:"current,omitempty" doc:"The password until now, when there is one."`
	} `body:""`
}

// setPassword changes the password of who asks and ends their other sessions.
func (in *signIn) setPassword(ctx context.Context, q newPasswordInput) (rest.None, error) {
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
		if err := in.byName.Take("password "+c.Account.ID, in.s.now()); err != nil {
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
	err = in.s.store.Tx(ctx, in.s.now(), func(tx *store.Tx) error {
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

// linkSetting is where the one-time link is kept, as its hash.
const (
	linkSetting  = "signin_link"
	linkLifetime = 15 * time.Minute
	firstAccount = "admin"
)

type linkRow struct {
	Hash    string    `json:"hash"`
	Expires time.Time `json:"expires_at"`
}

// NewLink makes the one-time token that signs an admin in from this machine;
// the one made before it ends. It is good for a quarter of an hour.
func NewLink(ctx context.Context, db *store.Store, now time.Time) (token string, err error) {
	token = newSecret("")
	text, err := json.Marshal(linkRow{digest(token), now.Add(linkLifetime)})
	if err != nil {
		return "", err
	}
	return token, db.Tx(ctx, now, func(tx *store.Tx) error {
		_, version, err := tx.Setting(ctx, linkSetting)
		if err != nil {
			return err
		}
		return tx.SetSetting(ctx, linkSetting, string(text), version)
	})
}

// NeedsLink reports whether nobody could sign in without a link.
func NeedsLink(ctx context.Context, db *store.Store) (bool, error) {
	accounts, err := db.Accounts(ctx)
	for _, a := range accounts {
		if a.Subject != localSubject && !a.Disabled && (a.Password != "" || a.Subject != "") {
			return false, err
		}
	}
	return true, err
}

// A Link signs an admin in once.
type Link struct {
	URL       string    `json:"url" doc:"To open in a browser on the machine that Reeve runs on."`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// makeLink is NewLink for who is an admin already: the command line.
func (in *signIn) makeLink(ctx context.Context, _ rest.NoInput) (Link, error) {
	now := in.s.now()
	token, err := NewLink(ctx, in.s.store, now)
	return Link{rest.CallerOf(ctx).Base + "/signin?token=" + token, token, now.Add(linkLifetime).UTC()}, err
}

type linkInput struct {
	Body struct {
		Token string `json:"token"`
	} `body:""`
}

// withLink signs an admin in with the one-time link, from this machine only.
func (in *signIn) withLink(ctx context.Context, q linkInput) (SessionView, error) {
	c := rest.CallerOf(ctx)
	if !c.Local {
		return SessionView{}, ops.Errorf(ops.Forbidden, "the one-time link works only in a browser on the machine that Reeve runs on")
	}
	if err := in.byAddr.Take("link "+rest.Sender(c.Addr), in.s.now()); err != nil {
		return SessionView{}, err
	}
	var account store.Account
	err := in.s.store.Tx(ctx, in.s.now(), func(tx *store.Tx) (err error) {
		if err = spendLink(ctx, tx, q.Body.Token); err != nil {
			return err
		}
		account, err = adminOf(ctx, tx)
		return err
	})
	if err != nil {
		return SessionView{}, err
	}
	return in.enter(ctx, account, "with a one-time link")
}

// spendLink checks the token and removes it, so that it works once.
func spendLink(ctx context.Context, tx *store.Tx, token string) error {
	text, version, err := tx.Setting(ctx, linkSetting)
	if err != nil {
		return err
	}
	var link linkRow
	if text != "" {
		if err := json.Unmarshal([]byte(text), &link); err != nil {
			return err
		}
	}
	good := subtle.ConstantTimeCompare([]byte(link.Hash), []byte(digest(token))) == 1
	if !good || tx.Now().After(link.Expires) {
		return ops.Errorf(ops.Unauthentic, "the link was used already or has expired; `reeve signin` prints a new one")
	}
	return tx.SetSetting(ctx, linkSetting, "", version)
}

// adminOf answers the account that a link opens: the first one, made on its
// first use, or when it is gone another admin.
func adminOf(ctx context.Context, tx *store.Tx) (store.Account, error) {
	accounts, err := tx.Accounts(ctx)
	if err != nil {
		return store.Account{}, err
	}
	var found *store.Account
	for i, a := range accounts {
		if a.Role != store.Admin || a.Disabled || a.Subject == localSubject {
			continue
		}
		if found == nil || a.Name == firstAccount {
			found = &accounts[i]
		}
	}
	if found != nil {
		return *found, nil
	}
	account := store.Account{ID: ops.NewID(ops.UserID), Name: firstAccount, Role: store.Admin, CreatedAt: tx.Now()}
	if err := tx.SaveAccount(ctx, account, "create", store.Why{Actor: "link", Reason: "first sign-in from this machine"}); err != nil {
		return account, err
	}
	return tx.Account(ctx, account.ID)
}
