package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"reeve/internal/ops"
)

// The patience of the listeners. The event stream and the backup move their
// own deadlines.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 90 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
)

// ListenOptions say where the server listens.
type ListenOptions struct {
	Addr    string // without TLS, for this machine; "" for nowhere
	TLSAddr string // with TLS, for the network; "" for nowhere
	// CertFile and KeyFile are the certificate to serve; without them it is
	// one of the own authority that is kept in DataDir.
	CertFile, KeyFile string
	DataDir           string
	Names             []string // that the certificate is for, besides this machine's
}

// A Web is the server while it listens.
type Web struct {
	// Addr and TLSAddr are where it listens, nil for nowhere.
	Addr, TLSAddr net.Addr

	server  *Server
	serving []*http.Server
	done    sync.WaitGroup
	mu      sync.Mutex
	failed  error
}

// Listen opens the listeners and serves until Stop.
func (s *Server) Listen(ctx context.Context, o ListenOptions) (*Web, error) {
	w := &Web{server: s}
	if o.Addr != "" {
		l, err := listen(ctx, o.Addr)
		if err != nil {
			return nil, err
		}
		w.Addr = l.Addr()
		w.serve(l, nil)
	}
	if o.TLSAddr == "" {
		return w, nil
	}
	config, err := tlsConfig(o, s.now)
	if err == nil {
		var l net.Listener
		if l, err = listen(ctx, o.TLSAddr); err == nil {
			w.TLSAddr = l.Addr()
			w.serve(l, config)
			return w, nil
		}
	}
	return nil, errors.Join(err, w.Stop(ctx))
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, ops.Because(ops.Unavailable, err, "cannot listen on %s: %v", addr, errors.Unwrap(err))
	}
	return l, nil
}

// serve answers what comes to a listener. Its goroutine ends with Stop.
func (w *Web) serve(l net.Listener, config *tls.Config) {
	server := &http.Server{
		Handler: w.server, TLSConfig: config,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(w.server.log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(w.server.hub.stop)
	w.serving = append(w.serving, server)
	w.done.Go(func() {
		var err error
		if config != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			w.mu.Lock()
			w.failed = errors.Join(w.failed, fmt.Errorf("serve %s: %w", l.Addr(), err))
			w.mu.Unlock()
		}
	})
}

// Failed answers why a listener ended by itself, nil while all is well.
func (w *Web) Failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// Stop ends the event streams, waits for the requests under way and closes
// the listeners. When ctx ends first, what is still under way is cut off.
func (w *Web) Stop(ctx context.Context) error {
	var all []error
	for _, server := range w.serving {
		if err := server.Shutdown(ctx); err != nil {
			all = append(all, fmt.Errorf("requests are still under way: %w", err), server.Close())
		}
	}
	w.done.Wait()
	return errors.Join(all...)
}
