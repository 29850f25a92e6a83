package fleet

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/test/program"
)

// certificateLife is how long the certificates of these hosts count.
const certificateLife = 2 * time.Minute

// TestCertificates are the ways in which a certificate ends or never counted.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := openSite(t, "up", settings{"fleet": map[string]any{"certificate_life": "2m"}})
	t.Run("scenarios", func(t *testing.T) {
		for name, run := range map[string]func(*testing.T, *site){
			"renewed": renewed, "expired": expired, "revoked": revoked, "forged": forged, "replayed": replayed,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, s.For(t))
			})
		}
	})
	for name, findings := range s.all(t) {
		for _, f := range findings {
			t.Errorf("%s of %s: %s", f.Condition, name, f.Summary)
		}
	}
	if n := len(messages(s.hook, func(ops.Message) bool { return true })); n > 0 {
		t.Errorf("people were told %d times", n)
	}
}

// renewed runs for longer than its first certificate counts.
func renewed(t *testing.T, s *site) {
	m := s.host(t, "renewed")
	first := s.row(t, m.name)
	until(t, certificateLife+soon, "its first certificate has ended and it reports", func() bool {
		h := s.row(t, m.name)
		return h.ReportAt.After(first.CertUntil.Add(5*time.Second)) && h.ProofAt.After(first.CertUntil)
	}, m.Log, s.Log)
	h := s.row(t, m.name)
	if !h.CertUntil.After(first.CertUntil) || h.State != ops.HostOnline || !h.Since.Equal(first.Since) || h.KeyID != first.KeyID {
		t.Errorf("it was %+v and is %+v", first, h)
	}
	if lines(m.Log(), "the certificate was renewed") == 0 || lines(m.Log(), "does not let this host in") > 0 {
		t.Error(tail(m.Log()))
	}
}

// expired is off until its certificate has ended. It says so, and only a new
// line lets it in.
func expired(t *testing.T, s *site) {
	m := s.host(t, "expired")
	before, pair := s.stop(t, m), m.pair(t)
	until(t, certificateLife+soon, "the certificate has ended", func() bool { return time.Now().After(before.CertUntil.Add(time.Second)) })
	m.Run()
	until(t, soon, "the agent says that its certificate ended", func() bool {
		return strings.Contains(m.Log(), "the certificate of this agent ended at") && strings.Contains(m.Log(), "`reeve host add expired`")
	}, m.Log)
	if err := s.shake(m, pair); err == nil {
		t.Error("the server takes the certificate")
	}
	m.Stop()
	if h := s.row(t, m.name); h.Sequence != before.Sequence {
		t.Errorf("it reported: %+v", h)
	}
	if out, err := m.Join(s.invite(t, m.name)); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.again(t, m)
	until(t, soon, "it reports", func() bool { return s.row(t, m.name).Sequence > before.Sequence }, m.Log, s.Log)
	if h := s.row(t, m.name); h.ID != before.ID || h.ResourceID != before.ResourceID {
		t.Errorf("it is another host: %+v", h)
	}
}

// revoked loses its connection at once.
func revoked(t *testing.T, s *site) {
	m := s.host(t, "revoked")
	pair := m.pair(t)
	if out, err := s.Order("host", "revoke", m.name); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	began := time.Now()
	until(t, soon, "its connection ends", func() bool {
		return strings.Contains(m.Log(), "the connection to the server ended") || strings.Contains(m.Log(), "the server cannot be reached")
	}, m.Log)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the connection ended after %v", took)
	}
	until(t, soon, "it is told why", func() bool {
		return strings.Contains(m.Log(), "the certificate of the host was revoked") && strings.Contains(m.Log(), "`reeve host add revoked`")
	}, m.Log)
	if h := s.row(t, m.name); h.State != ops.HostPending || m.connected() != 1 {
		t.Errorf("it is %+v\n%s", h, tail(m.Log()))
	}
	m.Stop()
	if out, err := m.Join(s.invite(t, m.name)); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.again(t, m)
	if next := m.pair(t); next.Leaf.Equal(pair.Leaf) {
		t.Error("it has the certificate that was revoked")
	}
}

// forged comes with certificates that the server did not sign. They are
// refused at TLS, and the host goes on.
func forged(t *testing.T, s *site) {
	m := s.host(t, "forged")
	before := s.row(t, m.name)
	for name, forge := range map[string]func(*testing.T, string) (*ecdsa.PrivateKey, []byte){"self-signed": selfSigned, "of another authority": ofAnother} {
		key, der := forge(t, before.ID)
		if err := s.shake(m, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}); err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
			t.Errorf("%s: %v", name, err)
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(m.Dir)); err != nil {
			t.Fatal(err)
		}
		text, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, filepath.Join(dir, "agent.key"), "EC PRIVATE KEY", text)
		writePEM(t, filepath.Join(dir, "agent.crt"), "CERTIFICATE", der)
		fake := program.Machine{Command: s.network.Host().Command, Flags: m.tree.flags()}.Agent(t, dir)
		fake.Run()
		until(t, soon, "the agent with the forged certificate is refused", func() bool { return strings.Contains(fake.Log(), "the server refuses the certificate of this agent") }, fake.Log)
		if lines(fake.Log(), "connected to the server") > 0 {
			t.Errorf("%s: it was let in\n%s", name, tail(fake.Log()))
		}
		fake.Stop()
	}
	until(t, soon, "the host reports on", func() bool { return s.row(t, m.name).Sequence > before.Sequence+1 }, m.Log)
	if h := s.row(t, m.name); h.State != ops.HostOnline || !strings.HasPrefix(h.Address, m.at.IP+":") || m.connected() != 1 {
		t.Errorf("the host itself was disturbed: %+v\n%s", h, tail(m.Log()))
	}
}

// replayed uses a line a second time, on another machine.
func replayed(t *testing.T, s *site) {
	line := s.invite(t, "replayed")
	for i, want := range []string{"has joined", "used"} {
		r := newTree(t, "replayed")
		out, err := program.Machine{Command: s.network.Host().Command, Flags: r.flags()}.Agent(t, t.TempDir()).Join(line)
		if (err == nil) != (i == 0) || !strings.Contains(out, want) {
			t.Errorf("use %d: %v %s", i+1, err, out)
		}
	}
	if out, err := s.Order("host", "remove", "replayed"); err != nil { // it will never beat
		t.Errorf("%v %s", err, out)
	}
}

// pair answers the certificate of an agent with its key.
func (m *member) pair(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(m.Dir, "agent.crt"), filepath.Join(m.Dir, "agent.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// shake tries a certificate at the server's port for agents; the server says
// what it thinks of it with the first bytes that it sends.
func (s *site) shake(from *member, pair tls.Certificate) error {
	var d net.Conn
	err := from.at.Do(func() (err error) {
		d, err = net.Dial("tcp", net.JoinHostPort(s.at.IP, "7434"))
		return err
	})
	if err != nil {
		return err
	}
	defer d.Close()
	d.SetDeadline(time.Now().Add(10 * time.Second))
	conn := tls.Client(d, &tls.Config{NextProtos: []string{"reeve-link/1"}, InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }})
	if err := conn.Handshake(); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return nil // it waits for what the agent says
		}
		return err
	}
	return nil
}

func selfSigned(t *testing.T, host string) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := pki.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// ofAnother answers a certificate as another server would sign it.
func ofAnother(t *testing.T, host string) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	root, err := pki.NewRoot(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.Request(key, host)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := root.SignHost(request, host, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return key, cert.Raw
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
