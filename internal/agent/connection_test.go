package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
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

// inFakeTime runs a test with a server and an agent that joined it over pipes.
func inFakeTime(t *testing.T, invite fleet.Invite, change func(*fleet.Options), f func(t *testing.T, s *testServer, a *Agent)) {
	// What a test outside left in the pools of the library must not come in.
	empty := func() { runtime.GC(); runtime.GC() }
	empty()
	defer empty()
	synctest.Test(t, func(t *testing.T) {
		s := &testServer{t: t, store: storetest.SQLite(t), keys: t.TempDir(), came: make(chan struct{}, 1000)}
		s.open(change)
		a := s.joinedOverPipe(invite)
		f(t, s, a)
		if err := s.fleet.Close(context.Background()); err != nil {
			t.Error(err)
		}
		s.group.Wait()
		a.Close()
	})
}

// pipe opens a way to the server.
func (s *testServer) pipe() net.Conn {
	near, far := net.Pipe()
	s.group.Go(func() { s.fleet.Link().Serve(far, "pipe") })
	return near
}

func (s *testServer) joinedOverPipe(invite fleet.Invite) *Agent {
	s.t.Helper()
	token, _, err := s.fleet.Add(context.Background(), invite, store.Why{Actor: "user:ada"})
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := pki.NewHostKey()
	if err != nil {
		s.t.Fatal(err)
	}
	o, id := recorded(s.t), ops.HostIdentity{Key: ops.NewID(ops.HostID), BootID: "boot-1"}
	request, err := pki.Request(key, id.Key)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := link.Dialer{Now: time.Now}.EnrolOver(context.Background(), s.pipe(), s.fleet.Fingerprint(),
		&linkpb.EnrolRequest{Token: token, Request: request, Host: link.PackHost(id), Version: o.Version})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(o.Data, 0o700), keepKey(o.Data, key), keepCert(o.Data, answer.GetCertificate(), answer.GetTrust()),
		keepServer(o.Data, server{Address: "reeve://pipe", Name: invite.Name})); err != nil {
		s.t.Fatal(err)
	}
	a := open(s.t, o)
	a.id.Key = id.Key
	return a
}

// connectOverPipe is connect of an agent, whose error comes on a channel.
func (s *testServer) connectOverPipe(ctx context.Context, a *Agent) <-chan error {
	s.t.Helper()
	conn, err := link.Dialer{Cert: a.joined.cert, Trust: a.joined.trust, Now: time.Now}.Over(ctx, s.pipe(), down{a})
	if err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	s.group.Go(func() { ended <- a.speak(ctx, conn, "pipe") })
	return ended
}

// certUntil answers when the certificate ends that an agent keeps.
func certUntil(t *testing.T, a *Agent) time.Time {
	t.Helper()
	j, err := readJoined(a.o.Data)
	if err != nil {
		t.Fatal(err)
	}
	return j.cert.Leaf.NotAfter
}

