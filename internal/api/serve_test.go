package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
)

// serveTLS serves a world with TLS and answers the address and the
// certificate that it shows.
func (w *world) serveTLS(files api.TLSFiles) (string, *x509.Certificate) {
	w.t.Helper()
	l, err := api.ListenTLS("127.0.0.1:0", files)
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
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	return l.Addr().String(), conn.ConnectionState().PeerCertificates[0]
}

func authorityOf(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "tls", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("the authority's file holds no certificate")
	}
	return pool
}

func TestOwnAuthorityIsMadeOnceAndServesTLS(t *testing.T) {
	w := newWorld(t)
	addr, leaf := w.serveTLS(api.TLSFiles{DataDir: w.dir, Names: []string{"reeve.lan", "192.0.2.4"}})
	pool := authorityOf(t, w.dir)
	for _, name := range []string{"localhost", "127.0.0.1", "reeve.lan", "192.0.2.4"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(w.dir, "tls", "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
	_, again := w.serveTLS(api.TLSFiles{DataDir: w.dir})
	if _, err := again.Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	c := w.anyone()
	c.base = "https://" + addr
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	token, err := api.NewLink(t.Context(), w.db, time.Now())
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

func TestGivenCertificateIsServed(t *testing.T) {
	w := newWorld(t)
	other := t.TempDir()
	w.serveTLS(api.TLSFiles{DataDir: other})
	cert, key := filepath.Join(other, "tls", "ca.crt"), filepath.Join(other, "tls", "ca.key")
	_, shown := w.serveTLS(api.TLSFiles{Cert: cert, Key: key})
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if string(block.Bytes) != string(shown.Raw) {
		t.Error("another certificate is served")
	}
	for _, files := range []api.TLSFiles{{Cert: cert}, {Cert: key, Key: key}, {Cert: "/nothing", Key: "/nothing"}} {
		if _, err := api.ListenTLS("127.0.0.1:0", files); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%+v: %v", files, err)
		}
	}
}

func TestBrokenAuthorityIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	w.serveTLS(api.TLSFiles{DataDir: w.dir})
	path := filepath.Join(w.dir, "tls", "ca.key")
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ListenTLS("127.0.0.1:0", api.TLSFiles{DataDir: w.dir}); ops.KindOf(err) != ops.Invalid {
		t.Errorf("err: %v", err)
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
