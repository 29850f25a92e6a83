package api

import (
	"time"

	"reeve/internal/rest"
)

// Routes answers the table of a server, for tests that go through all of it.
func (s *Server) Routes() []rest.Route { return s.routes }

// OpenAPI answers the description of a server.
func (s *Server) OpenAPI() []byte { return s.openapi }

// SetNow replaces the clock of a server.
func (s *Server) SetNow(now func() time.Time) { s.now = now }

// ParseCursor is parseCursor for the fuzzer.
var ParseCursor = parseCursor

// SetRecheck replaces how often who listens to the stream is looked at again.
func (s *Server) SetRecheck(d time.Duration) { s.hub.recheck = d }
