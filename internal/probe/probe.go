// Package probe runs one check once: it asks something from outside, as its
// users would, and says whether the answer is right. When to run a check, and
// what to make of the answer, is for others.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"reeve/internal/collect"
	"reeve/internal/redact"
)

// A Result is what a probe found.
type Result struct {
	Up   bool
	Err  string // why it is not up, a few words for people
	Took time.Duration
	// Expires is when the certificate that was shown runs out, the earliest
	// of several; zero when none was shown.
	Expires time.Time
}

// Dial reaches the network.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// An Unable error says that this host cannot run a kind of probe until a
// person does something. It says nothing of the target.
type Unable struct{ What, Why, Remedy string }

func (e *Unable) Error() string { return e.What + ": " + e.Why }

// The defaults of a check.
const (
	DefaultEvery     = time.Minute
	DefaultHeartbeat = time.Hour
	DefaultTimeout   = 10 * time.Second
	DefaultGrace     = 5 * time.Minute
	maxTimeout       = time.Minute
)

// Defaults fills in what a person left out of a check.
func Defaults(c collect.Check) collect.Check {
	if c.Every <= 0 {
		c.Every = DefaultEvery
		if c.Type == "heartbeat" {
			c.Every = DefaultHeartbeat
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	c.Timeout = min(c.Timeout, maxTimeout)
	if c.Grace <= 0 {
		c.Grace = DefaultGrace
	}
	return c
}

// Run runs a check once, within its timeout. The error is *Unable, or that of
// ctx when it ended first; what is wrong with the target is in the result.
func Run(ctx context.Context, c collect.Check, dial Dial) (Result, error) {
	probes := map[string]func(context.Context, collect.Check, Dial) (Result, error){
		"http": runHTTP, "tcp": runTCP, "tls": runTLS, "dns": runDNS, "icmp": runICMP,
	}
	run, ok := probes[c.Type]
	if !ok {
		return Result{Err: fmt.Sprintf("there is no probe of type %q", redact.Line(c.Type, 40))}, nil
	}
	within, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	began := time.Now()
	r, err := run(within, c, dial)
	r.Took = time.Since(began)
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	if _, ok := errors.AsType[*Unable](err); ok {
		return Result{}, err
	}
	if err != nil {
		r.Up, r.Err = false, inWords(err, c.Timeout)
	}
	return r, nil
}

// Heartbeat judges a heartbeat by its age: since is when it last came, or
// when it was first expected.
func Heartbeat(c collect.Check, since, now time.Time) Result {
	age := now.Sub(since)
	if age <= c.Every+c.Grace {
		return Result{Up: true}
	}
	what := "last heard of"
	if c.LastBeat.IsZero() {
		what = "never heard of; expected for"
		return Result{Err: fmt.Sprintf("%s %v, should come every %v", what, age.Round(time.Second), c.Every)}
	}
	return Result{Err: fmt.Sprintf("%s %v ago, should come every %v", what, age.Round(time.Second), c.Every)}
}

// inWords says what went wrong in a few words.
func inWords(err error, timeout time.Duration) string {
	if text := certificateInWords(err); text != "" {
		return text
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case e.IsNotFound:
			return "no such host: " + redact.Line(e.Name, 100)
		case !e.IsTimeout:
			return "name lookup failed: " + redact.Line(e.Name, 100)
		}
	}
	var timed interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return fmt.Sprintf("timeout after %v", timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to host"
	case errors.Is(err, syscall.ENETUNREACH):
		return "network is unreachable"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed without an answer"
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && e.Conn != nil {
		return "the answer is not TLS"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return redact.Line(err.Error(), 200)
}

// certificateInWords says what is wrong with a certificate, "" when err is
// about something else.
func certificateInWords(err error) string {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate is not valid for " + redact.Line(e.Host, 100)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if e.Cert != nil && e.Cert.Subject.String() == e.Cert.Issuer.String() {
			return "certificate is self-signed"
		}
		return "certificate is signed by an unknown authority"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired && e.Cert != nil {
			return fmt.Sprintf("certificate is not valid now, but from %s to %s",
				e.Cert.NotBefore.UTC().Format(time.DateOnly), e.Cert.NotAfter.UTC().Format(time.DateOnly))
		}
		return "certificate is invalid: " + redact.Line(e.Error(), 160)
	}
	return ""
}

// runTCP opens a connection.
func runTCP(ctx context.Context, c collect.Check, dial Dial) (Result, error) {
	if _, _, err := net.SplitHostPort(c.Target); err != nil {
		return Result{}, fmt.Errorf("target %q is not host:port", c.Target)
	}
	conn, err := dial(ctx, "tcp", c.Target)
	if err != nil {
		return Result{}, err
	}
	conn.Close()
	return Result{Up: true}, nil
}
