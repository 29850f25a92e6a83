package link_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

const hostID = "host_1"

// An end is the server's side: an authority, and answers that tell what was
// asked.
type end struct {
	t     *testing.T
	root  *pki.Root
	peers chan *link.Peer
	gone  chan struct{}
}

func newEnd(t *testing.T) *end {
	t.Helper()
	root, err := pki.NewRoot(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &end{t, root, make(chan *link.Peer, 8), make(chan struct{}, 8)}
}

func (e *end) server() *link.Server {
	s := link.NewServer(slog.New(slog.DiscardHandler), e, time.Now)
	e.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			e.t.Error(err)
		}
	})
	return s
}

func (e *end) TLS() (*tls.Certificate, *x509.CertPool, error) {
	cert, err := e.root.IssueServer(time.Now())
	return cert, pki.Pool([]*x509.Certificate{e.root.Cert}), err
}

func (e *end) Enrol(_ context.Context, _ string, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	if r.GetToken() != "right" {
		return nil, ops.Errorf(ops.Forbidden, "the token is not known")
	}
	cert, err := e.root.SignHost(r.GetRequest(), r.GetHost().GetKey(), time.Hour, time.Now())
	if err != nil {
		return nil, err
	}
	return &linkpb.EnrolResponse{Certificate: cert.Raw, Trust: [][]byte{e.root.Cert.Raw}, Name: "web1"}, nil
}

func (e *end) Open(p *link.Peer) (linkpbconnect.UplinkHandler, func()) {
	e.peers <- p
	return e, func() { e.gone <- struct{}{} }
}

func (e *end) Hello(_ context.Context, r *linkpb.HelloRequest) (*linkpb.HelloResponse, error) {
	return &linkpb.HelloResponse{Name: r.GetHost().GetName()}, nil
}

func (e *end) Heartbeat(context.Context, *linkpb.HeartbeatRequest) (*linkpb.HeartbeatResponse, error) {
	return nil, link.Wire(ops.Errorf(ops.Conflict, "for people"))
}

func (e *end) Report(context.Context, *linkpb.ReportRequest) (*linkpb.ReportResponse, error) {
	return &linkpb.ReportResponse{}, nil
}

func (e *end) Renew(context.Context, *linkpb.RenewRequest) (*linkpb.RenewResponse, error) {
	return nil, link.Wire(errors.New("password=hunter2"))
}

// downlink answers commands.
type downlink struct {
	linkpbconnect.UnimplementedDownlinkHandler
}

func (downlink) Ping(_ context.Context, r *linkpb.PingRequest) (*linkpb.PingResponse, error) {
	return &linkpb.PingResponse{Nonce: r.GetNonce(), BootId: "b1"}, nil
}

// host makes the certificate of an agent at a time.
func (e *end) host(by *pki.Root, life time.Duration, now time.Time) *tls.Certificate {
	e.t.Helper()
	key, err := pki.NewHostKey()
	if err != nil {
		e.t.Fatal(err)
	}
	return signed(e.t, by, key, life, now)
}

func signed(t *testing.T, by *pki.Root, key *ecdsa.PrivateKey, life time.Duration, now time.Time) *tls.Certificate {
	t.Helper()
	request, err := pki.Request(key, hostID)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := by.SignHost(request, hostID, life, now)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func (e *end) dialer(at link.Address, cert *tls.Certificate) link.Dialer {
	return link.Dialer{Address: at, Cert: cert, Trust: []*x509.Certificate{e.root.Cert}, Now: time.Now}
}

func address(t *testing.T, text string) link.Address {
	t.Helper()
	a, err := link.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// onTCP answers where a server is reached without anything between.
func onTCP(t *testing.T, s *link.Server) link.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.Serve(conn, conn.RemoteAddr().String())
		}
	}()
	return address(t, "reeve://"+l.Addr().String())
}

