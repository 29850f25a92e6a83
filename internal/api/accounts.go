package api

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

const maxNameBytes = 64

// userName is what an account may be called; it stands in the audit as
// user:NAME. Its length is bounded apart: a counted repetition of such a class
// compiles to as many copies of it, which cost a start 9 ms and 3 MB.
var userName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._@+-]*$`)

func (s *Server) users(ctx context.Context, _ rest.NoInput) (rest.List[UserView], error) {
	accounts, err := s.store.Accounts(ctx)
	var all []UserView
	for _, a := range accounts {
		all = append(all, userView(a))
	}
	return rest.ListOf(all, ""), err
}

type newUserInput struct {
	Body struct {
		Name     string     `json:"name"`
		Role     store.Role `json:"role" enum:"viewer,operator,admin"`
		Password string     `json:"password"`
	} `body:""`
}

func (s *Server) addUser(ctx context.Context, q newUserInput) (UserView, error) {
	if len(q.Body.Name) > maxNameBytes || !userName.MatchString(q.Body.Name) {
		return UserView{}, rest.Invalid("name", "a name has letters, digits and . _ @ + -, and begins with a letter or digit")
	}
	if err := checkPassword(q.Body.Password); err != nil {
		return UserView{}, err
	}
	hash, err := s.sign.hashers.hash(ctx, q.Body.Password)
	if err != nil {
		return UserView{}, err
	}
	a := store.Account{ID: ops.NewID(ops.UserID), Name: q.Body.Name, Role: q.Body.Role, Password: hash}
	err = s.store.Tx(ctx, s.now(), func(tx *store.Tx) error {
		a.CreatedAt = tx.Now()
		return tx.SaveAccount(ctx, a, "create", rest.CallerOf(ctx).Why(""))
	})
	a.Version = 1
	return userView(a), err
}

type changeUserInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Role     store.Role `json:"role,omitempty" enum:"viewer,operator,admin"`
		Disabled *bool      `json:"disabled,omitempty"`
		Password string     `json:"password,omitempty" doc:"A new password; the account's sessions end."`
	} `body:""`
}

func (s *Server) changeUser(ctx context.Context, q changeUserInput) (UserView, error) {
	hash := ""
	if q.Body.Password != "" {
		if err := checkPassword(q.Body.Password); err != nil {
			return UserView{}, err
		}
		var err error
		if hash, err = s.sign.hashers.hash(ctx, q.Body.Password); err != nil {
			return UserView{}, err
		}
	}
	var a store.Account
	err := s.store.Tx(ctx, s.now(), func(tx *store.Tx) (err error) {
		if a, err = tx.Account(ctx, q.ID); err != nil {
			return err
		}
		if err := rest.CheckMatch(q.IfMatch, "the account "+a.Name, a.Version); err != nil {
			return err
		}
		if q.Body.Role != "" {
			a.Role = q.Body.Role
		}
		if q.Body.Disabled != nil {
			a.Disabled = *q.Body.Disabled
		}
		if hash != "" {
			a.Password = hash
		}
		if err := tx.SaveAccount(ctx, a, "change", rest.CallerOf(ctx).Why("")); err != nil {
			return err
		}
		a.Version++
		return adminRemains(ctx, tx)
	})
	return userView(a), err
}

func (s *Server) deleteUser(ctx context.Context, q rest.ByID) (rest.None, error) {
	return rest.None{}, s.store.Tx(ctx, s.now(), func(tx *store.Tx) error {
		a, err := tx.Account(ctx, q.ID)
		if err != nil {
			return err
		}
		if err := tx.DeleteAccount(ctx, a, rest.CallerOf(ctx).Why("")); err != nil {
			return err
		}
		return adminRemains(ctx, tx)
	})
}

// adminRemains refuses a change after which nobody could undo it.
func adminRemains(ctx context.Context, tx *store.Tx) error {
	accounts, err := tx.Accounts(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(accounts, func(a store.Account) bool {
		return a.Role == store.Admin && !a.Disabled && a.Subject != localSubject
	}) {
		return ops.Errorf(ops.Conflict, "this is the last admin; make another one first")
	}
	return nil
}

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
func (s *Server) tokens(ctx context.Context, _ rest.NoInput) (rest.List[TokenView], error) {
	c := rest.CallerOf(ctx)
	accounts, err := s.store.Accounts(ctx)
	if err != nil {
		return rest.List[TokenView]{}, err
	}
	names := map[string]string{}
	for _, a := range accounts {
		names[a.ID] = a.Name
	}
	rows, err := s.store.Tokens(ctx)
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

func (s *Server) addToken(ctx context.Context, q newTokenInput) (NewToken, error) {
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
	if !q.Body.ExpiresAt.IsZero() && q.Body.ExpiresAt.Before(s.now()) {
		return NewToken{}, rest.Invalid("expires_at", "the time has passed already")
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(q.Body.Scopes)))
	t, secret, err := makeToken(ctx, s.store, s.now(), c.Why(""), store.APIToken{
		Name: q.Body.Name, AccountID: c.Account.ID, Scopes: scopes, ExpiresAt: q.Body.ExpiresAt})
	return NewToken{tokenView(t, c.Account.Name), secret}, err
}

// grants reports whether the caller may hand out a scope: no token makes one
// that may do more than itself.
func grants(c rest.Caller, scope string) bool {
	return c.Token == "" || slices.Contains(c.Scopes, "admin") && scope != "metrics:write" || slices.Contains(c.Scopes, scope)
}

func makeToken(ctx context.Context, db *store.Store, now time.Time, why store.Why, t store.APIToken) (made store.APIToken, secret string, err error) {
	secret = newSecret(tokenPrefix)
	t.ID, t.Hash = ops.NewID(ops.TokenID), digest(secret)
	err = db.Tx(ctx, now, func(tx *store.Tx) error {
		t.CreatedAt = tx.Now()
		return tx.AddToken(ctx, t, why)
	})
	return t, secret, err
}

func (s *Server) deleteToken(ctx context.Context, q rest.ByID) (rest.None, error) {
	c := rest.CallerOf(ctx)
	all, err := s.store.Tokens(ctx)
	if err != nil {
		return rest.None{}, err
	}
	i := slices.IndexFunc(all, func(t store.APIToken) bool { return t.ID == q.ID })
	if i < 0 || c.Account.Role != store.Admin && all[i].AccountID != c.Account.ID {
		return rest.None{}, ops.Errorf(ops.NotFound, "there is no token %s", rest.Short(q.ID))
	}
	return rest.None{}, s.store.Tx(ctx, s.now(), func(tx *store.Tx) error { return tx.DeleteToken(ctx, q.ID, c.Why("")) })
}

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

// LocalToken writes the file in the data directory with which the command
// line on this machine reaches the server: whoever may read the database may
// use it. A file that still works is kept.
func LocalToken(ctx context.Context, db *store.Store, dataDir, url string, now time.Time) error {
	path := filepath.Join(dataDir, localFile)
	var client Client
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &client) == nil {
		if _, err := db.TokenByHash(ctx, digest(client.Token)); err == nil && client.URL == url {
			return os.Chmod(path, 0o600)
		}
	}
	account, err := localOf(ctx, db, now)
	if err != nil {
		return err
	}
	made, secret, err := makeToken(ctx, db, now, store.Why{Actor: "app"}, store.APIToken{
		Name: localFile, AccountID: account.ID, Scopes: []string{"admin", "metrics:write"}})
	if err != nil {
		return err
	}
	if err := writePrivate(path, Client{url, secret}); err != nil {
		return err
	}
	return dropOldLocal(ctx, db, now, account.ID, made.ID)
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

func dropOldLocal(ctx context.Context, db *store.Store, now time.Time, accountID, keep string) error {
	all, err := db.Tokens(ctx)
	if err != nil {
		return err
	}
	return db.Tx(ctx, now, func(tx *store.Tx) error {
		for _, t := range all {
			if t.AccountID == accountID && t.ID != keep && t.Name == localFile {
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
