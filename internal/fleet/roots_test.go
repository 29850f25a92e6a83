package fleet_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func TestAgentsLearnTheNextAuthorityBeforeItSigns(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		here, away := s.joined("here", "b1"), s.joined("away", "b1")
		conn := here.online(s)
		first := s.fleet.Fingerprint()
		if _, err := s.fleet.Rotate(t.Context(), true, false, admin); ops.KindOf(err) != ops.Conflict {
			t.Errorf("finished what was not begun: %v", err)
		}
		a, err := s.fleet.Rotate(t.Context(), false, false, admin)
		if err != nil || a.Fingerprint != first || a.Next == "" || len(a.Waiting) != 2 {
			t.Fatalf("%+v, %v", a, err)
		}
		if _, err := s.fleet.Rotate(t.Context(), false, false, admin); ops.KindOf(err) != ops.Conflict {
			t.Errorf("began twice: %v", err)
		}

		// The connected agent learns by its heartbeat, and says so.
		beat, err := conn.Up.Heartbeat(t.Context(), &linkpb.HeartbeatRequest{})
		if err != nil || len(beat.GetTrust()) != 2 {
			t.Fatalf("%d authorities, %v", len(beat.GetTrust()), err)
		}
		if err := here.learn(beat.GetTrust()); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Up.Hello(t.Context(), here.hello()); err != nil {
			t.Fatal(err)
		}
		_, err = s.fleet.Rotate(t.Context(), true, false, admin)
		refused(t, err, ops.Conflict, "1 hosts do not trust the next authority yet, among them away")

		// The other one is away while a person finishes all the same.
		b, err := s.fleet.Rotate(t.Context(), true, true, admin)
		if err != nil || b.Fingerprint != a.Next || b.Before != first || b.Next != "" {
			t.Fatalf("%+v, %v", b, err)
		}
		if len(away.trust) != 1 || pki.Fingerprint(away.trust[0]) != first {
			t.Fatal("the test is wrong: the agent knows the next one")
		}
		back, hello, err := away.connect(s)
		if err != nil || len(hello.GetTrust()) != 2 {
			t.Fatalf("an agent that was away: %v", err)
		}
		renewed(t, back, away)
		if issuer := away.cert.Leaf.CheckSignatureFrom(away.trust[0]); issuer != nil {
			t.Errorf("it was not signed by the new authority: %v", issuer)
		}
		away.online(s)
		here.online(s)
		s.joined("new", "b1").online(s)
	})
}

// onPipes lets agents in within fake time.
func (s *server) onPipes() *server {
	s.open = func() (net.Conn, error) {
		near, far := net.Pipe()
		go s.fleet.Link().Serve(far, "pipe") // ends with the pipe
		return near, nil
	}
	return s
}

// rotated replaces the authority without force while an agent is connected.
func (s *server) rotated(a *agent) {
	s.t.Helper()
	for _, finish := range []bool{false, true} {
		if _, err := s.fleet.Rotate(context.Background(), finish, false, admin); err != nil {
			s.t.Fatal(err)
		}
		a.online(s).Close() // learns
		a.online(s).Close() // and says so
	}
}

// TestRotationsWaitForCertificatesOfTheAuthorityBefore: with a second one its
// hosts would be lost.
func TestRotationsWaitForCertificatesOfTheAuthorityBefore(t *testing.T) {
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, storetest.SQLite(t), t.TempDir()).onPipes()
		defer s.close()
		a, revoked := s.joined("web1", "b1"), s.joined("old", "b1")
		revoked.online(s).Close()
		if _, err := s.fleet.Revoke(t.Context(), "old", admin); err != nil {
			t.Fatal(err)
		}
		s.rotated(a)
		time.Sleep(time.Hour)
		_, err := s.fleet.Rotate(t.Context(), false, false, admin)
		refused(t, err, ops.Conflict, "1 hosts may still hold certificates of the authority before, which count until 2000-01-08T00:02:00Z")
		if _, err := s.fleet.Rotate(t.Context(), false, true, admin); err != nil {
			t.Errorf("with force: %v", err)
		}
		a.online(s).Close()
		a.online(s).Close()
		_, err = s.fleet.Rotate(t.Context(), true, false, admin)
		refused(t, err, ops.Conflict, "1 hosts may still hold certificates")
		conn := a.online(s)
		renewed(t, conn, a)
		conn.Close()
		if _, err := s.fleet.Rotate(t.Context(), true, false, admin); err != nil {
			t.Errorf("when all have renewed: %v", err)
		}
		a.online(s).Close()
	})
}

