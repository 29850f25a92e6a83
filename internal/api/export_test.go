package api

import "time"

// Routes answers the table of a server, for tests that go through all of it.
func (s *Server) Routes() []Route { return s.routes }

// OpenAPI answers the description of a server.
func (s *Server) OpenAPI() []byte { return s.openapi }

// SetNow replaces the clock of a server.
func (s *Server) SetNow(now func() time.Time) { s.now = now }

// ParseCursor is parseCursor for the fuzzer.
var ParseCursor = parseCursor

// NewLimiter is newLimiter.
var NewLimiter = newLimiter

// Take is take.
func (l *limiter) Take(key string, now time.Time) error { return l.take(key, now) }

// Keys answers how many keys a limiter remembers.
func (l *limiter) Keys() int { return len(l.keys) }

// SetRecheck replaces how often who listens to the stream is looked at again.
func (s *Server) SetRecheck(d time.Duration) { s.hub.recheck = d }
