package probe

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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"encoding/pem"

	"reeve/internal/collect"
)

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// TestMain makes the system's certificate authority one of the tests' own,
// before anything has asked the system for its list.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		panic(err)
	}
	path := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]}), 0o600); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", path)
	os.Setenv("SSL_CERT_DIR", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var (
	soon      = time.Now().Add(10 * 24 * time.Hour).Truncate(time.Second)
	authority = certificate(nil, soon.Add(365*24*time.Hour))
)

// certificate makes a certificate for 127.0.0.1 that is signed by an
// authority, or by itself.
func certificate(by *tls.Certificate, until time.Time) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: until.Add(-400 * 24 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: by == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := tmpl, any(key)
	if by != nil {
		tmpl.Subject.CommonName = "leaf"
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			panic(err)
		}
		signer = by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func run(t *testing.T, c collect.Check) Result {
	t.Helper()
	r, err := Run(t.Context(), Defaults(c), dial)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expect fails the test unless the check is up (want "") or down with an
// error that contains want.
func expect(t *testing.T, c collect.Check, want string) Result {
	t.Helper()
	r := run(t, c)
	if r.Up != (want == "") || !strings.Contains(r.Err, want) {
		t.Errorf("%s %s: up %v, error %q, want %q", c.Type, c.Target, r.Up, r.Err, want)
	}
	if r.Up && r.Err != "" {
		t.Errorf("up with an error %q", r.Err)
	}
	return r
}

func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s %s %s", r.Method, r.Host, r.Header.Get("X-Test"))
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.PathValue("code"), &code)
		w.WriteHeader(code)
	})
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscan(r.PathValue("n"), &n)
		to := "/"
		if n > 1 {
			to = fmt.Sprintf("/hop/%d", n-1)
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	return mux
}

func TestHTTP(t *testing.T) {
	s := httptest.NewServer(site())
	defer s.Close()
	web := func(path string) collect.Check { return collect.Check{Type: "http", Target: s.URL + path} }
	with := func(c collect.Check, change func(*collect.Check)) collect.Check { change(&c); return c }
	expect(t, web("/"), "")
	expect(t, web("/status/503"), "status 503")
	expect(t, web("/status/404"), "status 404")
	expect(t, with(web("/status/404"), func(c *collect.Check) { c.Status = []int{404} }), "")
	expect(t, with(web("/"), func(c *collect.Check) { c.Status = []int{204} }), "status 200")
	expect(t, with(web("/"), func(c *collect.Check) { c.Contains = "hello GET" }), "")
	expect(t, with(web("/"), func(c *collect.Check) { c.Contains = "goodbye" }), `does not contain "goodbye"`)
	expect(t, with(web("/"), func(c *collect.Check) { c.Method = "head" }), "")
	expect(t, with(web("/"), func(c *collect.Check) { c.Method = "DELETE" }), "not GET or HEAD")
	expect(t, with(web("/"), func(c *collect.Check) {
		c.Headers, c.Contains = map[string]string{"Host": "shop.test", "X-Test": "yes"}, "shop.test yes"
	}), "")
	expect(t, web("/hop/5"), "")
	expect(t, web("/hop/6"), "more than 5 redirects")
	expect(t, with(web("/hop/1"), func(c *collect.Check) { c.Status = []int{302} }), "")
	expect(t, with(web("/slow"), func(c *collect.Check) { c.Timeout = 200 * time.Millisecond }), "timeout after 200ms")
	expect(t, web("/cut"), "connection closed without an answer")
	expect(t, collect.Check{Type: "http", Target: "http://" + closedPort(t)}, "connection refused")
	expect(t, collect.Check{Type: "http", Target: "ftp://127.0.0.1/"}, "not an http or https address")
	expect(t, collect.Check{Type: "http", Target: "http://127.0.0.1:x/"}, "not an address")
	expect(t, collect.Check{Type: "carrier-pigeon"}, "no probe of type")
}

