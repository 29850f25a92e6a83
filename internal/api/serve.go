package api

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
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

// NewHTTPServer makes the server for one listener. When it shuts down the
// event streams end, so that it need not wait for them.
func NewHTTPServer(log *slog.Logger, s *Server) *http.Server {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.hub.stop)
	return server
}

// TLSFiles say with which certificate the listener for the network serves.
type TLSFiles struct {
	// Cert and Key are files with the certificate and its key; without them
	// it is one of the own authority that is kept in DataDir.
	Cert, Key string
	DataDir   string
	// Names are names and addresses that the certificate is for, besides
	// those of this machine.
	Names []string
}

// ListenTLS opens a listener for the network.
func ListenTLS(addr string, files TLSFiles) (net.Listener, error) {
	config, err := tlsConfig(files, time.Now)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, ops.Because(ops.Unavailable, err, "cannot listen on %s: %v", addr, cause(err))
	}
	return tls.NewListener(l, config), nil
}

// cause answers the innermost part of an error, which is the one for people.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
