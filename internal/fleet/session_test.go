package fleet_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func TestNothingIsHeardBeforeTheHello(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		conn, err := a.dial(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Up.Heartbeat(t.Context(), &linkpb.HeartbeatRequest{})
		refused(t, link.FromWire(err), ops.Forbidden, "has not said hello")
		_, err = send(conn, a.report(1))
		refused(t, err, ops.Forbidden, "has not said hello")
		hello := a.hello()
		hello.Protocols = []uint32{99}
		_, err = conn.Up.Hello(t.Context(), hello)
		refused(t, link.FromWire(err), ops.Invalid, "bring the older of the two up to date")
		if s.fleet.Connected() != 0 || len(s.reports()) != 0 {
			t.Errorf("%d connected, %d reports", s.fleet.Connected(), len(s.reports()))
		}
	})
}

func TestARevocationEndsTheConnectionAndSaysWhyAfter(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		conn := a.online(s)
		if h, err := s.fleet.Revoke(t.Context(), "web1", admin); err != nil || h.State != ops.HostPending {
			t.Fatalf("%+v, %v", h, err)
		}
		<-conn.Done()
		_, _, err := a.connect(s)
		refused(t, err, ops.Forbidden, "the certificate of the host was revoked; ask for a line to join again: `reeve host add web1`")
		if err := a.join(s, s.add("web1")); err != nil {
			t.Fatal(err)
		}
		a.online(s)
	})
}

func TestARevocationAtAnotherServerEndsTheConnectionToo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		keys := t.TempDir()
		s, other := serve(t, st, keys).onTCP(), serve(t, st, keys)
		conn := s.joined("web1", "b1").online(s)
		if _, err := other.fleet.Revoke(t.Context(), "web1", admin); err != nil {
			t.Fatal(err)
		}
		s.run("fleet_clocks")
		<-conn.Done()
	})
}

func TestJoiningAgainEndsTheConnectionWithTheCertificateBefore(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		old := a.copied("b1")
		conn := old.online(s)
		key, err := pki.NewHostKey()
		if err != nil {
			t.Fatal(err)
		}
		a.key = key
		if err := a.join(s, s.add("web1")); err != nil {
			t.Fatal(err)
		}
		<-conn.Done()
		_, _, err = old.connect(s)
		refused(t, err, ops.Forbidden, "was revoked")
		a.online(s)
	})
}

func TestACertificateIsRenewedForItsOwnKeyOnly(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		conn := a.online(s)
		request, err := pki.Request(a.key, a.id.Key)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := conn.Up.Renew(t.Context(), &linkpb.RenewRequest{Request: request})
		if err != nil {
			t.Fatal(err)
		}
		serial := a.cert.Leaf.SerialNumber
		if err := a.keep(answer.GetCertificate(), answer.GetTrust()); err != nil {
			t.Fatal(err)
		}
		if a.cert.Leaf.SerialNumber.Cmp(serial) == 0 || a.cert.Leaf.Subject.CommonName != a.id.Key {
			t.Errorf("renewed: %+v", a.cert.Leaf.Subject)
		}
		a.online(s)

		other, err := pki.NewHostKey()
		if err != nil {
			t.Fatal(err)
		}
		if request, err = pki.Request(other, a.id.Key); err != nil {
			t.Fatal(err)
		}
		conn = a.online(s)
		_, err = conn.Up.Renew(t.Context(), &linkpb.RenewRequest{Request: request})
		refused(t, link.FromWire(err), ops.Forbidden, "for the key that the host joined with")
		_, err = conn.Up.Renew(t.Context(), &linkpb.RenewRequest{Request: []byte("no request")})
		refused(t, link.FromWire(err), ops.Invalid, "cannot be read")
	})
}

func TestTheNewerConnectionReplacesTheOlder(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		first := a.online(s)
		second := a.copied("b1").online(s)
		<-first.Done()
		if _, err := second.Up.Heartbeat(t.Context(), &linkpb.HeartbeatRequest{NowMs: a.now()}); err != nil || s.fleet.Connected() != 1 {
			t.Errorf("%d connected, %v", s.fleet.Connected(), err)
		}
	})
}

