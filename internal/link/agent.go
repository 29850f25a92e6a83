package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
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
	session *mux
	client  *http.Client
	capped  *capped
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.session.CloseChan() }

// Close ends the connection.
func (c *Conn) Close() {
	c.session.Close()
	c.client.CloseIdleConnections()
}

// Cap changes how many bytes a second are sent; 0 for no cap.
func (c *Conn) Cap(bytesPerS int64) { c.capped.set(bytesPerS) }

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
	session, capped, err := d.session(ctx, plain, hostTLS(d.Cert, d.Trust, d.Now))
	if err != nil {
		return nil, err
	}
	routes := http.NewServeMux()
	routes.Handle(linkpbconnect.NewDownlinkHandler(down, handlerOptions...))
	go answer(session, &http.Server{Handler: routes}) // ends with the session
	client := overMux(session)
	return &Conn{Up: linkpbconnect.NewUplinkClient(client, base, clientOptions...), session: session, client: client, capped: capped}, nil
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

func (d Dialer) session(ctx context.Context, plain net.Conn, config *tls.Config) (*mux, *capped, error) {
	limited := newCapped(plain, d.BytesPerS)
	conn := tls.Client(limited, config)
	shaking, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(shaking); err != nil {
		limited.Close()
		return nil, nil, handshakeFailure(err)
	}
	session, err := clientMux(conn)
	if err != nil {
		limited.Close()
		return nil, nil, err
	}
	// The handshake of TLS 1.3 ends here before the server has looked at the
	// certificate of this side: only an answer says that it counts.
	if _, err := session.Ping(); err != nil {
		session.Close()
		if _, refused := conn.Read(make([]byte, 1)); refused != nil {
			err = refused // why the session ended
		}
		return nil, nil, handshakeFailure(err)
	}
	return session, limited, nil
}

// handshakeFailure says what to do about a handshake that failed.
func handshakeFailure(err error) error {
	if e, ok := errors.AsType[*ops.Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ops.Because(ops.Forbidden, err, "the server's certificate is not of the authority that this agent trusts, or the clocks differ: %v", err)
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		return ops.Because(ops.Forbidden, err, "the server refuses the certificate of this agent: %v; if it stays so, let it join again: `reeve host add NAME` on the server", alert.Err)
	}
	if errors.Is(err, io.EOF) {
		return ops.Because(ops.Unavailable, err, "the server ended the connection at once; its log says why: try again in a minute")
	}
	return err
}

// capped is a connection with a bound on what is sent a second.
type capped struct {
	net.Conn
	limit *rate.Limiter
	open  context.Context // ends with the connection
	end   context.CancelFunc
}

// burst is the most that is written at once under a cap; with the lowest cap
// it must be through before the connection is taken for dead.
const burst = 16 << 10

// LeastBytesPerS is the lowest cap that makes sense.
const LeastBytesPerS = 4096

func newCapped(c net.Conn, bytesPerS int64) *capped {
	x := &capped{Conn: c, limit: rate.NewLimiter(rate.Inf, burst)}
	x.open, x.end = context.WithCancel(context.Background())
	x.set(bytesPerS)
	return x
}

// Close also ends the wait of a write.
func (c *capped) Close() error {
	c.end()
	return c.Conn.Close()
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
		if err := c.limit.WaitN(c.open, len(part)); err != nil {
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
