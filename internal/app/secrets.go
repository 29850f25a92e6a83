package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"reeve/internal/config"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/secret"
	"reeve/internal/store"
)

// openSecrets reads the sealed settings. They are opened where the
// configuration names them, once; one that cannot be opened stops only what
// needs it, because the server must run for a person to seal it anew.
func (s *Server) openSecrets(ctx context.Context) error {
	rows, err := s.store.SealedSettings(ctx)
	s.keeper = secret.New(s.config.Data)
	s.sealed = opener(s.keeper, rows)
	return err
}

// opener opens sealed settings as they were stored at one time. An error that
// a start may pass over is Unavailable.
func opener(keeper *secret.Keeper, rows []ops.SealedSetting) notify.Opener {
	return func(name string) (string, error) {
		if err := secret.CheckName(name); err != nil {
			return "", err
		}
		i := slices.IndexFunc(rows, func(r ops.SealedSetting) bool { return r.Name == name })
		if i < 0 {
			return "", noSecret(ops.Unavailable, name, rows)
		}
		return keeper.Open(name, rows[i].Sealed)
	}
}

// noSecret says that a sealed setting is not there, and which is meant.
func noSecret(kind ops.ErrorKind, name string, rows []ops.SealedSetting) error {
	var known []string
	for _, r := range rows {
		known = append(known, r.Name)
	}
	hint := "; `reeve secret set " + name + "` seals it"
	if near := config.Nearest(name, known); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return ops.Errorf(kind, "there is no sealed setting %q%s", name, hint)
}

// unopened is the Opener of a check of the configuration, which opens no
// database: a name is as much as it can look at.
func unopened(name string) (string, error) {
	if err := secret.CheckName(name); err != nil {
		return "", err
	}
	return "", ops.Errorf(ops.Unavailable, "the sealed setting %s is opened only at a start", name)
}

// seal seals a setting for the next start.
func (s *Server) seal(ctx context.Context, name, value string, why store.Why) (row ops.SealedSetting, err error) {
	sealed, err := s.keeper.Seal(name, value)
	if err != nil {
		return row, err
	}
	err = s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		row, err = tx.SaveSealed(ctx, name, sealed, why)
		return err
	})
	row.Note = "name it as sealed:" + row.Name + " in the configuration; Reeve reads it when it starts again"
	return row, err
}

func (s *Server) deleteSecret(ctx context.Context, name string, why store.Why) error {
	return s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		err := tx.DeleteSealed(ctx, name, why)
		if ops.KindOf(err) != ops.NotFound {
			return err
		}
		rows, err := tx.SealedSettings(ctx)
		if err != nil {
			return err
		}
		return noSecret(ops.NotFound, strings.ToValidUTF8(name, ""), rows)
	})
}