func web(t *testing.T, s *link.Server) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("/reeve"+link.Path, s)
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

// ways are how agents reach a server.
var ways = map[string]func(t *testing.T, s *link.Server) link.Address{
	"TCP":       onTCP,
	"WebSocket": func(t *testing.T, s *link.Server) link.Address { return address(t, web(t, s).URL+"/reeve/") },
	"WebSocket behind a proxy with TLS of its own": func(t *testing.T, s *link.Server) link.Address {
		to, err := url.Parse(web(t, s).URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(to))
		proxy.EnableHTTP2 = true
		proxy.StartTLS()
		t.Cleanup(proxy.Close)
		// The proxy's certificate is one that the machine trusts.
		all := http.DefaultTransport.(*http.Transport)
		before := all.TLSClientConfig
		all.TLSClientConfig = proxy.Client().Transport.(*http.Transport).TLSClientConfig
		t.Cleanup(func() { all.TLSClientConfig = before; all.CloseIdleConnections() })
		return address(t, proxy.URL+"/reeve")
	},
}

func eachWay(t *testing.T, f func(t *testing.T, e *end, at link.Address)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			e := newEnd(t)
			f(t, e, way(t, e.server()))
		})
	}
}

func refused(t *testing.T, err error, kind ops.ErrorKind, says string) {
	t.Helper()
	if ops.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want %s: …%s…", err, kind, says)
	}
}

func TestBothSidesAskAndAnswer(t *testing.T) {
	eachWay(t, func(t *testing.T, e *end, at link.Address) {
		conn, err := e.dialer(at, e.host(e.root, time.Hour, time.Now())).Dial(t.Context(), downlink{})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := conn.Up.Hello(t.Context(), &linkpb.HelloRequest{Host: &linkpb.Host{Name: "web1"}})
		if err != nil || answer.GetName() != "web1" {
			t.Errorf("%+v, %v", answer, err)
		}
		peer := <-e.peers
		pong, err := peer.Down.Ping(t.Context(), &linkpb.PingRequest{Nonce: 7})
		if err != nil || pong.GetNonce() != 7 || pong.GetBootId() != "b1" || peer.Cert.Subject.CommonName != hostID {
			t.Errorf("%+v, %v", pong, err)
		}
		_, err = conn.Up.Heartbeat(t.Context(), &linkpb.HeartbeatRequest{})
		refused(t, link.FromWire(err), ops.Conflict, "for people")
		_, err = conn.Up.Renew(t.Context(), &linkpb.RenewRequest{})
		if err = link.FromWire(err); ops.KindOf(err) != ops.Internal || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("what is nobody's business was told: %v", err)
		}
		peer.Close()
		<-conn.Done()
		<-e.gone
	})
}

func TestAServerThatClosesEndsItsConnections(t *testing.T) {
	e := newEnd(t)
	s := e.server()
	at := onTCP(t, s)
	conn, err := e.dialer(at, e.host(e.root, time.Hour, time.Now())).Dial(t.Context(), downlink{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-conn.Done()
	if _, err := e.dialer(at, e.host(e.root, time.Hour, time.Now())).Dial(t.Context(), downlink{}); err == nil {
		t.Error("it takes connections still")
	}
}

func TestJoiningGoesByTheFingerprintOfTheAuthority(t *testing.T) {
	eachWay(t, func(t *testing.T, e *end, at link.Address) {
		key, err := pki.NewHostKey()
		if err != nil {
			t.Fatal(err)
		}
		request, err := pki.Request(key, hostID)
		if err != nil {
			t.Fatal(err)
		}
		ask := &linkpb.EnrolRequest{Token: "right", Request: request, Host: &linkpb.Host{Key: hostID}}
		d := link.Dialer{Address: at, Now: time.Now}
		answer, err := d.Enrol(t.Context(), e.root.Fingerprint(), ask)
		if err != nil || answer.GetName() != "web1" {
			t.Fatalf("%+v, %v", answer, err)
		}
		for _, wrong := range []string{newEnd(t).root.Fingerprint(), "", "sha256:"} {
			_, err := d.Enrol(t.Context(), wrong, ask)
			refused(t, err, ops.Forbidden, "another authority than the line to join with says")
		}
		ask.Token = "wrong"
		_, err = d.Enrol(t.Context(), e.root.Fingerprint(), ask)
		refused(t, err, ops.Forbidden, "the token is not known")
	})
}

// impostor answers one connection with a certificate and nothing behind it.
func impostor(t *testing.T, cert *tls.Certificate, protocol string) link.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with its one connection
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{protocol}}).Handshake()
	}()
	return address(t, "reeve://"+l.Addr().String())
}

