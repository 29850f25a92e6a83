package fleet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func contains(err error, says string) bool { return err != nil && strings.Contains(err.Error(), says) }

// each runs a test against a server on each database.
func each(t *testing.T, f func(t *testing.T, s *server)) {
	storetest.Each(t, func(t *testing.T, st *store.Store) { f(t, serve(t, st, t.TempDir()).onTCP()) })
}

func TestATokenCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		token := s.add("web1")
		if err := newAgent(t, "b").join(s, token); err != nil {
			t.Fatal(err)
		}
		if h := s.host("web1"); h.State != ops.HostOnline || h.KeyID == "" || h.CertUntil.IsZero() {
			t.Errorf("%+v", h)
		}
		refused(t, newAgent(t, "b").join(s, token), ops.Forbidden, "the token was used at")
		refused(t, newAgent(t, "b").join(s, "rvj_unknown"), ops.Forbidden, "the token is not known")
		refused(t, newAgent(t, "b").join(s, "unknown"), ops.Invalid, "lacks the token")
	})
}

func TestATokenEndsAfterAnHour(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		_, made, err := s.fleet.Add(t.Context(), fleet.Invite{Name: "web1"}, admin)
		if err != nil || made.ExpiresAt.Sub(made.CreatedAt) != time.Hour {
			t.Fatalf("%+v, %v", made, err)
		}
		now, err := s.store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const token = "rvj_of-an-hour-ago"
		sum := sha256.Sum256([]byte(token))
		made.ID, made.ExpiresAt = ops.NewID(ops.InviteID), now.Add(-time.Millisecond)
		err = s.store.Tx(t.Context(), now, func(tx *store.Tx) error {
			return tx.AddInvitation(t.Context(), made, hex.EncodeToString(sum[:]), admin)
		})
		if err != nil {
			t.Fatal(err)
		}
		refused(t, newAgent(t, "b").join(s, token), ops.Forbidden, "the token expired at")
	})
}

func TestOnlyTheNewestTokenOfANameCounts(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		old, token := s.add("web1"), s.add("web1")
		refused(t, newAgent(t, "b").join(s, old), ops.Forbidden, "the token is not known")
		if err := newAgent(t, "b").join(s, token); err != nil {
			t.Fatal(err)
		}
	})
}

func TestATokenIsStoredAsItsHashOnly(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, storetest.Open(t, "sqlite:"+filepath.Join(dir, "reeve.db")), t.TempDir()).onTCP()
	token := s.add("web1")
	if err := newAgent(t, "b").join(s, token); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token))
	var all []byte
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if bytes.Contains(all, []byte(token)) || bytes.Contains(all, []byte(strings.TrimPrefix(token, "rvj_"))) {
		t.Error("the token is in the database")
	}
	if !bytes.Contains(all, []byte(hex.EncodeToString(sum[:]))) {
		t.Error("its hash is not: the test looks at the wrong files")
	}
	if bytes.Contains(all, []byte("PRIVATE KEY")) {
		t.Error("the authority's key is in the database as text")
	}
}

func TestOfManyThatUseATokenAtOnceOneWins(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		token := s.add("web1")
		const many = 6
		errs := make([]error, many)
		var wg sync.WaitGroup
		for i := range many {
			a := newAgent(t, "b")
			wg.Go(func() { errs[i] = a.join(s, token) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			refused(t, err, ops.Forbidden, "the token was used at")
		}
		if hosts, err := s.store.Hosts(t.Context(), true); won != 1 || len(hosts) != 1 || err != nil {
			t.Errorf("%d won, %d hosts, %v", won, len(hosts), err)
		}
	})
}

func TestWhoMayJoinUnderWhichName(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		web, db := s.joined("web1", "b1"), s.joined("db1", "b1")
		other := newAgent(t, "b1")
		token := s.add("web1")
		refused(t, other.join(s, token), ops.Conflict, "web1 is known as another machine")
		refused(t, db.join(s, token), ops.Conflict, "this machine is known as db1")
		refused(t, db.join(s, s.add("db2")), ops.Conflict, "this machine is known as db1")

		// Who was refused did not spend the token.
		before := s.host("web1").KeyID
		web = &agent{t: t, key: other.key, id: web.id}
		if err := web.join(s, token); err != nil {
			t.Fatal(err)
		}
		if h := s.host("web1"); h.ID != web.id.Key || h.KeyID == before || h.Name != "web1" {
			t.Errorf("joined again: %+v", h)
		}
		if _, _, err := s.fleet.Add(t.Context(), fleet.Invite{Name: "../etc"}, admin); ops.KindOf(err) != ops.Invalid {
			t.Error(err)
		}
	})
}

