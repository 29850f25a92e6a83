// Package conntrack stands in for github.com/mwitkow/go-conntrack, which
// Prometheus' common/config links. The original counts connections through
// golang.org/x/net/trace, whose templates make the linker keep every exported
// method of the program (41 MB). This one keeps the dialer and counts nothing.
package conntrack

import (
	"context"
	"net"
)

// DialContext is the signature of net.Dialer.DialContext.
type dialContext = func(ctx context.Context, network, addr string) (net.Conn, error)

type options struct{ dial dialContext }

// A DialerOpt changes how NewDialContextFunc dials.
type DialerOpt func(*options)

// DialWithName names the connections; names are not used here.
func DialWithName(string) DialerOpt { return func(*options) {} }

// DialWithTracing asks for tracing; there is none here.
func DialWithTracing() DialerOpt { return func(*options) {} }

// DialWithDialContextFunc dials with f.
func DialWithDialContextFunc(f dialContext) DialerOpt { return func(o *options) { o.dial = f } }

// NewDialContextFunc answers the dialer that the options choose.
func NewDialContextFunc(opts ...DialerOpt) func(context.Context, string, string) (net.Conn, error) {
	o := options{dial: (&net.Dialer{}).DialContext}
	for _, f := range opts {
		f(&o)
	}
	return o.dial
}
