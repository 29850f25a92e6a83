package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/secret"
	"reeve/internal/store"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	admin = store.Why{Actor: "user:ada", Reason: "a test"}
)

// A server is a fleet with a way in for agents.
type server struct {
	t     *testing.T
	store *store.Store
	fleet *fleet.Fleet
	loops []*loop.Loop
	pass  map[string]func(context.Context) error
	// open opens the way to it.
	open func() (net.Conn, error)

	mu    sync.Mutex
	taken []ops.Report
	busy  chan struct{} // when set, taking a report in waits for it
}

// serve makes a server on a database; keys is the folder of what seals.
func serve(t *testing.T, st *store.Store, keys string, change ...func(*fleet.Options)) *server {
	t.Helper()
	s := &server{t: t, store: st}
	sealed := secret.New(keys)
	o := fleet.Options{
		Log: quiet, Store: st, Accept: s.accept, Seal: sealed.Seal, Open: sealed.Open, Settings: func(ops.Host) []byte { return []byte(`{}`) },
		Proven: func(context.Context) bool { return false }, Moved: func() {},
		Begun: func(context.Context, string) error { return nil }, Addresses: func(context.Context) []string { return nil }, Server: ops.NewID(ops.ServerID), Version: "v1.0.0",
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if s.fleet, err = fleet.New(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s.pass = map[string]func(context.Context) error{}
	s.loops = s.fleet.Loops()
	for _, l := range s.loops {
		s.pass[l.Name] = l.Pass
	}
	return s
}

// onTCP lets agents in over loopback, until the test ends.
func (s *server) onTCP() *server {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.fleet.Link().Serve(conn, conn.RemoteAddr().String())
		}
	}()
	s.open = func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	s.t.Cleanup(func() {
		l.Close()
		s.close()
	})
	return s
}

func (s *server) close() {
	if err := s.fleet.Close(context.Background()); err != nil {
		s.t.Error(err)
	}
}

func (s *server) accept(_ context.Context, r ops.Report) error {
	if s.busy != nil {
		<-s.busy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, r)
	return nil
}

func (s *server) reports() []ops.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// run does a pass of each of the named loops.
func (s *server) run(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if err := s.pass[name](context.Background()); err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
	}
}

// add answers a token for a name.
func (s *server) add(name string) string {
	s.t.Helper()
	token, _, err := s.fleet.Add(context.Background(), fleet.Invite{Name: name}, admin)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *server) host(what string) ops.Host {
	s.t.Helper()
	h, err := s.store.FindHost(context.Background(), what)
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// An agent is what speaks with a server in these tests: the protocol of a real
// one, without its collectors.
type agent struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      ops.HostIdentity
	machine []string
	cert    *tls.Certificate
	trust   []*x509.Certificate
	skew    time.Duration // its clock is ahead by so much

	mu   sync.Mutex
	deaf bool // it does not answer commands
}

// newAgent answers the agent of a machine that joined nobody.
func newAgent(t *testing.T, boot string, machine ...string) *agent {
	t.Helper()
	key, err := pki.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	return &agent{t: t, key: key, id: ops.HostIdentity{Key: ops.NewID(ops.HostID), Name: "own-name", BootID: boot}, machine: machine}
}

// joined answers an agent that joined under a name.
func (s *server) joined(name, boot string, machine ...string) *agent {
	s.t.Helper()
	a := newAgent(s.t, boot, machine...)
	if err := a.join(s, s.add(name)); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// copied answers an agent with the same key and certificate: its disk was
// copied to another machine, or it was started again.
func (a *agent) copied(boot string, machine ...string) *agent {
	return &agent{t: a.t, key: a.key, id: ops.HostIdentity{Key: a.id.Key, Name: a.id.Name, BootID: boot}, machine: machine, cert: a.cert, trust: a.trust}
}

func (a *agent) said() *linkpb.Host {
	h := link.PackHost(a.id)
	h.Machine = a.machine
	return h
}

func (a *agent) join(s *server, token string) error {
	return a.joinPinned(s, token, s.fleet.Fingerprint())
}

func (a *agent) joinPinned(s *server, token, fingerprint string) error {
	request, err := pki.Request(a.key, a.id.Key)
	if err != nil {
		return err
	}
	plain, err := s.open()
	if err != nil {
		return err
	}
	answer, err := link.Dialer{Now: time.Now}.EnrolOver(context.Background(), plain, fingerprint,
		&linkpb.EnrolRequest{Token: token, Request: request, Host: a.said(), Version: "v1.0.0"})
	if err != nil {
		return err
	}
	return a.keep(answer.GetCertificate(), answer.GetTrust())
}

func (a *agent) keep(cert []byte, trust [][]byte) error {
	leaf, err := x509.ParseCertificate(cert)
	if err != nil {
		return err
	}
	a.cert = &tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: a.key, Leaf: leaf}
	return a.learn(trust)
}

