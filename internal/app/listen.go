package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/signin"
)

// A web is the listeners while they answer.
type web struct {
	plain, secure net.Listener // secure is nil without TLS
	mu            sync.Mutex
	failed        error
}

// listen answers requests from now on; a taken port is an error of the start.
func (s *Server) listen(ctx context.Context) (err error) {
	if s.web.plain, err = net.Listen("tcp", s.config.Listen); err != nil {
		return ops.Because(ops.Unavailable, err, "the address %s cannot be listened on (%s); choose another with --listen ADDR", s.config.Listen, reason(err))
	}
	if addr, ok := s.web.plain.Addr().(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		s.log.Warn("the page is open to the network without TLS: passwords can be read on the way; use --listen-tls ADDR for the network", "addr", addr.String())
	}
	s.serve(s.web.plain)
	if s.config.ListenTLS != "" {
		files := pki.Files{DataDir: s.config.Data, Cert: s.config.TLSCert, Key: s.config.TLSKey, Names: s.hostNames(), Else: s.fleet.Link().ForAgents}
		if s.web.secure, err = pki.Listen(s.config.ListenTLS, files); err != nil {
			return err
		}
		s.serve(s.fleet.Link().Split(s.web.secure))
	}
	local := signin.LocalFile{Dir: s.config.Data, URL: s.URL(), Name: "client.json"}
	if s.duty.shared {
		local.Name += " of " + s.serverID
	}
	return signin.LocalToken(ctx, s.store, local, time.Now())
}

// reason answers the last part of a network error, which is the one for
// people.
func reason(err error) string {
	parts := strings.Split(err.Error(), ": ")
	return parts[len(parts)-1]
}

// serve answers what comes to a listener until the process stops.
func (s *Server) serve(l net.Listener) {
	server := api.NewHTTPServer(s.log, s.api)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.web.mu.Lock()
			defer s.web.mu.Unlock()
			s.web.failed = errors.Join(s.web.failed, fmt.Errorf("answer requests on %s: %w", l.Addr(), err))
		}
	}()
	s.push("requests on "+l.Addr().String(), func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("requests are still under way: %w", err), server.Close())
		}
		return nil
	})
}

// Failed answers why the process cannot go on answering requests, nil while
// it can.
func (s *Server) Failed() error {
	s.web.mu.Lock()
	defer s.web.mu.Unlock()
	return s.web.failed
}

// URL answers the address of the page on this machine.
func (s *Server) URL() string {
	addr := s.web.plain.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", addr.Port)
	}
	return "http://" + addr.String()
}

// SecureURL answers the address of the page for the network, "" for none.
func (s *Server) SecureURL() string {
	if s.web.secure == nil {
		return ""
	}
	return "https://" + s.web.secure.Addr().String()
}
