package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/pki"
)

// shown answers the certificate that a listener shows.
func shown(t *testing.T, files pki.Files) *x509.Certificate {
	t.Helper()
	l, err := pki.Listen("127.0.0.1:0", files)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
		done <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0]
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

func TestOwnAuthorityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	leaf := shown(t, pki.Files{DataDir: dir, Names: []string{"reeve.lan", "192.0.2.4"}})
	pool := authorityOf(t, dir)
	for _, name := range []string{"localhost", "127.0.0.1", "reeve.lan", "192.0.2.4"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "tls", "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
	again := shown(t, pki.Files{DataDir: dir})
	if _, err := again.Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestGivenCertificateIsServed(t *testing.T) {
	other := t.TempDir()
	shown(t, pki.Files{DataDir: other})
	cert, key := filepath.Join(other, "tls", "ca.crt"), filepath.Join(other, "tls", "ca.key")
	leaf := shown(t, pki.Files{Cert: cert, Key: key})
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if string(block.Bytes) != string(leaf.Raw) {
		t.Error("another certificate is served")
	}
	for _, files := range []pki.Files{{Cert: cert}, {Cert: key, Key: key}, {Cert: "/nothing", Key: "/nothing"}} {
		if _, err := pki.Listen("127.0.0.1:0", files); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%+v: %v", files, err)
		}
	}
}

func TestBrokenAuthorityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	shown(t, pki.Files{DataDir: dir})
	path := filepath.Join(dir, "tls", "ca.key")
	if err := os.WriteFile(path, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Listen("127.0.0.1:0", pki.Files{DataDir: dir}); ops.KindOf(err) != ops.Invalid {
		t.Errorf("err: %v", err)
	}
}
