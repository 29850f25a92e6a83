package signin

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// The account and the file of the command line on the server's own machine.
const (
	localAccount = "local"
	localSubject = "reeve:local"
	localFile    = "client.json"
)

// A Client is what the command line needs to reach this server.
type Client struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// A LocalFile says where the file for the command line goes.
type LocalFile struct {
	Dir  string // the data folder
	URL  string // where the server answers
	Name string // of the token
}

// LocalToken writes the file in the data directory with which the command
// line on this machine reaches the server: whoever may read the database may
// use it. A file that still works is kept.
//
// The token is named after the server, of which several may share a database.
func LocalToken(ctx context.Context, db *store.Store, at LocalFile, now time.Time) error {
	path := filepath.Join(at.Dir, localFile)
	var client Client
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &client) == nil {
		if _, err := db.TokenByHash(ctx, digest(client.Token)); err == nil && client.URL == at.URL {
			return os.Chmod(path, 0o600)
		}
	}
	account, err := localOf(ctx, db, now)
	if err != nil {
		return err
	}
	made, secret, err := makeToken(ctx, db, now, store.Why{Actor: "app"}, store.APIToken{
		Name: at.Name, AccountID: account.ID, Scopes: []string{"admin", "metrics:write"}})
	if err != nil {
		return err
	}
	if err := writePrivate(path, Client{at.URL, secret}); err != nil {
		return err
	}
	return dropOldLocal(ctx, db, now, made)
}

// localOf answers the account behind the file; it has no password and so
// nobody signs in with it.
func localOf(ctx context.Context, db *store.Store, now time.Time) (store.Account, error) {
	account, err := db.AccountOfSubject(ctx, localSubject)
	if ops.KindOf(err) != ops.NotFound {
		return account, err
	}
	account = store.Account{ID: ops.NewID(ops.UserID), Name: localAccount, Role: store.Admin, Subject: localSubject, CreatedAt: now}
	if _, err := db.AccountNamed(ctx, localAccount); err == nil {
		account.Name += "-" + account.ID[len(account.ID)-6:]
	}
	return account, db.Tx(ctx, now, func(tx *store.Tx) error {
		return tx.SaveAccount(ctx, account, "create", store.Why{Actor: "app", Reason: "for the command line on this machine"})
	})
}

func dropOldLocal(ctx context.Context, db *store.Store, now time.Time, made store.APIToken) error {
	all, err := db.Tokens(ctx)
	if err != nil {
		return err
	}
	return db.Tx(ctx, now, func(tx *store.Tx) error {
		for _, t := range all {
			if t.AccountID == made.AccountID && t.ID != made.ID && t.Name == made.Name {
				if err := tx.DeleteToken(ctx, t.ID, store.Why{Actor: "app", Reason: "replaced"}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// writePrivate writes a file that only its owner reads, whole or not at all.
func writePrivate(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(next, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