func (a *agent) learn(trust [][]byte) (err error) {
	if len(trust) > 0 {
		a.trust, err = pki.ParseTrust(trust)
	}
	return err
}

func (a *agent) now() int64 { return time.Now().Add(a.skew).UnixMilli() }

func (a *agent) hello() *linkpb.HelloRequest {
	r := &linkpb.HelloRequest{Protocols: link.Protocols, Version: "v1.0.0", Host: a.said(), NowMs: a.now()}
	for _, t := range a.trust {
		r.Trust = append(r.Trust, pki.Fingerprint(t))
	}
	return r
}

// dial opens a connection and says nothing on it.
func (a *agent) dial(s *server) (*link.Conn, error) {
	plain, err := s.open()
	if err != nil {
		return nil, err
	}
	return link.Dialer{Cert: a.cert, Trust: a.trust, Now: time.Now}.Over(context.Background(), plain, a)
}

// connect opens a connection and says hello; what the server names to trust is
// learned.
func (a *agent) connect(s *server) (*link.Conn, *linkpb.HelloResponse, error) {
	conn, err := a.dial(s)
	if err != nil {
		return nil, nil, err
	}
	answer, err := conn.Up.Hello(context.Background(), a.hello())
	if err != nil {
		conn.Close()
		return nil, nil, link.FromWire(err)
	}
	return conn, answer, a.learn(answer.GetTrust())
}

// online is connect of which the test needs that it works.
func (a *agent) online(s *server) *link.Conn {
	a.t.Helper()
	conn, _, err := a.connect(s)
	if err != nil {
		a.t.Fatal(err)
	}
	return conn
}

// report answers a report of the host with one container.
func (a *agent) report(sequence int64) *linkpb.ReportRequest {
	at := time.Now().Add(a.skew)
	box := ops.ResourceKey{Host: a.id.Key, Source: "docker", Key: "web"}
	return &linkpb.ReportRequest{Report: link.PackReport(ops.Report{Host: a.id, Sequence: sequence, At: at, Observations: []ops.Observation{{
		Collector: "docker", Started: at, EveryMS: 15_000, Complete: []ops.Kind{ops.KindContainer},
		Sightings: []ops.Sighting{{Key: box, Kind: ops.KindContainer, Name: "web", Observed: ops.Attrs{"state": "running"}}},
		Samples:   []ops.Sample{{Resource: box, Metric: "container_cpu_cores", At: at, Value: 1}},
		Events:    []ops.Event{{Resource: box, Type: "container_started", At: at, SourceID: "e1", Count: 1}},
	}}})}
}

func send(conn *link.Conn, r *linkpb.ReportRequest) (duplicate bool, err error) {
	answer, err := conn.Up.Report(context.Background(), r)
	return answer.GetDuplicate(), link.FromWire(err)
}

func (a *agent) Ping(ctx context.Context, r *linkpb.PingRequest) (*linkpb.PingResponse, error) {
	a.mu.Lock()
	deaf := a.deaf
	a.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &linkpb.PingResponse{Nonce: r.GetNonce(), BootId: a.id.BootID, NowMs: a.now()}, nil
}

func (a *agent) Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	return nil, errors.ErrUnsupported
}

func (a *agent) Perform(context.Context, *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	return nil, errors.ErrUnsupported
}

func (a *agent) Receipt(context.Context, *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	return nil, errors.ErrUnsupported
}

// refused fails the test unless an error is of a kind and tells people so.
func refused(t *testing.T, err error, kind ops.ErrorKind, says string) {
	t.Helper()
	if ops.KindOf(err) != kind || !contains(err, says) {
		t.Errorf("%v, want %s: …%s…", err, kind, says)
	}
}
