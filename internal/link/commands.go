package link

import (
	"context"
	"net"
	"net/http"

	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
)

// A Commander is asked on the command direction.
type Commander = linkpbconnect.DownlinkClient

// Commands answers the command direction as an HTTP handler, for a socket on
// one machine.
func Commands(down linkpbconnect.DownlinkHandler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(linkpbconnect.NewDownlinkHandler(down, handlerOptions...))
	return mux
}

// OverSocket answers a Commander whose other end is behind a socket on this
// machine.
func OverSocket(path string) Commander {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	return linkpbconnect.NewDownlinkClient(client, base, clientOptions...)
}

// plain answers errors of a Commander as ours.
type plain struct{ Commander }

// Readable answers a Commander whose errors are ours.
func Readable(c Commander) Commander { return plain{c} }

func (p plain) Workloads(ctx context.Context, r *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	answer, err := p.Commander.Workloads(ctx, r)
	return answer, FromWire(err)
}

func (p plain) Perform(ctx context.Context, r *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	answer, err := p.Commander.Perform(ctx, r)
	return answer, FromWire(err)
}

func (p plain) Receipt(ctx context.Context, r *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	answer, err := p.Commander.Receipt(ctx, r)
	return answer, FromWire(err)
}
