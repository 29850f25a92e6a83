package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"

	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
)

const (
	// joinsAtOnce is how many agents may ask to join at a time; further ones
	// are refused.
	joinsAtOnce = 64
	// joinMessage bounds what one of them asks.
	joinMessage = 64 << 10
)

// A Keeper answers who may speak and what is said.
type Keeper interface {
	// TLS answers the server's certificate and the authorities of agents.
	TLS() (*tls.Certificate, *x509.CertPool, error)
	// Enrol answers an agent that has no certificate yet; from is its address.
	Enrol(ctx context.Context, from string, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error)
	// Open takes a connection whose certificate was verified. Done is called
	// when it has ended.
	Open(p *Peer) (up linkpbconnect.UplinkHandler, done func())
}

// A Peer is the agent at the other end of a connection.
type Peer struct {
	Cert *x509.Certificate
	From string
	// Down is the command direction.
	Down linkpbconnect.DownlinkClient

	session *mux
}

// Close ends the connection at once.
func (p *Peer) Close() { p.session.Close() }

// Over reports whether the connection has ended.
func (p *Peer) Over() bool { return p.session.IsClosed() }

// A Server takes the connections of agents.
type Server struct {
	log    *slog.Logger
	keeper Keeper
	now    func() time.Time
	routes http.Handler  // of what agents say
	joins  chan struct{} // holds one for each agent that asks to join

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// NewServer makes a server; Close ends it.
func NewServer(log *slog.Logger, keeper Keeper, now func() time.Time) *Server {
	return &Server{log: log, keeper: keeper, now: now, routes: uplinkRoutes(), joins: make(chan struct{}, joinsAtOnce), conns: map[net.Conn]bool{}}
}

// ForAgents answers the TLS settings for an agent, and nil for whoever is
// none, for a listener that both come to.
func (s *Server) ForAgents(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != linkALPN && hello.SupportedProtos[0] != joinALPN {
		return nil, nil
	}
	return s.settings(hello.SupportedProtos[0] == linkALPN)
}

// settings are those of TLS; strict ones ask for a certificate.
func (s *Server) settings(strict bool) (*tls.Config, error) {
	cert, pool, err := s.keeper.TLS()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert}, Time: s.now,
		NextProtos: []string{joinALPN}, SessionTicketsDisabled: true}
	if strict {
		config.NextProtos, config.ClientAuth, config.ClientCAs = []string{linkALPN}, tls.RequireAndVerifyClientCert, pool
	}
	return config, nil
}

// ServeHTTP takes a WebSocket of an agent.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered.
	}
	socket.SetReadLimit(-1)
	s.Serve(websocket.NetConn(context.WithoutCancel(r.Context()), socket, websocket.MessageBinary), r.RemoteAddr)
}

// Serve speaks with an agent over a connection, TLS first, until it ends.
func (s *Server) Serve(conn net.Conn, from string) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config, err := s.ForAgents(hello)
		if config == nil && err == nil {
			err = ops.Errorf(ops.Invalid, "only agents speak here")
		}
		return config, err
	}}
	s.serveTLS(tls.Server(conn, config), from)
}

// serveTLS is Serve for a connection with TLS settings.
func (s *Server) serveTLS(conn *tls.Conn, from string) {
	if !s.hold(conn) {
		conn.Close()
		return
	}
	defer s.release(conn)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		s.log.Info("an agent was refused", "from", from, "err", handshakeError(err))
		return
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case joinALPN:
		s.join(conn, from)
	case linkALPN:
		s.link(conn, conn.ConnectionState().PeerCertificates[0], from)
	}
}

func handshakeError(err error) string {
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate does not count: " + bad.Err.Error()
	}
	return err.Error()
}

// join answers one agent that asks for a certificate; it has no time for more,
// and little room: nobody knows yet who asks.
func (s *Server) join(conn net.Conn, from string) {
	select {
	case s.joins <- struct{}{}:
		defer func() { <-s.joins }()
	default:
		s.log.Warn("an agent was refused", "from", from, "err", "too many ask to join at once")
		return
	}
	config := muxConfig()
	config.AcceptBacklog = 1
	session, err := serverMux(conn, config)
	if err != nil {
		return
	}
	defer session.Close()
	timer := time.AfterFunc(2*handshakeTimeout, func() { session.Close() })
	defer timer.Stop()
	routes := http.NewServeMux()
	routes.Handle(linkpbconnect.NewJoinHandler(joiner{s.keeper, from}, connect.WithReadMaxBytes(joinMessage), connect.WithSendMaxBytes(joinMessage)))
	answer(&single{mux: session}, &http.Server{Handler: routes, MaxHeaderBytes: joinMessage, HTTP2: &http.HTTP2Config{
		MaxConcurrentStreams: 1, MaxReceiveBufferPerConnection: joinMessage, MaxReceiveBufferPerStream: joinMessage}})
}

// single is a connection of which one stream is taken: an agent needs no more
// to join.
type single struct {
	*mux
	taken bool
}

// Accept answers the one stream, and then waits for the end.
func (s *single) Accept() (net.Conn, error) {
	if s.taken {
		<-s.CloseChan()
		return nil, net.ErrClosed
	}
	s.taken = true
	return s.mux.Accept()
}

type joiner struct {
	keeper Keeper
	from   string
}

func (j joiner) Enrol(ctx context.Context, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	answer, err := j.keeper.Enrol(ctx, j.from, r)
	return answer, toWire(err)
}

func (s *Server) link(conn net.Conn, cert *x509.Certificate, from string) {
	session, err := serverMux(conn, muxConfig())
	if err != nil {
		return
	}
	defer session.Close()
	client := overMux(session)
	defer client.CloseIdleConnections()
	peer := &Peer{Cert: cert, From: from, session: session, Down: linkpbconnect.NewDownlinkClient(client, base, clientOptions...)}
	// The certificate counts to its end, not only at the beginning.
	expiry := time.AfterFunc(cert.NotAfter.Sub(s.now()), func() { session.Close() })
	defer expiry.Stop()
	up, done := s.keeper.Open(peer)
	defer done()
	answer(session, &http.Server{Handler: s.routes, BaseContext: inContext(up)})
}

func (s *Server) hold(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = true
	s.wg.Add(1)
	return true
}

func (s *Server) release(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.wg.Done()
}

// Close ends every connection and waits for their handlers.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ops.Errorf(ops.Unavailable, "connections of agents do not end")
	}
}
