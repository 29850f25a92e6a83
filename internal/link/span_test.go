package link_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

// inBubble runs f with a server and a pipe to it in fake time. What yamux
// pooled in another bubble must be gone before: see emptyPools of the tests of
// package fleet.
func inBubble(t *testing.T, f func(t *testing.T, e *end, pipe func() net.Conn)) {
	empty := func() { runtime.GC(); runtime.GC() }
	empty()
	defer empty()
	synctest.Test(t, func(t *testing.T) {
		e := newEnd(t)
		s := e.server()
		f(t, e, func() net.Conn {
			near, far := net.Pipe()
			go s.Serve(far, "pipe") // ends with the pipe
			return near
		})
	})
}

func TestAConnectionEndsWithItsCertificate(t *testing.T) {
	inBubble(t, func(t *testing.T, e *end, pipe func() net.Conn) {
		began := time.Now()
		conn, err := e.dialer(link.Address{}, e.host(e.root, time.Hour, began)).Over(t.Context(), pipe(), downlink{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		<-conn.Done()
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("it ended after %v", took)
		}
	})
}

func TestACapBoundsWhatAConnectionSends(t *testing.T) {
	e := newEnd(t)
	conn, err := e.dialer(onTCP(t, e.server()), e.host(e.root, time.Hour, time.Now())).Dial(t.Context(), downlink{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	large := &linkpb.ReportRequest{Report: link.PackReport(ops.Report{Host: ops.HostIdentity{Key: hostID, Name: strings.Repeat("x", 100_000)}})}
	conn.Cap(400_000)
	began := time.Now()
	if _, err := conn.Up.Report(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("100 kB at 400 kB/s took %v", took)
	}
}

func TestBrowsersAndAgentsShareAPort(t *testing.T) {
	e := newEnd(t)
	s := e.server()
	l, err := pki.Listen("127.0.0.1:0", pki.Files{DataDir: t.TempDir(), Else: s.ForAgents})
	if err != nil {
		t.Fatal(err)
	}
	page := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })}
	served := make(chan error, 1)
	split := s.Split(l)
	go func() { served <- page.Serve(split) }()
	at := address(t, "reeve://"+l.Addr().String())

	conn, err := e.dialer(at, e.host(e.root, time.Hour, time.Now())).Dial(t.Context(), downlink{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Up.Hello(t.Context(), &linkpb.HelloRequest{}); err != nil {
		t.Error(err)
	}
	silent, err := net.Dial("tcp", l.Addr().String()) // holds up nobody
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, h2 := range []bool{true, false} {
		transport := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		answer, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		transport.CloseIdleConnections()
		if want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[h2]; err != nil || string(text) != want {
			t.Errorf("the page is spoken with in %s, %v", text, err)
		}
	}
	if err := page.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
	if _, err := conn.Up.Hello(t.Context(), &linkpb.HelloRequest{}); err != nil {
		t.Errorf("the agent lost its connection with the page: %v", err)
	}
	if _, err := e.dialer(at, e.host(e.root, time.Hour, time.Now())).Dial(t.Context(), downlink{}); err == nil {
		t.Error("it listens still")
	}
}

func TestOnlyAgentsSpeakAtTheirDoor(t *testing.T) {
	e := newEnd(t)
	s := e.server()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { s.Serve(far, "pipe"); close(done) }()
	err := tls.Client(near, &tls.Config{RootCAs: pki.Pool([]*x509.Certificate{e.root.Cert}), ServerName: pki.ServerName, NextProtos: []string{"h2"}}).Handshake()
	near.Close()
	<-done
	if err == nil || len(e.peers) != 0 {
		t.Errorf("%v", err)
	}
}
