package collectors

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/sockdiag"
)

const procNetTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1599 1 000000003b49b43c 100 0 0 10 0                      
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1600 1 000000003b49b43c 100 0 0 10 0                      
   2: 0100007F:1F91 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 1601 1 000000003b49b43c 100 0 0 10 0                      
`

func TestParseListening(t *testing.T) {
	got := parseListening([]byte(procNetTCP + "   0: 00000000000000000000000001000000:20FB 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1 0\n   1: 0100007F:1F"))
	want := []sockdiag.Socket{
		{Addr: netip.MustParseAddrPort("127.0.0.1:8080"), Inode: 1599}, {Addr: netip.MustParseAddrPort("0.0.0.0:443"), Inode: 1600},
		{Addr: netip.MustParseAddrPort("[::1]:8443"), Inode: 77},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v want %v", got, want)
	}
}

// tlsHost is a machine whose list of listeners is written by the test; the
// listeners are real ones of this machine.
type tlsHost struct {
	t     *testing.T
	root  string
	dials atomic.Int64
}

func (h *tlsHost) env() collect.Env {
	env := rootEnv(h.root)
	env.Live = true
	env.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return env
}

// lists makes addresses the listeners of the host, with sockets from inode on.
func (h *tlsHost) lists(inode int, addrs ...string) {
	h.t.Helper()
	table := "  sl  local_address rem_address   st\n"
	for i, a := range addrs {
		addr := netip.MustParseAddrPort(a)
		ip := addr.Addr().As4()
		table += fmt.Sprintf("   %d: %02X%02X%02X%02X:%04X 00000000:0000 0A 0:0 00:0 0 0 0 %d 1 0 100\n", i, ip[3], ip[2], ip[1], ip[0], addr.Port(), inode+i)
	}
	path := filepath.Join(h.root, "proc", "net", "tcp")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(table), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// serves starts a listener that hands each connection to f.
func serves(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l.Addr().String()
}

func certified(t *testing.T, notAfter time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vault.example", Organization: []string{"Us"}},
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
		DNSNames: []string{"vault.example", "www.vault.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func tlsServer(t *testing.T, config *tls.Config) string {
	t.Helper()
	return serves(t, func(c net.Conn) { tls.Server(c, config).Handshake() })
}

func TestCertificateOfAListener(t *testing.T) {
	notAfter := clock0.Add(5 * 24 * time.Hour)
	addr := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{certified(t, notAfter)}})
	h := &tlsHost{t: t, root: t.TempDir()}
	h.lists(10, addr)
	fd := filepath.Join(h.root, "proc", "77", "fd")
	if err := os.MkdirAll(fd, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[10]", filepath.Join(fd, "3")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.root, "proc", "77", "comm"), []byte("nginx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, _ := Get("tls_listeners")
	obs := mustPass(t, d.Open(h.env()), clock0)
	checkDocumented(t, d, obs)
	want := fmt.Sprintf(`sample tls/%[1]s certificate_expires_seconds 432000
see certificate tls/%[1]s %[1]q issuer="CN=vault.example,O=Us" names="vault.example,www.vault.example,127.0.0.1" not_after="2026-03-06T12:00:00Z" process="nginx" self_signed="true" subject="CN=vault.example,O=Us"
whole certificate
`, addr)
	if got := seenText(obs); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestListenersAreLeftInPeace: a listener is asked once in 6 h, one that does
// not speak TLS once a day, a new one after a minute, and ours and skipped
// ones never.
func TestListenersAreLeftInPeace(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certified(t, clock0.Add(time.Hour))}}
	secure, later := tlsServer(t, config), tlsServer(t, config)
	plain := serves(t, func(c net.Conn) { fmt.Fprint(c, "220 hello\r\n") })
	skipped := tlsServer(t, config)
	h := &tlsHost{t: t, root: t.TempDir()}
	env := h.env()
	env.Option = func(string) string { return skipped[strings.LastIndexByte(skipped, ':')+1:] }
	c := open(t, "tls_listeners", env)
	for _, step := range []struct {
		after     time.Duration
		listening []string
		dials     int64
		seen      int
	}{
		{0, []string{secure, plain, skipped, "127.0.0.1:22"}, 2, 1},
		{time.Minute, []string{secure, plain, skipped}, 2, 1},
		{2 * time.Minute, []string{secure, plain, later}, 2, 1},
		{3 * time.Minute, []string{secure, plain, later}, 3, 2},
		{6 * time.Hour, []string{secure, plain, later}, 4, 2},
		{7 * time.Hour, []string{secure, plain}, 4, 1},
		{24 * time.Hour, []string{secure, plain}, 6, 1},
	} {
		h.lists(10, step.listening...)
		obs := mustPass(t, c, clock0.Add(step.after))
		if h.dials.Load() != step.dials || len(obs.Sightings) != step.seen {
			t.Errorf("after %v: %d dials and %d certificates, want %d and %d", step.after, h.dials.Load(), len(obs.Sightings), step.dials, step.seen)
		}
	}
}

// TestRestartedServiceIsAskedAgain, and its old certificate stands until the
// new one is seen.
func TestRestartedServiceIsAskedAgain(t *testing.T) {
	var current atomic.Pointer[tls.Certificate]
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }}
	first, second := certified(t, clock0.Add(time.Hour)), certified(t, clock0.Add(90*24*time.Hour))
	current.Store(&first)
	addr := tlsServer(t, config)
	h := &tlsHost{t: t, root: t.TempDir()}
	c := open(t, "tls_listeners", h.env())
	expires := func(inode int, after time.Duration) float64 {
		h.lists(inode, addr)
		return value(t, mustPass(t, c, clock0.Add(after)), addr, "certificate_expires_seconds") + after.Seconds()
	}
	if got := expires(10, 0); got != 3600 {
		t.Errorf("first: %g", got)
	}
	current.Store(&second)
	if got := expires(20, time.Minute); got != 3600 {
		t.Errorf("just restarted: %g", got)
	}
	if got := expires(20, 2*time.Minute); got != 90*24*3600 {
		t.Errorf("after the restart: %g", got)
	}
}

// TestListenerThatWantsACertificate serves its own before it refuses us.
func TestListenerThatWantsACertificate(t *testing.T) {
	addr := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{certified(t, clock0.Add(time.Hour))},
		ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
	refusing := tlsServer(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return nil, fmt.Errorf("name wanted")
	}})
	h := &tlsHost{t: t, root: t.TempDir()}
	if leaf, plain := greet(t.Context(), h.env(), []string{addr}); leaf == nil || plain {
		t.Error("the certificate was not seen")
	}
	if leaf, plain := greet(t.Context(), h.env(), []string{refusing}); leaf != nil || plain {
		t.Error("a refusal in TLS is not plain text")
	}
}

// TestListenersAreBounded: no more than the bound are asked, and then the
// list is not said to be whole.
func TestListenersAreBounded(t *testing.T) {
	h := &tlsHost{t: t, root: t.TempDir()}
	var addrs []string
	for i := range tlsMaxListeners + 10 {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", 40000+i))
	}
	h.lists(10, addrs...)
	env := h.env()
	env.Dial = func(context.Context, string, string) (net.Conn, error) {
		h.dials.Add(1)
		return nil, os.ErrDeadlineExceeded
	}
	obs := mustPass(t, open(t, "tls_listeners", env), clock0)
	if h.dials.Load() != tlsMaxListeners || len(obs.Complete) != 0 {
		t.Errorf("%d dials, whole %v", h.dials.Load(), obs.Complete)
	}
}