func TestARemovedHostIsATombstoneAndItsNameIsFree(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		conn := a.online(s)
		if _, err := s.fleet.Remove(t.Context(), "web1", admin); err != nil {
			t.Fatal(err)
		}
		<-conn.Done()
		_, _, err := a.connect(s)
		refused(t, err, ops.Forbidden, "the host was removed")
		token := s.add("web1")
		refused(t, a.join(s, token), ops.NotFound, "it can join as a new one")
		if err := newAgent(t, "b1").join(s, token); err != nil {
			t.Fatal(err)
		}
		hosts, err := s.store.Hosts(t.Context(), true)
		states := []ops.HostState{}
		for _, h := range hosts {
			states = append(states, h.State)
		}
		if err != nil || len(hosts) != 2 || !slices.Contains(states, ops.HostRemoved) || s.host("web1").State != ops.HostOnline {
			t.Errorf("%+v, %v", hosts, err)
		}
		if _, err := s.fleet.Maintain(t.Context(), a.id.Key, time.Now().Add(time.Hour), admin); ops.KindOf(err) != ops.Conflict {
			t.Errorf("a tombstone moved: %v", err)
		}
	})
}

func TestAnInvitationCanBeWithdrawn(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		token, made, err := s.fleet.Add(t.Context(), fleet.Invite{Name: "web1"}, admin)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.fleet.Withdraw(t.Context(), made.ID, admin); err != nil {
			t.Fatal(err)
		}
		refused(t, newAgent(t, "b").join(s, token), ops.Forbidden, "the token is not known")
		if err := s.fleet.Withdraw(t.Context(), made.ID, admin); ops.KindOf(err) != ops.NotFound {
			t.Error(err)
		}
	})
}

func TestTheAuthoritySurvivesARestartAndOthersCannotOpenIt(t *testing.T) {
	st, keys := storetest.SQLite(t), t.TempDir()
	first := serve(t, st, keys)
	again := serve(t, st, keys)
	if first.fleet.Fingerprint() != again.fleet.Fingerprint() {
		t.Error("a restart made another authority")
	}
	o := fleet.Options{Log: quiet, Store: st, Server: "x"}
	o.Seal = func(string, string) (string, error) { return "", context.Canceled }
	o.Open = func(string, string) (string, error) { return "", context.Canceled }
	if _, err := fleet.New(t.Context(), o); err == nil {
		t.Error("an authority that cannot be opened was replaced")
	}
}

func TestAHostThatJoinsAgainKeepsItsPace(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := newAgent(t, "b1")
		again := func(in fleet.Invite) error {
			in.Name = "boat"
			token, _, err := s.fleet.Add(t.Context(), in, admin)
			if err == nil {
				err = a.join(s, token)
			}
			return err
		}
		for _, in := range []fleet.Invite{{Heartbeat: time.Minute, Grace: 15 * time.Minute, BytesPerS: 20_000}, {}, {BytesPerS: 30_000}} {
			if err := again(in); err != nil {
				t.Fatal(err)
			}
		}
		if h := s.host("boat"); h.Beat() != time.Minute || h.Grace() != 15*time.Minute || h.BytesPerS != 30_000 {
			t.Errorf("beat %v, grace %v, cap %d", h.Beat(), h.Grace(), h.BytesPerS)
		}
		if err := again(fleet.Invite{BytesPerS: ops.Unset}); err != nil || s.host("boat").BytesPerS != 0 || s.host("boat").Beat() != time.Minute {
			t.Errorf("its cap is %d: %v", s.host("boat").BytesPerS, err)
		}
		refused(t, again(fleet.Invite{Heartbeat: 10 * time.Minute}), ops.Invalid, "the grace is at least two heartbeats, so give both")
		refused(t, again(fleet.Invite{Grace: time.Minute}), ops.Invalid, "the grace is at least two heartbeats, so give both")
		refused(t, again(fleet.Invite{Grace: ops.Unset * time.Millisecond, Heartbeat: 2 * time.Hour}), ops.Invalid, "5 s to 1 h")
		err := again(fleet.Invite{Heartbeat: ops.Unset * time.Millisecond, Grace: ops.Unset * time.Millisecond})
		if h := s.host("boat"); err != nil || h.Beat() != ops.HeartbeatEvery || h.Grace() != ops.SilenceGrace {
			t.Errorf("beat %v, grace %v: %v", h.Beat(), h.Grace(), err)
		}
	})
}

func TestALineForAHostThatWasRemovedSinceSaysSo(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		token := s.add("web1")
		if _, err := s.fleet.Remove(t.Context(), "web1", admin); err != nil {
			t.Fatal(err)
		}
		for _, who := range []*agent{a, newAgent(t, "b1")} {
			refused(t, who.join(s, token), ops.Conflict, "web1 was removed after this line was made: ask for a new one, `reeve host add web1`")
		}
		if err := newAgent(t, "b1").join(s, s.add("web1")); err != nil {
			t.Error(err)
		}
	})
}
