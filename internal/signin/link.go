package signin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

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
	token = NewSecret("")
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
func (in *SignIn) makeLink(ctx context.Context, _ rest.NoInput) (Link, error) {
	now := in.now()
	token, err := NewLink(ctx, in.store, now)
	return Link{rest.CallerOf(ctx).Base + "/signin?token=" + token, token, now.Add(linkLifetime).UTC()}, err
}

type linkInput struct {
	Body struct {
		Token string `json:"token"`
	} `body:""`
}

// withLink signs an admin in with the one-time link, from this machine only.
func (in *SignIn) withLink(ctx context.Context, q linkInput) (SessionView, error) {
	c := rest.CallerOf(ctx)
	if !c.Local {
		return SessionView{}, ops.Errorf(ops.Forbidden, "the one-time link works only in a browser on the machine that Reeve runs on")
	}
	if err := in.byAddr.Take("link "+rest.Sender(c.Addr), in.now()); err != nil {
		return SessionView{}, err
	}
	var account store.Account
	err := in.store.Tx(ctx, in.now(), func(tx *store.Tx) (err error) {
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
