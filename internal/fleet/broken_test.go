package fleet_test

import (
	"context"
	"testing"

	"reeve/internal/fleet"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// TestAServerGoesOnWithoutTheFileThatOpensItsAuthority: a database that was
// restored on another machine must start there, and say what is missing.
func TestAServerGoesOnWithoutTheFileThatOpensItsAuthority(t *testing.T) {
	st := storetest.SQLite(t)
	before := serve(t, st, t.TempDir()).fleet.Fingerprint()
	s := serve(t, st, t.TempDir(), func(o *fleet.Options) { o.Alone = true })
	a, err := s.fleet.Authority(t.Context())
	if err != nil || a.Problem == "" {
		t.Fatalf("it does not say that the authority cannot be opened: %+v, %v", a, err)
	}
	why := store.Why{Actor: "user:anna"}
	if _, _, err := s.fleet.Add(t.Context(), fleet.Invite{Name: "web1"}, why); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("a host is invited that could not be let in: %v", err)
	}
	if _, err := s.fleet.Rotate(t.Context(), false, false, why); ops.KindOf(err) != ops.Conflict {
		t.Errorf("the authority was replaced without force: %v", err)
	}
	if a, err = s.fleet.Rotate(t.Context(), false, true, why); err != nil || a.Problem != "" || a.Fingerprint == before {
		t.Fatalf("with force: %+v, %v", a, err)
	}
	if _, _, err := s.fleet.Add(context.Background(), fleet.Invite{Name: "web1"}, why); err != nil {
		t.Errorf("after it: %v", err)
	}
}
