package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

// A gate is a server whom anybody may ask to join, over pipes.
type gate struct {
	t    *testing.T
	root *pki.Root
	*Server
}

func newGate(t *testing.T) *gate {
	t.Helper()
	root, err := pki.NewRoot(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, root: root}
	g.Server = NewServer(slog.New(slog.DiscardHandler), g, time.Now)
	t.Cleanup(func() {
		if err := g.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *gate) TLS() (*tls.Certificate, *x509.CertPool, error) {
	cert, err := g.root.IssueServer(time.Now())
	return cert, pki.Pool([]*x509.Certificate{g.root.Cert}), err
}

func (g *gate) Enrol(context.Context, string, *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	return &linkpb.EnrolResponse{Name: "web1"}, nil
}

func (g *gate) Open(*Peer) (linkpbconnect.UplinkHandler, func()) { panic("nobody has a certificate") }

func (g *gate) pipe() net.Conn {
	near, far := net.Pipe()
	go g.Serve(far, "pipe") // ends with the pipe
	return near
}

// ask opens a connection as somebody without a certificate or a token.
func (g *gate) ask() (*mux, error) {
	session, _, err := Dialer{Now: time.Now}.session(g.t.Context(), g.pipe(), joinTLS(g.root.Fingerprint(), time.Now))
	if err == nil {
		g.t.Cleanup(func() { session.Close() })
	}
	return session, err
}

func (g *gate) enrol(r *linkpb.EnrolRequest) error {
	_, err := Dialer{Now: time.Now}.EnrolOver(g.t.Context(), g.pipe(), g.root.Fingerprint(), r)
	return err
}

func TestWhoAsksToJoinIsGivenLittleRoom(t *testing.T) {
	g := newGate(t)
	if err := g.enrol(&linkpb.EnrolRequest{Token: strings.Repeat("x", joinMessage/2)}); err != nil {
		t.Error(err)
	}
	if err := g.enrol(&linkpb.EnrolRequest{Token: strings.Repeat("x", joinMessage+1)}); ops.KindOf(err) != ops.Invalid {
		t.Errorf("of more than %d bytes: %v", joinMessage, err)
	}
}

// TestWhoAsksToJoinHasOneStream: each would hold a buffer.
func TestWhoAsksToJoinHasOneStream(t *testing.T) {
	session, err := newGate(t).ask()
	if err != nil {
		t.Fatal(err)
	}
	client := overMux(session)
	if _, err := linkpbconnect.NewJoinClient(client, base).Enrol(t.Context(), &linkpb.EnrolRequest{}); err != nil {
		t.Fatal(err)
	}
	var more net.Conn
	for range 2 { // one may wait
		if more, err = session.Open(); err != nil {
			t.Fatal(err)
		}
	}
	if err := more.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := more.Read(make([]byte, 1)); !errors.Is(err, yamux.ErrConnectionReset) {
		t.Errorf("two more are taken: %v", err)
	}
}

func TestOnlySoManyAskToJoinAtOnce(t *testing.T) {
	g := newGate(t)
	var last *mux
	for i := range joinsAtOnce {
		var err error
		if last, err = g.ask(); err != nil {
			t.Fatalf("number %d: %v", i, err)
		}
	}
	if err := g.enrol(&linkpb.EnrolRequest{}); ops.KindOf(err) != ops.Unavailable || !strings.Contains(err.Error(), "try again") {
		t.Errorf("one more: %v", err)
	}
	last.Close()
	for g.enrol(&linkpb.EnrolRequest{}) != nil { // until the server has seen the end
	}
}
