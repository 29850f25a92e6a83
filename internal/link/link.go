// Package link carries the protocol between an agent and its server: one
// connection that the agent dials, mutual TLS inside it with both sides
// pinned, and RPC in both directions over it. The connection is plain TCP, or
// a WebSocket where only HTTP passes; the TLS inside is the same, so a proxy
// that ends TLS of its own sees nothing and can fake nothing.
package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/yamux"

	"reeve/internal/ops"
	"reeve/internal/pki"
)

// The protocols, as TLS names them.
const (
	linkALPN = "reeve-link/1" // with a certificate on both sides
	joinALPN = "reeve-join/1" // the agent has none yet
)

// Path is where a WebSocket of an agent is taken.
const Path = "/agent/v1/link"

// Protocols are the versions of the messages that this build speaks, the
// newest first.
var Protocols = []uint32{1}

const (
	handshakeTimeout = 15 * time.Second
	// MaxMessage bounds one message: a report of a host with thousands of
	// resources has a few MB.
	MaxMessage = 32 << 20
	// keepAlive notices a connection whose other end is gone.
	keepAlive   = 15 * time.Second
	idleTimeout = 5 * time.Minute
)

// Speaks answers the newest protocol that both sides speak, 0 for none.
func Speaks(theirs []uint32) uint32 {
	for _, ours := range Protocols {
		for _, p := range theirs {
			if p == ours {
				return p
			}
		}
	}
	return 0
}

// hostTLS are the settings of an agent that has a certificate.
func hostTLS(cert *tls.Certificate, trust []*x509.Certificate, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{linkALPN}, ServerName: pki.ServerName, RootCAs: pki.Pool(trust), Time: now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil },
	}
}

// joinTLS are the settings of an agent that knows nothing but the fingerprint
// of the server's authority. The chain is verified as always, against the one
// authority in it that has the fingerprint.
func joinTLS(fingerprint string, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{joinALPN}, ServerName: pki.ServerName, InsecureSkipVerify: true, Time: now,
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, c := range s.PeerCertificates[1:] {
				if pki.Fingerprint(c) != fingerprint {
					continue
				}
				_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: pki.ServerName, Roots: pki.Pool([]*x509.Certificate{c}),
					CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
				return err
			}
			return ops.Errorf(ops.Forbidden, "the server has another authority than the line to join with says: it is not the one that made the line, or somebody is in between")
		},
	}
}

// muxConfig are the settings of streams over one connection.
func muxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput, c.KeepAliveInterval, c.ConnectionWriteTimeout = io.Discard, keepAlive, keepAlive
	c.StreamOpenTimeout, c.StreamCloseTimeout = keepAlive, idleTimeout
	return c
}

// overMux answers a client whose requests are streams of a connection.
func overMux(session *mux) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{
		Protocols: protocols, HTTP2: keepLittle(&http.HTTP2Config{}), DisableCompression: true, MaxConnsPerHost: 1,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			stream, err := session.Open()
			if err != nil {
				return nil, err
			}
			return piecewise{stream}, nil
		},
	}}
}

// answer lets a server answer requests that come over streams until the
// connection ends. A frame is written whole before one of another request, so
// that they are small: a heartbeat has its turn within a large report, also
// under a cap.
func answer(streams net.Listener, server *http.Server) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.ReadHeaderTimeout, server.IdleTimeout = handshakeTimeout, 24*time.Hour
	if server.HTTP2 == nil {
		server.HTTP2 = &http.HTTP2Config{}
	}
	server.HTTP2.MaxReadFrameSize = burst
	keepLittle(server.HTTP2)
	server.Serve(streams)
	server.Close()
}

// headerTable is how many bytes each side keeps of the headers that it saw: all
// requests have the same few.
const headerTable = 1 << 10

// keepLittle bounds what is kept of a connection between two requests.
func keepLittle(c *http.HTTP2Config) *http.HTTP2Config {
	c.MaxDecoderHeaderTableSize, c.MaxEncoderHeaderTableSize = headerTable, headerTable
	return c
}

// piece is the most that a stream writes at once: the other side keeps a buffer
// for as much as long as the connection lasts.
const piece = 4 << 10

// piecewise is a stream that writes little at once. A write is whole on the
// connection before another stream or a keep-alive has its turn, and under a
// cap that must not take longer than they wait.
type piecewise struct{ net.Conn }

func (p piecewise) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var m int
		m, err = p.Conn.Write(b[:min(len(b), piece)])
		n, b = n+m, b[m:]
	}
	return n, err
}

// compressFrom is the size from which an answer is compressed: to most, which
// are a few bytes, a compressor costs more than everything else.
const compressFrom = 4 << 10

// clientOptions and handlerOptions bound messages on both sides.
var (
	clientOptions  = []connect.ClientOption{connect.WithReadMaxBytes(MaxMessage), connect.WithSendMaxBytes(MaxMessage)}
	handlerOptions = []connect.HandlerOption{connect.WithReadMaxBytes(MaxMessage), connect.WithSendMaxBytes(MaxMessage), connect.WithCompressMinBytes(compressFrom)}
)

// base is the address of every request: there is one other end.
const base = "http://link"
