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

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
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

	session *yamux.Session
}

// Close ends the connection at once.
func (p *Peer) Close() { p.session.Close() }

// A Server takes the connections of agents.
type Server struct {
	log    *slog.Logger
	keeper Keeper
	now    func() time.Time

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// NewServer makes a server; Close ends it.
func NewServer(log *slog.Logger, keeper Keeper, now func() time.Time) *Server {
	return &Server{log: log, keeper: keeper, now: now, conns: map[net.Conn]bool{}}
}

// Config answers the TLS settings for a listener that also takes others than
// agents: what an agent asks for is told by LooksLikeLink.
func (s *Server) Config() (*tls.Config, error) {
	cert, pool, err := s.keeper.TLS()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert}, Time: s.now,
		NextProtos: []string{linkALPN, joinALPN}, SessionTicketsDisabled: true}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != linkALPN {
			return nil, nil
		}
		strict := config.Clone()
		strict.GetConfigForClient, strict.ClientAuth, strict.ClientCAs = nil, tls.RequireAndVerifyClientCert, pool
		return strict, nil
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
	config, err := s.Config()
	if err != nil {
		s.log.Error("agents cannot be taken", "err", err)
		conn.Close()
		return
	}
	s.ServeTLS(tls.Server(conn, config), from)
}

// ServeTLS is Serve for a connection with the settings of Config.
func (s *Server) ServeTLS(conn *tls.Conn, from string) {
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
	session, err := yamux.Server(conn, muxConfig())
	if err != nil {
		return
	}
	defer session.Close()
	switch conn.ConnectionState().NegotiatedProtocol {
	case joinALPN:
		s.join(session, from)
	case linkALPN:
		s.link(session, conn.ConnectionState().PeerCertificates[0], from)
	}
}

func handshakeError(err error) string {
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate does not count: " + bad.Err.Error()
	}
	return err.Error()
}

// join answers one agent that asks for a certificate; it has no time for more.
func (s *Server) join(session *yamux.Session, from string) {
	timer := time.AfterFunc(2*handshakeTimeout, func() { session.Close() })
	defer timer.Stop()
	mux := http.NewServeMux()
	mux.Handle(linkpbconnect.NewJoinHandler(joiner{s.keeper, from}, handlerOptions...))
	answer(session, mux)
}

type joiner struct {
	keeper Keeper
	from   string
}

func (j joiner) Enrol(ctx context.Context, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	answer, err := j.keeper.Enrol(ctx, j.from, r)
	return answer, toWire(err)
}

func (s *Server) link(session *yamux.Session, cert *x509.Certificate, from string) {
	client := overMux(session)
	defer client.CloseIdleConnections()
	peer := &Peer{Cert: cert, From: from, session: session, Down: linkpbconnect.NewDownlinkClient(client, base, clientOptions...)}
	// The certificate counts to its end, not only at the beginning.
	expiry := time.AfterFunc(cert.NotAfter.Sub(s.now()), func() { session.Close() })
	defer expiry.Stop()
	up, done := s.keeper.Open(peer)
	defer done()
	mux := http.NewServeMux()
	mux.Handle(linkpbconnect.NewUplinkHandler(up, handlerOptions...))
	answer(session, mux)
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
