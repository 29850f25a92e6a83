package link

import (
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// A mux is many streams over one connection. It ends the reads of its streams
// before the session does: a read of yamux that finds its session closed, and
// its stream not yet, turns in a circle and takes the core that the closing
// needs.
type mux struct {
	*yamux.Session

	mu      sync.Mutex
	over    bool
	streams map[*stream]bool
}

// newMux makes a mux with one of yamux.Client and yamux.Server.
func newMux(conn net.Conn, side func(*mux) (*yamux.Session, error)) (*mux, error) {
	m := &mux{streams: map[*stream]bool{}}
	var err error
	m.Session, err = side(m)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

func clientMux(conn net.Conn) (*mux, error) {
	return newMux(conn, func(m *mux) (*yamux.Session, error) { return yamux.Client(watched{conn, m}, muxConfig()) })
}

func serverMux(conn net.Conn, config *yamux.Config) (*mux, error) {
	return newMux(conn, func(m *mux) (*yamux.Session, error) { return yamux.Server(watched{conn, m}, config) })
}

// Open begins a stream.
func (m *mux) Open() (net.Conn, error) { return m.take(m.OpenStream()) }

// Accept answers the next stream that the other side begins.
func (m *mux) Accept() (net.Conn, error) { return m.take(m.AcceptStream()) }

// Close ends the connection with all streams.
func (m *mux) Close() error {
	m.end()
	return m.Session.Close()
}

func (m *mux) take(s *yamux.Stream, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	x := &stream{Stream: s, m: m}
	m.mu.Lock()
	m.streams[x] = true
	over := m.over
	m.mu.Unlock()
	if over {
		x.end()
	}
	return x, nil
}

// end ends the reads of all streams.
func (m *mux) end() {
	m.mu.Lock()
	m.over = true
	var all []*stream
	for s := range m.streams {
		all = append(all, s)
	}
	m.mu.Unlock()
	for _, s := range all {
		s.end()
	}
}

// watched is a connection whose end ends the reads of a mux.
type watched struct {
	net.Conn
	m *mux
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.m.end()
	}
	return n, err
}

// A stream is one of a mux. A deadline that is set after the end does not
// count.
type stream struct {
	*yamux.Stream
	m *mux

	mu   sync.Mutex
	over bool
}

// Read gives the buffer back when all of it was read: an agent speaks every
// few seconds, and between them a thousand buffers would hold a report each.
func (s *stream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	s.Shrink()
	return n, err
}

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.Stream.SetReadDeadline(time.Unix(1, 0)) // it has no error to answer
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	return s.Stream.SetReadDeadline(t)
}

func (s *stream) SetDeadline(t time.Time) error {
	if err := s.SetWriteDeadline(t); err != nil {
		return err
	}
	return s.SetReadDeadline(t)
}

func (s *stream) Close() error {
	s.m.mu.Lock()
	delete(s.m.streams, s)
	s.m.mu.Unlock()
	return s.Stream.Close()
}
