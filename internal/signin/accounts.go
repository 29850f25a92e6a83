package signin

import (
	"context"
	"regexp"
	"slices"
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

func (in *SignIn) users(ctx context.Context, _ rest.NoInput) (rest.List[UserView], error) {
	accounts, err := in.store.Accounts(ctx)
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

func (in *SignIn) addUser(ctx context.Context, q newUserInput) (UserView, error) {
	if len(q.Body.Name) > maxNameBytes || !userName.MatchString(q.Body.Name) {
		return UserView{}, rest.Invalid("name", "a name has letters, digits and . _ @ + -, and begins with a letter or digit")
	}
	if err := checkPassword(q.Body.Password); err != nil {
		return UserView{}, err
	}
	hash, err := in.hashers.hash(ctx, q.Body.Password)
	if err != nil {
		return UserView{}, err
	}
	a := store.Account{ID: ops.NewID(ops.UserID), Name: q.Body.Name, Role: q.Body.Role, Password: hash}
	err = in.store.Tx(ctx, in.now(), func(tx *store.Tx) error {
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

func (in *SignIn) changeUser(ctx context.Context, q changeUserInput) (UserView, error) {
	hash := ""
	if q.Body.Password != "" {
		if err := checkPassword(q.Body.Password); err != nil {
			return UserView{}, err
		}
		var err error
		if hash, err = in.hashers.hash(ctx, q.Body.Password); err != nil {
			return UserView{}, err
		}
	}
	var a store.Account
	err := in.store.Tx(ctx, in.now(), func(tx *store.Tx) (err error) {
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

func (in *SignIn) deleteUser(ctx context.Context, q rest.ByID) (rest.None, error) {
	return rest.None{}, in.store.Tx(ctx, in.now(), func(tx *store.Tx) error {
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
