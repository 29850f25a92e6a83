package api

import (
	"log/slog"
	"net/http"
	"time"
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
