package store_test

import (
	"strings"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func TestSealedSettingsLeaveTheirTextOutOfTheAudit(t *testing.T) {
	const sealed = "YWdlLWNhbmFyeQ=="
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do := func(f func(*store.Tx) error) error { return s.Tx(t.Context(), firstDay, f) }
		why := store.Why{Actor: "token:ci", OnBehalf: "user:ada"}
		for _, name := range []string{"openai", "hook.token", "openai"} {
			if err := do(func(tx *store.Tx) error { _, err := tx.SaveSealed(t.Context(), name, sealed, why); return err }); err != nil {
				t.Fatal(err)
			}
		}
		if err := do(func(tx *store.Tx) error { return tx.SetSetting(t.Context(), "secrets", "x", 0) }); err != nil {
			t.Fatal(err)
		}
		all, err := s.SealedSettings(t.Context())
		if err != nil || len(all) != 2 || all[0] != (ops.SealedSetting{Name: "hook.token", At: firstDay, By: "token:ci", Sealed: sealed}) || all[1].Name != "openai" {
			t.Fatalf("%+v %v", all, err)
		}
		for i, want := range []ops.ErrorKind{"", ops.NotFound} {
			if err := do(func(tx *store.Tx) error { return tx.DeleteSealed(t.Context(), "openai", why) }); err != nil && ops.KindOf(err) != want || i == 1 && err == nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		entries, err := s.Transitions(t.Context(), store.TransitionFilter{Object: "settings"})
		var verbs []string
		for _, e := range entries {
			verbs = append(verbs, e.Verb+" "+e.ObjectID)
			if e.Before+e.After+e.From+e.To != "" || len(e.Facts) > 0 || e.OnBehalf != "user:ada" {
				t.Errorf("%+v", e)
			}
		}
		if got := strings.Join(verbs, ", "); err != nil || got != "seal secret/openai, seal secret/hook.token, seal secret/openai, delete secret/openai" {
			t.Errorf("%s %v", got, err)
		}
		if all, err := s.SealedSettings(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("%+v %v", all, err)
		}
	})
}
