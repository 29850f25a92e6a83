package link

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// waiting is how many connections may be ready and not yet taken.
const waiting = 64

// A split is a listener whose agents go to a Server, and the rest to whoever
// accepts.
type split struct {
	net.Listener
	server *Server
	ready  chan net.Conn
	failed chan error
	closed chan struct{}
	once   sync.Once
}

// Split answers a listener for all that come to a TLS listener, with the
// settings of ForAgents, but agents: those this server speaks with.
func (s *Server) Split(l net.Listener) net.Listener {
	x := &split{Listener: l, server: s, ready: make(chan net.Conn, waiting), failed: make(chan error, 1), closed: make(chan struct{})}
	go x.run() // ends with the listener
	return x
}

func (x *split) run() {
	for {
		conn, err := x.Listener.Accept()
		if err != nil {
			x.failed <- err
			return
		}
		go x.sort(conn) // ends with the handshake, or with the agent
	}
}

// sort finds out by its handshake who a connection is from.
func (x *split) sort(conn net.Conn) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		conn.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		x.server.log.Info("a TLS connection failed", "from", conn.RemoteAddr().String(), "err", handshakeError(err))
		conn.Close()
		return
	}
	if p := secure.ConnectionState().NegotiatedProtocol; p == linkALPN || p == joinALPN {
		cancel()
		x.server.serveTLS(secure, conn.RemoteAddr().String())
		return
	}
	select {
	case x.ready <- secure:
	case <-x.closed:
		conn.Close()
	case <-time.After(handshakeTimeout):
		conn.Close()
	}
}

// Accept answers the next connection that is not from an agent.
func (x *split) Accept() (net.Conn, error) {
	select {
	case conn := <-x.ready:
		return conn, nil
	case err := <-x.failed:
		x.failed <- err
		return nil, err
	}
}

// Close ends the listener.
func (x *split) Close() error {
	x.once.Do(func() { close(x.closed) })
	return x.Listener.Close()
}
