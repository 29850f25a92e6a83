package api

import (
	"log/slog"
	"net/http"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
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

// nothing answers for paths of the API that no route has: 405 where another
// method would do, else 404.
func (s *Server) nothing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var others []string
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			try := r.Clone(r.Context())
			try.Method = method
			if _, pattern := s.mux.Handler(try); s.patterns[pattern] {
				others = append(others, method)
			}
		}
		if len(others) == 0 {
			rest.Fail(s.log, w, r, ops.Errorf(ops.NotFound, "the API has no %s", rest.Short(r.URL.Path)))
			return
		}
		for _, method := range others {
			w.Header().Add("Allow", method)
		}
		rest.Fail(s.log, w, r, rest.WithStatus(http.StatusMethodNotAllowed,
			ops.Errorf(ops.Invalid, "%s does not answer %s", rest.Short(r.URL.Path), rest.Short(r.Method))))
	})
}
