package app

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// openDatabase opens the database, after it put a restored one in its place.
func (s *Server) openDatabase(ctx context.Context) (err error) {
	if path, ok := strings.CutPrefix(s.config.Database, "sqlite:"); ok {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return ops.Because(ops.Unavailable, err, "the folder of the database %s cannot be made", path)
		}
		unlock, err := lockDatabase(path)
		if err != nil {
			return err
		}
		s.push("database lock", func(context.Context) error { return unlock() })
		restored, err := store.FinishRestore(path)
		for _, at := range restored {
			s.log.Info("a backup was put in the place of the database", "database", path, "restore", at)
		}
		if err != nil {
			return err
		}
	}
	if s.store, err = store.Open(ctx, s.log, store.Options{URL: s.config.Database}); err != nil {
		return err
	}
	s.push("database", func(context.Context) error { return s.store.Close() })
	return nil
}

// restart asks whoever runs the server for Next.
func (s *Server) restart() {
	select {
	case s.again <- struct{}{}:
	default: // Asked already.
	}
}

// Again receives when the server shall stop and another go on in its place,
// because a backup waits to be put in the place of its database.
func (s *Server) Again() <-chan struct{} { return s.again }

// Next stops the server under the deadline of stopping and builds the one that
// goes on in its place, on the same data folder, which nobody else can take in
// between, and on the same addresses. It is not started. On an error nothing
// runs any more.
func (s *Server) Next(ctx, stopping context.Context) (*Server, error) {
	o := s.options
	o.Config.Listen = keepPort(o.Config.Listen, s.web.plain)
	o.Config.ListenTLS = keepPort(o.Config.ListenTLS, s.web.secure)
	held := s.cleanups[0]
	s.cleanups = s.cleanups[1:]
	if err := s.close(stopping); err != nil {
		_ = held.run(stopping) // The process ends, and the lock with it.
		return nil, err
	}
	return build(ctx, o, held)
}

// keepPort answers an address to listen on; a port that was left open stays
// what it became.
func keepPort(addr string, l net.Listener) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" || l == nil {
		return addr
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		return addr
	}
	return net.JoinHostPort(host, port)
}
