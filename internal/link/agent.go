package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"
	"golang.org/x/time/rate"

	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
)

// An Address is where a server is: reeve://HOST:PORT for its own listener,
// or https://HOST[:PORT][/PREFIX] where a proxy stands before it.
type Address struct {
	direct string // host:port
	socket string // URL of the WebSocket
}

// DefaultPort is that of a server's listener for the network.
const DefaultPort = "7434"

// ParseAddress reads an address.
func ParseAddress(text string) (Address, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Address{}, ops.Errorf(ops.Invalid, "the address %q is neither reeve://HOST:PORT nor https://HOST", text)
	}
	switch u.Scheme {
	case "reeve":
		port := u.Port()
		if port == "" {
			port = DefaultPort
		}
		return Address{direct: net.JoinHostPort(u.Hostname(), port)}, nil
	case "https", "http":
		u.Path = strings.TrimSuffix(u.Path, "/") + Path
		return Address{socket: u.String()}, nil
	}
	return Address{}, ops.Errorf(ops.Invalid, "the address %q is neither reeve://HOST:PORT nor https://HOST", text)
}

// dial opens the connection below the TLS.
func (a Address) dial(ctx context.Context) (net.Conn, error) {
	if a.direct != "" {
		d := net.Dialer{Timeout: handshakeTimeout, KeepAlive: keepAlive}
		return d.DialContext(ctx, "tcp", a.direct)
	}
	opening, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	socket, answer, err := websocket.Dial(opening, a.socket, &websocket.DialOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		if answer != nil && answer.StatusCode != http.StatusSwitchingProtocols {
			return nil, ops.Because(ops.Unavailable, err, "%s answers %s and not as a Reeve server", a.socket, answer.Status)
		}
		return nil, err
	}
	socket.SetReadLimit(-1)
	return websocket.NetConn(context.WithoutCancel(ctx), socket, websocket.MessageBinary), nil
}

// A Dialer opens connections to a server for an agent.
type Dialer struct {
	Address Address
	Cert    *tls.Certificate
	Trust   []*x509.Certificate
	Now     func() time.Time
	// BytesPerS caps what is sent; 0 for no cap.
	BytesPerS int64
}

// A Conn is a connection to the server.
type Conn struct {
	// Up is what the agent asks of the server.
	Up      linkpbconnect.UplinkClient
	session *yamux.Session
	client  *http.Client
	heard   *hearing
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.session.CloseChan() }

// Close ends the connection.
func (c *Conn) Close() {
	c.session.Close()
	c.client.CloseIdleConnections()
}

// Cap changes how many bytes a second are sent; 0 for no cap.
func (c *Conn) Cap(bytesPerS int64) { c.heard.sent.set(bytesPerS) }

// Why answers why a call failed: what the server said as it ended the
// connection, else the error of the call. A server looks at the certificate of
// an agent after the agent has seen the handshake succeed.
func (c *Conn) Why(err error) error {
	if said := c.heard.refusal(); said != nil && err != nil {
		return said
	}
	return err
}

// Dial opens a connection and answers commands that come over it.
func (d Dialer) Dial(ctx context.Context, down linkpbconnect.DownlinkHandler) (*Conn, error) {
	plain, err := d.Address.dial(ctx)
	if err != nil {
		return nil, err
	}
	return d.Over(ctx, plain, down)
}

// Over is Dial over a connection that is there already, which it closes on an
// error.
func (d Dialer) Over(ctx context.Context, plain net.Conn, down linkpbconnect.DownlinkHandler) (*Conn, error) {
	session, heard, err := d.session(ctx, plain, hostTLS(d.Cert, d.Trust, d.Now))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(linkpbconnect.NewDownlinkHandler(down, handlerOptions...))
	go answer(session, mux) // ends with the session
	client := overMux(session)
	return &Conn{Up: linkpbconnect.NewUplinkClient(client, base, clientOptions...), session: session, client: client, heard: heard}, nil
}

// Enrol asks for a certificate with a token, of a server whose authority has
// the given fingerprint.
func (d Dialer) Enrol(ctx context.Context, fingerprint string, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	plain, err := d.Address.dial(ctx)
	if err != nil {
		return nil, err
	}
	return d.EnrolOver(ctx, plain, fingerprint, r)
}

// EnrolOver is Enrol over a connection that is there already, which it closes.
func (d Dialer) EnrolOver(ctx context.Context, plain net.Conn, fingerprint string, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	session, _, err := d.session(ctx, plain, joinTLS(fingerprint, d.Now))
	if err != nil {
		return nil, err
	}
	defer session.Close()
	client := overMux(session)
	defer client.CloseIdleConnections()
	answer, err := linkpbconnect.NewJoinClient(client, base, clientOptions...).Enrol(ctx, r)
	return answer, FromWire(err)
}

func (d Dialer) session(ctx context.Context, plain net.Conn, config *tls.Config) (*yamux.Session, *hearing, error) {
	limited := newCapped(plain, d.BytesPerS)
	conn := tls.Client(limited, config)
	shaking, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(shaking); err != nil {
		plain.Close()
		return nil, nil, handshakeFailure(err)
	}
	heard := &hearing{Conn: conn, sent: limited}
	session, err := yamux.Client(heard, muxConfig())
	if err != nil {
		plain.Close()
		return nil, nil, err
	}
	return session, heard, nil
}

// hearing is a connection with TLS that keeps what the other end said as it
// ended it.
type hearing struct {
	net.Conn
	sent *capped

	mu   sync.Mutex
	said error
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if isAlert(err) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.said = handshakeFailure(err)
	}
	return n, err
}

// refusal answers what the other end said, nil for nothing.
func (h *hearing) refusal() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said
}

// isAlert reports whether an error is what the other end of a TLS connection
// said, and no fault of the way.
func isAlert(err error) bool {
	said, ok := errors.AsType[*net.OpError](err)
	return ok && said.Op == "remote error"
}

// handshakeFailure says what to do about a handshake that failed.
func handshakeFailure(err error) error {
	if e, ok := errors.AsType[*ops.Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ops.Because(ops.Forbidden, err, "the server's certificate is not of the authority that this agent trusts, or the clocks differ: %v", err)
	}
	if isAlert(err) {
		return ops.Because(ops.Forbidden, err, "the server refuses the certificate of this agent: %v; if it stays so, let it join again: `reeve host add NAME` on the server", err)
	}
	return err
}

// capped is a connection with a bound on what is sent a second.
type capped struct {
	net.Conn
	limit *rate.Limiter
}

// burst is the most that is written at once under a cap.
const burst = 16 << 10

func newCapped(c net.Conn, bytesPerS int64) *capped {
	x := &capped{c, rate.NewLimiter(rate.Inf, burst)}
	x.set(bytesPerS)
	return x
}

func (c *capped) set(bytesPerS int64) {
	limit := rate.Inf
	if bytesPerS > 0 {
		limit = rate.Limit(bytesPerS)
	}
	c.limit.SetLimit(limit)
}

func (c *capped) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), burst)]
		if err := c.limit.WaitN(context.Background(), len(part)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}
