package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/redact"
)

const (
	maxRedirects = 5
	maxBody      = 1 << 20
	userAgent    = "reeve-check"
)

// runHTTP asks for a page and judges status and body.
func runHTTP(ctx context.Context, c collect.Check, dial Dial) (Result, error) {
	var seen expiry
	transport := &http.Transport{
		DialContext: dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 256 << 10,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, expires, err := handshake(ctx, dial, addr, c.Insecure, "http/1.1")
			seen.note(expires)
			return conn, err
		},
	}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport, CheckRedirect: redirects(c)}
	req, err := request(ctx, c)
	if err != nil {
		return Result{}, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return Result{Expires: seen.at()}, err
	}
	defer resp.Body.Close()
	err = judge(c, resp)
	return Result{Up: err == nil, Expires: seen.at()}, err
}

func request(ctx context.Context, c collect.Check) (*http.Request, error) {
	method := strings.ToUpper(c.Method)
	if method == "" {
		method = http.MethodGet
	}
	if method != http.MethodGet && method != http.MethodHead {
		return nil, fmt.Errorf("method %s is not GET or HEAD", redact.Line(method, 20))
	}
	if !strings.HasPrefix(c.Target, "http://") && !strings.HasPrefix(c.Target, "https://") {
		return nil, fmt.Errorf("target %q is not an http or https address", redact.URL(c.Target))
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Target, nil)
	if err != nil {
		return nil, fmt.Errorf("target %q is not an address", redact.URL(c.Target))
	}
	req.Header.Set("User-Agent", userAgent)
	for name, v := range c.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = v
			continue
		}
		req.Header.Set(name, v)
	}
	return req, nil
}

// redirects follows up to five redirects, unless the check expects one as the
// answer. The headers of the check are for its target: they are not sent after
// a redirect has led elsewhere.
func redirects(c collect.Check) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if slices.ContainsFunc(c.Status, func(s int) bool { return s >= 300 && s < 400 }) {
			return http.ErrUseLastResponse
		}
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		away := func(hop *http.Request) bool { return elsewhere(via[0].URL, hop.URL) }
		if away(next) || slices.ContainsFunc(via, away) {
			for name := range c.Headers {
				next.Header.Del(name)
			}
			next.Header.Del("Referer") // It would tell the query of the target.
			next.Header.Set("User-Agent", userAgent)
		}
		return nil
	}
}

// elsewhere says that an address is of another host or port than the target,
// or of the same without the encryption that the target has.
func elsewhere(target, u *url.URL) bool {
	return !strings.EqualFold(target.Host, u.Host) || target.Scheme == "https" && u.Scheme != "https"
}

func judge(c collect.Check, resp *http.Response) error {
	ok := resp.StatusCode >= 200 && resp.StatusCode < 400
	if len(c.Status) > 0 {
		ok = slices.Contains(c.Status, resp.StatusCode)
	}
	if !ok {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	if c.Contains == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if !bytes.Contains(body, []byte(c.Contains)) {
		if err != nil {
			return err
		}
		return fmt.Errorf("the body does not contain %q", redact.Line(c.Contains, 80))
	}
	return nil
}

// runTLS shakes hands and judges the certificate.
func runTLS(ctx context.Context, c collect.Check, dial Dial) (Result, error) {
	if _, _, err := net.SplitHostPort(c.Target); err != nil {
		return Result{}, fmt.Errorf("target %q is not host:port", c.Target)
	}
	conn, expires, err := handshake(ctx, dial, c.Target, c.Insecure)
	if err != nil {
		return Result{Expires: expires}, err
	}
	conn.Close()
	return Result{Up: true, Expires: expires}, nil
}

// handshake opens a TLS connection. It verifies the certificate itself, after
// the handshake, so that it knows when a certificate runs out that is not
// accepted.
func handshake(ctx context.Context, dial Dial, addr string, insecure bool, protos ...string) (net.Conn, time.Time, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, time.Time{}, err
	}
	raw, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, time.Time{}, err
	}
	conn := tls.Client(raw, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: protos})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, time.Time{}, err
	}
	shown := conn.ConnectionState().PeerCertificates
	if len(shown) == 0 {
		conn.Close()
		return nil, time.Time{}, fmt.Errorf("no certificate was shown")
	}
	if insecure {
		return conn, shown[0].NotAfter, nil
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	if _, err := shown[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: between}); err != nil {
		conn.Close()
		return nil, shown[0].NotAfter, err
	}
	return conn, shown[0].NotAfter, nil
}

// An expiry keeps the earliest of several times; redirects may show several
// certificates.
type expiry struct {
	mu    sync.Mutex
	first time.Time
}

func (e *expiry) note(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !at.IsZero() && (e.first.IsZero() || at.Before(e.first)) {
		e.first = at
	}
}

func (e *expiry) at() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.first
}
