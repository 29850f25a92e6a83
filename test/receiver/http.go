// Package receiver holds real receivers of messages for tests: an HTTP server
// and an SMTP server on 127.0.0.1 that keep what they are sent and answer as
// they are told.
package receiver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const bodyLimitBytes = 4 << 20

// A Request is what the HTTP receiver was sent.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Query  string
	Host   string
	Header http.Header
	Body   []byte
}

// JSON answers the body as JSON; nil when it is none.
func (r Request) JSON() map[string]any {
	var v map[string]any
	if json.Unmarshal(r.Body, &v) != nil {
		return nil
	}
	return v
}

// An Answer is what the HTTP receiver says; the zero value is 200.
type Answer struct {
	Status int
	Header map[string]string
	Body   string
	Delay  time.Duration // before the answer; a client that leaves ends it
}

// HTTP is a running HTTP receiver.
type HTTP struct {
	URL string

	server *http.Server
	mu     sync.Mutex
	got    []Request
	answer func(n int, r Request) Answer
	news   chan struct{}
}

// NewHTTP starts a receiver that takes everything.
func NewHTTP() (*HTTP, error) { return startHTTP(nil) }

// NewHTTPS starts a receiver with TLS.
func NewHTTPS(cert tls.Certificate) (*HTTP, error) {
	return startHTTP(&tls.Config{Certificates: []tls.Certificate{cert}})
}

func startHTTP(secure *tls.Config) (*HTTP, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	h := &HTTP{URL: "http://" + listener.Addr().String(), news: make(chan struct{})}
	if secure != nil {
		h.URL = "https://" + listener.Addr().String()
		listener = tls.NewListener(listener, secure)
	}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go h.server.Serve(listener)
	return h, nil
}

// Close stops the receiver at once.
func (h *HTTP) Close() error { return h.server.Close() }

// Answer sets what is answered from now on; n counts requests from 0.
func (h *HTTP) Answer(f func(n int, r Request) Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

// Requests answers everything received so far.
func (h *HTTP) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Request(nil), h.got...)
}

// Wait waits until at least n requests came and answers them all; when ctx
// ends first, those that came.
func (h *HTTP) Wait(ctx context.Context, n int) ([]Request, error) {
	for {
		h.mu.Lock()
		got, news := append([]Request(nil), h.got...), h.news
		h.mu.Unlock()
		if len(got) >= n {
			return got, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return got, fmt.Errorf("%d of %d requests came: %w", len(got), n, ctx.Err())
		}
	}
}

// ServeHTTP keeps the request and answers it.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimitBytes))
	if err != nil {
		return // The sender left; it was not received.
	}
	req := Request{At: time.Now(), Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host, Header: r.Header.Clone(), Body: body}
	a := h.keep(req)
	if a.Delay > 0 {
		select {
		case <-time.After(a.Delay):
		case <-r.Context().Done():
			return
		}
	}
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	io.WriteString(w, a.Body)
}

func (h *HTTP) keep(r Request) Answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.got)
	h.got = append(h.got, r)
	close(h.news)
	h.news = make(chan struct{})
	if h.answer == nil {
		return Answer{}
	}
	return h.answer(n, r)
}