func TestAReportCountsOnceOverAnyConnection(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		conn := a.online(s)
		for _, x := range []struct {
			number    int64
			duplicate bool
		}{{7, false}, {7, true}, {6, true}, {8, false}} {
			if duplicate, err := send(conn, a.report(x.number)); err != nil || duplicate != x.duplicate {
				t.Errorf("report %d: duplicate %v, %v", x.number, duplicate, err)
			}
		}
		// Nothing of it is written yet, and the connection is a new one.
		next, hello, err := a.connect(s)
		if err != nil || hello.GetSequence() != 8 {
			t.Fatalf("%+v, %v", hello, err)
		}
		if duplicate, err := send(next, a.report(8)); err != nil || !duplicate {
			t.Errorf("again on another connection: duplicate %v, %v", duplicate, err)
		}
		if got := s.reports(); len(got) != 2 || got[0].Sequence != 7 || got[1].Sequence != 8 {
			t.Errorf("%+v", got)
		}
		s.run("fleet_clocks")
		if h := s.host("web1"); h.Sequence != 8 || h.ReportAt.IsZero() {
			t.Errorf("%+v", h)
		}
	})
}

func TestAReportThatComesAgainWhileItIsTakenInCountsOnce(t *testing.T) {
	s := serve(t, storetest.SQLite(t), t.TempDir()).onTCP()
	s.busy = make(chan struct{})
	a := s.joined("web1", "b1")
	conn := a.online(s)
	var wg sync.WaitGroup
	fresh := make(chan bool, 4)
	for range cap(fresh) {
		wg.Go(func() {
			duplicate, err := send(conn, a.report(1))
			if err != nil {
				t.Error(err)
			}
			fresh <- !duplicate
		})
	}
	close(s.busy)
	wg.Wait()
	close(fresh)
	taken := 0
	for x := range fresh {
		if x {
			taken++
		}
	}
	if taken != 1 || len(s.reports()) != 1 {
		t.Errorf("taken %d times, %d reports", taken, len(s.reports()))
	}
}

func TestAnAgentSpeaksOfItsOwnHostOnly(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a, b := s.joined("web1", "b1"), s.joined("db1", "b1")
		_, err := send(a.online(s), b.report(1))
		refused(t, err, ops.Forbidden, "speaks of its own host only")
		if len(s.reports()) != 0 {
			t.Error("it was taken in")
		}
	})
}

func TestAWrongClockIsSetRightAndShown(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				a := s.joined("web1", "b1")
				a.skew = skew
				conn := a.online(s)
				if _, err := send(conn, a.report(1)); err != nil {
					t.Fatal(err)
				}
				r := s.reports()[0]
				now, o := time.Now(), r.Observations[0]
				for what, at := range map[string]time.Time{"report": r.At, "observation": o.Started, "sample": o.Samples[0].At, "event": o.Events[0].At} {
					if off := now.Sub(at).Abs(); off > time.Minute {
						t.Errorf("the %s is off by %v", what, off)
					}
				}
				if r.Host.Name != "web1" {
					t.Errorf("the host is called %q", r.Host.Name)
				}
				said, ok := r.Observations[1].Sightings[0].Observed.Number("clock_skew_seconds")
				if !ok || (time.Duration(said)*time.Second-skew).Abs() > time.Minute {
					t.Errorf("people are shown a difference of %v s", said)
				}
				s.run("fleet_clocks")
				if h := s.host("web1"); (time.Duration(h.SkewMS)*time.Millisecond - skew).Abs() > time.Minute {
					t.Errorf("stored: %d ms", h.SkewMS)
				}
			})
		})
	}
}

func TestTheCommandDirectionIsProven(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		a.online(s)
		s.run("fleet_proof", "fleet_clocks")
		if h := s.host("web1"); h.ProofAt.IsZero() || h.HeartbeatAt.IsZero() {
			t.Errorf("%+v", h)
		}
	})
}

func TestWhatIsStoredIsNotCurrentAfterAStart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		keys := t.TempDir()
		as := func(o *fleet.Options) { o.Server = "srv_a" }
		s := serve(t, st, keys, as).onTCP()
		a := s.joined("web1", "b1")
		if _, err := send(a.online(s), a.report(1)); err != nil {
			t.Fatal(err)
		}
		s.run("fleet_clocks", "fleet_monitor")
		if noted, err := quietHosts(t.Context(), st); err != nil || len(noted) != 0 {
			t.Fatalf("while it reports: %v, %v", noted, err)
		}
		s.close()
		again := serve(t, st, keys, as)
		if noted, err := quietHosts(t.Context(), st); err != nil || !noted[a.id.Key] {
			t.Errorf("at the next start: %v, %v", noted, err)
		}
		again.close()
	})
}

