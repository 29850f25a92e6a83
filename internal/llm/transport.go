package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	maxReplyBytes   = 8 << 20
	maxFailureBytes = 64 << 10
	connectTimeout  = 10 * time.Second
)

var (
	errSilent  = errors.New("the reply stood still")
	errTooLong = errors.New("the reply is longer than 8 MiB")
	errTimeout = errors.New("the call took too long")
)

// network answers a transport of its own, so that one provider's connections
// are no other's.
func network() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// sameHost follows a redirect only where it repeats the request to the same
// server: everything else would carry the key and the estate elsewhere.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	repeats := req.Response != nil && (req.Response.StatusCode == http.StatusTemporaryRedirect || req.Response.StatusCode == http.StatusPermanentRedirect)
	if !repeats || len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// An exchange is one request and its reply as they went over the wire.
type exchange struct {
	sent, received atomic.Int64 // bytes of the bodies
	status         int
	header         http.Header
	failure        []byte // body of an answer that is no success, its beginning
}

type exchangeKey struct{}

// A transport counts the bytes of the exchange in the request's context, ends
// a reply that stands still or grows too long, and logs nothing. It makes one
// attempt.
type transport struct {
	next  http.RoundTripper
	idle  time.Duration
	limit int64
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ex, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		ex = &exchange{}
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	req = req.Clone(ctx)
	if req.Body != nil {
		req.Body = &counted{ReadCloser: req.Body, n: &ex.sent}
	}
	res, err := t.next.RoundTrip(req)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	ex.status, ex.header = res.StatusCode, res.Header
	timer := time.AfterFunc(t.idle, func() { cancel(errSilent) })
	timer.Stop()
	res.Body = &watched{from: res.Body, ex: ex, ctx: ctx, cancel: cancel, idle: t.idle, left: t.limit, timer: timer}
	return res, nil
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// watched is the body of a reply. Its timer runs while bytes are waited for,
// so that a slow reader here is not taken for a silent server.
type watched struct {
	from   io.ReadCloser
	ex     *exchange
	ctx    context.Context
	cancel context.CancelCauseFunc
	idle   time.Duration
	left   int64
	timer  *time.Timer
}

func (b *watched) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.cancel(errTooLong)
		return 0, errTooLong
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	b.timer.Reset(b.idle)
	n, err := b.from.Read(p)
	b.timer.Stop()
	b.left -= int64(n)
	b.ex.received.Add(int64(n))
	if err != nil {
		if cause := context.Cause(b.ctx); cause != nil && err != io.EOF {
			err = cause
		}
	}
	return n, err
}

func (b *watched) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.from.Close()
}

// A wire is a provider's address, key and limits: what the adapters share.
type wire struct {
	name, kind, base, key string
	needsKey              bool
	window                int64
	timeout               time.Duration
	client                *http.Client
}

// A call is one request to a provider.
type call struct {
	method, path string
	header       map[string]string
	body         any // sent as JSON; nil for none
	// each is handed the JSON of every message of the reply in order.
	each func([]byte) error
	read func(io.Reader, func([]byte) error) error
	form string // the content type that a success has
}

// do sends a call and reads the reply to its end. Errors are of class *Error;
// the exchange is never nil.
func (w *wire) do(ctx context.Context, c call) (*exchange, error) {
	ex := &exchange{}
	var body io.Reader
	if c.body != nil {
		b, err := encode(c.body)
		if err != nil {
			return ex, &Error{Class: Invalid, Provider: w.name, Message: "the request cannot be written as JSON", Err: err}
		}
		body = bytes.NewReader(b)
	}
	if w.needsKey && w.key == "" {
		return ex, &Error{Class: Auth, Provider: w.name, Message: "no key is set"}
	}
	timed, cancel := context.WithTimeoutCause(context.WithValue(ctx, exchangeKey{}, ex), w.timeout, errTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(timed, c.method, w.base+c.path, body)
	if err != nil {
		return ex, &Error{Class: Invalid, Provider: w.name, Message: "the address of the model cannot be written", Err: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "reeve")
	req.Header.Set("Accept", c.form)
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	if err := w.send(req, ex, c); err != nil {
		if cause := context.Cause(timed); errors.Is(cause, errTimeout) && ctx.Err() == nil {
			err = errTimeout
		}
		return ex, w.failed(ctx, ex, err)
	}
	return ex, nil
}

func (w *wire) send(req *http.Request, ex *exchange, c call) error {
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	form, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode/100 != 2 || form == "application/json" && c.form != form {
		if ex.failure, err = io.ReadAll(io.LimitReader(res.Body, maxFailureBytes)); err != nil && res.StatusCode/100 == 2 {
			return err
		}
		return errRefused
	}
	if form == "text/html" {
		return errNotProtocol
	}
	return c.read(res.Body, c.each)
}

// encode writes JSON as providers count it: without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}