// TestAnAuthorityThatIsOnlyShownIsRefused: who shows the pinned
// certificate without its key is refused.
func TestAnAuthorityThatIsOnlyShownIsRefused(t *testing.T) {
	e, thief := newEnd(t), newEnd(t)
	cert, err := thief.root.IssueServer(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert.Certificate[1] = e.root.Cert.Raw
	at := impostor(t, cert, "reeve-join/1")
	_, err = link.Dialer{Address: at, Now: time.Now}.Enrol(t.Context(), e.root.Fingerprint(), &linkpb.EnrolRequest{Token: "secret"})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

func TestWhoseCertificateDoesNotCountIsRefused(t *testing.T) {
	e, other := newEnd(t), newEnd(t)
	at, now := onTCP(t, e.server()), time.Now()
	servers, err := e.root.IssueServer(now)
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string]*tls.Certificate{
		"of another authority":              e.host(other.root, time.Hour, now),
		"expired":                           e.host(e.root, time.Hour, now.Add(-2*time.Hour)),
		"not yet valid":                     e.host(e.root, time.Hour, now.Add(time.Hour)),
		"a server's":                        servers,
		"none":                              {},
		"of another key than that it shows": {Certificate: e.host(e.root, time.Hour, now).Certificate, PrivateKey: servers.PrivateKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.dialer(at, cert).Dial(t.Context(), downlink{})
			if name == "of another key than that it shows" {
				if err == nil {
					t.Error("it was let in")
				}
				return
			}
			refused(t, err, ops.Forbidden, "the server refuses the certificate of this agent")
		})
	}
	if len(e.peers) != 0 {
		t.Error("somebody was let in")
	}
}

func TestAnAgentRefusesAServerOfAnotherAuthority(t *testing.T) {
	e, other := newEnd(t), newEnd(t)
	_, err := other.dialer(onTCP(t, e.server()), other.host(other.root, time.Hour, time.Now())).Dial(t.Context(), downlink{})
	refused(t, err, ops.Forbidden, "is not of the authority that this agent trusts")
}

// TestAHostsCertificateIsNoServers: an agent must not be able to play the
// server to others.
func TestAHostsCertificateIsNoServers(t *testing.T) {
	e := newEnd(t)
	cert := e.host(e.root, time.Hour, time.Now())
	_, err := e.dialer(impostor(t, cert, "reeve-link/1"), cert).Dial(t.Context(), downlink{})
	refused(t, err, ops.Forbidden, "is not of the authority that this agent trusts")
}

func TestAnAgentWithAClockThatIsWrongByHoursGetsIn(t *testing.T) {
	e := newEnd(t)
	at := onTCP(t, e.server())
	for _, off := range []time.Duration{-20 * time.Hour, -time.Hour, time.Hour, 10 * time.Hour} {
		d := e.dialer(at, e.host(e.root, time.Hour, time.Now()))
		d.Now = func() time.Time { return time.Now().Add(off) }
		conn, err := d.Dial(t.Context(), downlink{})
		if err != nil {
			t.Errorf("off by %v: %v", off, err)
			continue
		}
		conn.Close()
	}
}