func TestSettingsAreToldWhenTheyChange(t *testing.T) {
	settings := `{"collectors":{}}`
	var mu sync.Mutex
	s := serve(t, storetest.SQLite(t), t.TempDir(), func(o *fleet.Options) {
		o.Settings = func(ops.Host) []byte {
			mu.Lock()
			defer mu.Unlock()
			return []byte(settings)
		}
	}).onTCP()
	conn, hello, err := s.joined("web1", "b1").connect(s)
	if err != nil || string(hello.GetSettings()) != settings {
		t.Fatalf("%+v, %v", hello, err)
	}
	beat := func() string {
		answer, err := conn.Up.Heartbeat(context.Background(), &linkpb.HeartbeatRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return string(answer.GetSettings())
	}
	if got := beat(); got != "" {
		t.Errorf("told again: %s", got)
	}
	mu.Lock()
	settings = `{"collectors":{"cpu":{"every_ms":5000}}}`
	mu.Unlock()
	if got := beat(); got != settings {
		t.Errorf("told %q", got)
	}
}

// TestAnIdentityIsOneMachine: what comes with the key of a host that is not
// that host is refused, shown, and nothing of it is merged.
func TestAnIdentityIsOneMachine(t *testing.T) {
	const conflict = "another machine has the identity of this one"
	for name, x := range map[string]struct {
		first, then []string // marks of the machine
		boot        string
		away        bool // the first is not connected when the other comes
		says        string
	}{
		"it was rebooted":                                {first: []string{"mac:1", "mac:2"}, then: []string{"mac:2"}, boot: "b2", away: true},
		"it was rebooted and marks cannot be read":       {boot: "b2", away: true},
		"its agent was started again":                    {first: []string{"mac:1"}, then: []string{"mac:1"}, boot: "b1"},
		"its disk was copied to another machine":         {first: []string{"mac:1"}, then: []string{"mac:9"}, boot: "b2", away: true, says: "nothing of its hardware"},
		"a second machine comes while the first answers": {first: []string{"mac:1"}, then: []string{"mac:1"}, boot: "b2", says: "a second machine came"},
		"a second machine without marks comes":           {boot: "b2", says: "a second machine came"},
		"it was copied while it ran":                     {first: []string{"mac:1", "product_uuid:1"}, then: []string{"mac:2", "product_uuid:2"}, boot: "b1", says: "nothing of its hardware"},
		"a second machine does not tell its boot":        {first: []string{"mac:1"}, then: []string{"mac:2"}, says: "nothing of its hardware"},
		"its agent cannot read its marks any more":       {first: []string{"mac:1"}, boot: "b1"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				a := s.joined("web1", "b1", x.first...)
				conn := a.online(s)
				if x.away {
					conn.Close()
					<-conn.Done()
					for s.fleet.Connected() > 0 {
						s.run("fleet_proof") // asks, and so notices that it is gone
					}
				}
				second, _, err := a.copied(x.boot, x.then...).connect(s)
				h := s.host("web1")
				if x.says == "" {
					if err != nil || h.Conflict != "" || h.BootID != x.boot {
						t.Fatalf("%+v, %v", h, err)
					}
					second.Close()
					return
				}
				refused(t, err, ops.Conflict, conflict)
				refused(t, err, ops.Conflict, x.says)
				if !contains(ops.Errorf(ops.Conflict, "%s", h.Conflict), x.says) || h.ConflictAt.IsZero() || h.BootID != "b1" {
					t.Errorf("%+v", h)
				}
			})
		})
	}
}

func TestMachinesThatTakeTurnsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1")
		if _, err := s.fleet.AcceptMachine(t.Context(), "web1", admin); err != nil {
			t.Fatal(err)
		}
		for _, boot := range []string{"b1", "b2"} { // nobody of them is connected when the other comes
			conn := a.copied(boot).online(s)
			conn.Close()
			for s.fleet.Connected() > 0 {
				s.run("fleet_proof")
			}
		}
		_, _, err := a.copied("b1").connect(s)
		refused(t, err, ops.Conflict, "two machines take turns with one key")
	})
}

func TestAReplacedMachineIsAcceptedByAPerson(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		a := s.joined("web1", "b1", "mac:1")
		conn := a.online(s)
		replaced := a.copied("b2", "mac:9")
		_, _, err := replaced.connect(s)
		refused(t, err, ops.Conflict, "`reeve host accept web1`")
		if _, err := s.fleet.AcceptMachine(t.Context(), "web1", admin); err != nil {
			t.Fatal(err)
		}
		<-conn.Done()
		replaced.online(s)
		h := s.host("web1")
		if h.Conflict != "" || h.BootID != "b2" || len(h.Machine) != 1 || h.Machine[0] != "mac:9" {
			t.Errorf("%+v", h)
		}
		_, _, err = a.connect(s)
		refused(t, err, ops.Conflict, "another machine came with the key")
	})
}

// quietHosts answers which hosts are noted as quiet.
func quietHosts(ctx context.Context, st *store.Store) (map[string]bool, error) {
	hosts, quiet, err := st.HostsToJudge(ctx)
	noted := map[string]bool{}
	for i, h := range hosts {
		if quiet[i] {
			noted[h.ID] = true
		}
	}
	return noted, err
}