func TestTheAuthorityBeforeCountsAsLongAsWhatItSignedWhenCertificatesLastedLonger(t *testing.T) {
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		st, keys := storetest.SQLite(t), t.TempDir()
		life := func(d time.Duration) func(*fleet.Options) { return func(o *fleet.Options) { o.CertLife = d } }
		s := serve(t, st, keys, life(30*24*time.Hour)).onPipes()
		a := s.joined("web1", "b1")
		s.close()
		s = serve(t, st, keys, life(time.Hour)).onPipes()
		defer s.close()
		s.rotated(a)
		time.Sleep(2 * time.Hour)
		s.run("fleet_authority")
		a.online(s).Close()
	})
}

// renewed lets an agent renew its certificate.
func renewed(t *testing.T, conn *link.Conn, a *agent) {
	t.Helper()
	request, err := pki.Request(a.key, a.id.Key)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := conn.Up.Renew(t.Context(), &linkpb.RenewRequest{Request: request})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.keep(answer.GetCertificate(), answer.GetTrust()); err != nil {
		t.Fatal(err)
	}
}

func TestARotationReachesTheOtherServers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		keys := t.TempDir()
		s, other := serve(t, st, keys).onTCP(), serve(t, st, keys).onTCP()
		a := s.joined("web1", "b1")
		if _, err := s.fleet.Rotate(t.Context(), false, false, admin); err != nil {
			t.Fatal(err)
		}
		if _, err := other.fleet.Rotate(t.Context(), true, true, admin); err != nil {
			t.Fatal(err)
		}
		s.run("fleet_authority")
		one, err := s.fleet.Authority(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		two, err := other.fleet.Authority(t.Context())
		if err != nil || one.Fingerprint != two.Fingerprint || one.Before != two.Before {
			t.Errorf("%+v, %+v, %v", one, two, err)
		}
		a.online(s)
		a.online(other)
	})
}

// TestTheAuthorityBeforeCountsUntilItsLastCertificatesEnd lets a week go by.
func TestTheAuthorityBeforeCountsUntilItsLastCertificatesEnd(t *testing.T) {
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, storetest.SQLite(t), t.TempDir()).onPipes()
		defer s.close()
		here, away := s.joined("here", "b1"), s.joined("away", "b1")
		first := s.fleet.Fingerprint()
		for _, finish := range []bool{false, true} {
			if _, err := s.fleet.Rotate(t.Context(), finish, true, admin); err != nil {
				t.Fatal(err)
			}
		}
		look := func(a *agent) error { // connects and goes, learning nothing
			conn, err := a.dial(s)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Up.Hello(t.Context(), a.hello())
			return err
		}
		renew := func(a *agent) {
			conn := a.online(s)
			defer conn.Close()
			renewed(t, conn, a)
		}
		renew(here)
		time.Sleep(6 * 24 * time.Hour)
		s.run("fleet_authority")
		if err := look(away); err != nil {
			t.Errorf("away for six days: %v", err)
		}
		renew(here)
		time.Sleep(2 * 24 * time.Hour)
		s.run("fleet_authority")
		a, err := s.fleet.Authority(t.Context())
		if err != nil || a.Before != "" || s.fleet.Fingerprint() == first || s.fleet.Fingerprint() != a.Fingerprint {
			t.Errorf("%+v, %v", a, err)
		}
		if err := look(here); err != nil {
			t.Errorf("with a certificate of the new one: %v", err)
		}
		if err := look(away); ops.KindOf(err) != ops.Forbidden {
			t.Errorf("away for eight days: %v", err)
		}
		if err := newAgent(t, "b1").joinPinned(s, s.add("late"), first); ops.KindOf(err) != ops.Forbidden {
			t.Errorf("joined by the fingerprint before: %v", err)
		}
		s.joined("new", "b1")
	})
}