func TestHeadersStayWithTheTarget(t *testing.T) {
	tell := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "key=%s agent=%s from=%s", r.Header.Get("X-Api-Key"), r.UserAgent(), r.Referer())
	}
	var near *httptest.Server
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			http.Redirect(w, r, near.URL+"/here", http.StatusFound)
			return
		}
		tell(w, r)
	}))
	defer far.Close()
	near = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stay":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/leave":
			http.Redirect(w, r, far.URL+"/there", http.StatusFound)
		case "/return":
			http.Redirect(w, r, far.URL+"/back", http.StatusFound)
		default:
			tell(w, r)
		}
	}))
	defer near.Close()
	for path, want := range map[string]string{
		"/stay":           "key=hidden agent=shop",
		"/leave?secret=1": "key= agent=reeve-check from=",
		"/return":         "key= agent=reeve-check from=",
	} {
		c := collect.Check{Type: "http", Target: near.URL + path, Contains: want,
			Headers: map[string]string{"x-api-key": "hidden", "User-Agent": "shop"}}
		expect(t, c, "")
		if path != "/stay" {
			c.Contains = "from=http"
			expect(t, c, "does not contain")
		}
	}
}

// closedPort answers an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func tlsSite(t *testing.T, cert tls.Certificate) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(site())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestCertificates(t *testing.T) {
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, x := range []struct {
		name    string
		cert    tls.Certificate
		want    string
		expires time.Time
	}{
		{"good", certificate(&authority, soon), "", soon},
		{"expired", certificate(&authority, past), "certificate is not valid now", past},
		{"self-signed", certificate(nil, soon), "certificate is self-signed", soon},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := tlsSite(t, x.cert)
			checks := []collect.Check{{Type: "http", Target: s.URL}, {Type: "tls", Target: s.Listener.Addr().String()}}
			for _, c := range checks {
				if r := expect(t, c, x.want); !r.Expires.Equal(x.expires) {
					t.Errorf("%s: expires %v, want %v", c.Type, r.Expires, x.expires)
				}
				c.Insecure = true
				if r := expect(t, c, ""); !r.Expires.Equal(x.expires) {
					t.Errorf("insecure %s: expires %v, want %v", c.Type, r.Expires, x.expires)
				}
			}
		})
	}
	s := tlsSite(t, certificate(&authority, soon))
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	expect(t, collect.Check{Type: "tls", Target: "localhost:" + port}, "not valid for localhost")
	plain := httptest.NewServer(site())
	defer plain.Close()
	expect(t, collect.Check{Type: "tls", Target: plain.Listener.Addr().String()}, "not TLS")
	expect(t, collect.Check{Type: "tls", Target: "no-port"}, "not host:port")
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	expect(t, collect.Check{Type: "tcp", Target: l.Addr().String()}, "")
	expect(t, collect.Check{Type: "tcp", Target: closedPort(t)}, "connection refused")
	expect(t, collect.Check{Type: "tcp", Target: "127.0.0.1"}, "not host:port")
}

// Echo requests need a right; where this machine gives none, the probe must
// say so instead of calling the target down.
func TestICMP(t *testing.T) {
	r, err := Run(t.Context(), Defaults(collect.Check{Type: "icmp", Target: "127.0.0.1"}), dial)
	if u, ok := err.(*Unable); ok {
		if u.Remedy == "" || r.Up {
			t.Errorf("unable without a remedy: %+v", u)
		}
		return
	}
	if err != nil || !r.Up {
		t.Errorf("127.0.0.1 does not answer: %+v %v", r, err)
	}
	expect(t, collect.Check{Type: "icmp", Target: "host.invalid", Timeout: 2 * time.Second}, "host.invalid")
}

func TestHeartbeat(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := collect.Check{Type: "heartbeat", Every: time.Hour, Grace: 5 * time.Minute, LastBeat: now.Add(-65 * time.Minute)}
	if r := Heartbeat(c, c.LastBeat, now); !r.Up {
		t.Errorf("within the grace: %+v", r)
	}
	if r := Heartbeat(c, c.LastBeat, now.Add(time.Second)); r.Up || r.Err != "last heard of 1h5m1s ago, should come every 1h0m0s" {
		t.Errorf("after the grace: %+v", r)
	}
	c.LastBeat = time.Time{}
	if r := Heartbeat(c, now.Add(-2*time.Hour), now); r.Up || !strings.Contains(r.Err, "never heard of") {
		t.Errorf("never beaten: %+v", r)
	}
}

func TestTheEndOfThePassIsNotTheTargetsFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Defaults(collect.Check{Type: "tcp", Target: "127.0.0.1:9"}), dial); err == nil {
		t.Error("a probe that was cut off gave a result")
	}
}