func putAll(t *testing.T, a *Agent, n int) {
	t.Helper()
	for i := range n {
		if err := a.spool.Put(event(a, i+1)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestABacklogHoldsUpNoRenewal: what waits may take longer to send than the
// certificate lasts.
func TestABacklogHoldsUpNoRenewal(t *testing.T) {
	slow := func(o *fleet.Options) {
		o.CertLife = time.Hour
		o.Accept = func(ctx context.Context, _ ops.Report) error { sleep(ctx, 20*time.Second); return nil }
	}
	inFakeTime(t, fleet.Invite{Name: "web1"}, slow, func(t *testing.T, s *testServer, a *Agent) {
		first := certUntil(t, a)
		putAll(t, a, 400)
		ctx, cancel := context.WithCancel(t.Context())
		ended := s.connectOverPipe(ctx, a)
		time.Sleep(55 * time.Minute)
		if waiting, _, _ := a.spool.Depth(); waiting == 0 {
			t.Error("the test is wrong: nothing waits")
		}
		if until := certUntil(t, a); !until.After(first) {
			t.Errorf("the certificate ends at %v, as at the start", until)
		}
		cancel()
		<-ended
	})
}

func TestConnectionsThatDoNotLastRenewToo(t *testing.T) {
	short := func(o *fleet.Options) { o.CertLife = time.Hour }
	inFakeTime(t, fleet.Invite{Name: "web1"}, short, func(t *testing.T, s *testServer, a *Agent) {
		first := certUntil(t, a)
		time.Sleep(50 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), renewLook/2)
		defer cancel()
		<-s.connectOverPipe(ctx, a)
		if until := certUntil(t, a); !until.After(first) {
			t.Errorf("the certificate ends at %v, as at the start", until)
		}
	})
}

// TestALargeReportUnderACapHoldsUpNoHeartbeat: they go out between its parts.
// Locks wait for the cap here, and fake time does not pass over a lock.
func TestALargeReportUnderACapHoldsUpNoHeartbeat(t *testing.T) {
	s := startServer(t)
	a, _ := s.joined("boat")
	conn, err := link.Dialer{Address: address(t, s), Cert: a.joined.cert, Trust: a.joined.trust, Now: time.Now}.Dial(t.Context(), down{a})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &connection{a: a, link: conn}
	if err := c.hello(t.Context()); err != nil {
		t.Fatal(err)
	}
	const rate, size = 200_000, 800_000
	conn.Cap(rate)
	noise := make([]byte, size/2)
	rand.Read(noise)
	var took time.Duration
	var sending sync.WaitGroup
	over := make(chan struct{})
	sending.Go(func() {
		defer close(over)
		began := time.Now()
		r := ops.Report{Host: a.id, Sequence: 1, At: began, Observations: []ops.Observation{{Collector: "load", Err: hex.EncodeToString(noise)}}}
		if err := c.report(t.Context(), r, false); err != nil {
			t.Error(err)
		}
		took = time.Since(began)
	})
	var longest time.Duration
	for going := true; going; {
		began := time.Now()
		if err := c.heartbeat(t.Context()); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(began))
		select {
		case <-over:
			going = false
		default:
		}
	}
	sending.Wait()
	if took < size/rate*time.Second/2 || longest > took/2 {
		t.Errorf("a heartbeat took %v of the %v of the report", longest, took)
	}
}

func address(t *testing.T, s *testServer) link.Address {
	t.Helper()
	at, err := link.ParseAddress("reeve://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestOneReportThatTheServerFailsOnHoldsUpNoOthersForEver: it is given up when
// it is hopeless, and nothing is while the server only cannot be used.
func TestOneReportThatTheServerFailsOnHoldsUpNoOthersForEver(t *testing.T) {
	for name, x := range map[string]struct {
		err         error
		least, most time.Duration
		taken       int
	}{
		"it fails":           {errors.New("index row size 3848 exceeds the maximum"), failTime, 2 * failTime, 2},
		"it is unavailable":  {ops.Errorf(ops.Unavailable, "the disk is full"), time.Hour, time.Hour, 0},
		"it fails on no one": {nil, 0, time.Minute, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var s *testServer
			fails := func(o *fleet.Options) {
				o.Accept = func(ctx context.Context, r ops.Report) error {
					if r.Sequence == 1 && x.err != nil {
						return x.err
					}
					return s.accept(ctx, r)
				}
			}
			inFakeTime(t, fleet.Invite{Name: "web1"}, fails, func(t *testing.T, started *testServer, a *Agent) {
				s = started
				putAll(t, a, 3)
				began := time.Now()
				for waits := 3; waits > 0 && time.Since(began) < x.least+x.most; waits, _, _ = a.spool.Depth() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					<-s.connectOverPipe(ctx, a)
					cancel()
					time.Sleep(30 * time.Second)
				}
				if took := time.Since(began); len(s.reports()) != x.taken || x.taken > 0 && (took < x.least || took > x.most+2*time.Minute) {
					t.Errorf("%d reports were taken after %v", len(s.reports()), took)
				}
			})
		})
	}
}

func TestAServerThatFailsOnEveryReportCostsFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failing
		lost := int64(0)
		for began := time.Now(); time.Since(began) < 24*time.Hour; time.Sleep(time.Minute) {
			if f.again(lost + 1) {
				lost++
			}
		}
		if lost < 3 || lost > 10 {
			t.Errorf("%d are lost in a day", lost)
		}
	})
}
