package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/pki"
	"reeve/internal/signin"
)

// serveTLS serves a world with TLS and answers the address and the authority
// that its certificate is of.
func (w *world) serveTLS() (string, *x509.CertPool) {
	w.t.Helper()
	l, err := pki.Listen("127.0.0.1:0", pki.Files{DataDir: w.dir})
	if err != nil {
		w.t.Fatal(err)
	}
	server := api.NewHTTPServer(quiet(), w.server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			w.t.Errorf("requests were still under way: %v", err)
		}
		<-done
	})
	text, err := os.ReadFile(filepath.Join(w.dir, "tls", "ca.crt"))
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		w.t.Fatal("the authority's file holds no certificate")
	}
	return l.Addr().String(), pool
}

func TestSignInAndStreamWorkOverTLS(t *testing.T) {
	w := newWorld(t)
	addr, pool := w.serveTLS()
	c := w.anyone()
	c.base = "https://" + addr
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	token, err := signin.NewLink(t.Context(), w.db, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h := c.want(200, "POST", "/api/v1/session/link", map[string]string{"token": token}, nil)
	if !strings.Contains(h.Get("Set-Cookie"), "Secure") || h.Get("Strict-Transport-Security") == "" {
		t.Errorf("headers: %v", h)
	}
	stream, end := c.listen(t.Context(), "")
	defer end()
	if e, ok := next(stream); !ok || e.event != "hello" {
		t.Errorf("stream over TLS: %+v", e)
	}
}

func TestShutdownEndsStreams(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewHTTPServer(quiet(), w.server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	c.base = "http://" + l.Addr().String()
	token := c.newToken("read")
	c.token = token
	stream, end := c.listen(t.Context(), "")
	defer end()
	if e, ok := next(stream); !ok || e.event != "hello" {
		t.Fatalf("hello: %+v", e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	<-done
	if _, ok := next(stream); ok {
		t.Error("the stream goes on")
	}
}
