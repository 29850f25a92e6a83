package link

import (
	"context"
	"net"
	"net/http"

	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
)

// upKey is where the context of a connection holds who is spoken with.
type upKey struct{}

// uplinks hands what an agent says to the handler of its connection, so that
// all agents share the routes and the buffers behind them: a thousand agents
// that each had their own would each find theirs empty again.
type uplinks struct{}

var _ linkpbconnect.UplinkHandler = uplinks{}

// uplinkRoutes answers the routes that all agents share.
func uplinkRoutes() http.Handler {
	routes := http.NewServeMux()
	routes.Handle(linkpbconnect.NewUplinkHandler(uplinks{}, handlerOptions...))
	return routes
}

// inContext lets the requests of a server be for a handler.
func inContext(up linkpbconnect.UplinkHandler) func(net.Listener) context.Context {
	ctx := context.WithValue(context.Background(), upKey{}, up)
	return func(net.Listener) context.Context { return ctx }
}

func of(ctx context.Context) linkpbconnect.UplinkHandler {
	return ctx.Value(upKey{}).(linkpbconnect.UplinkHandler)
}

func (uplinks) Hello(ctx context.Context, r *linkpb.HelloRequest) (*linkpb.HelloResponse, error) {
	return of(ctx).Hello(ctx, r)
}

func (uplinks) Heartbeat(ctx context.Context, r *linkpb.HeartbeatRequest) (*linkpb.HeartbeatResponse, error) {
	return of(ctx).Heartbeat(ctx, r)
}

func (uplinks) Report(ctx context.Context, r *linkpb.ReportRequest) (*linkpb.ReportResponse, error) {
	return of(ctx).Report(ctx, r)
}

func (uplinks) Renew(ctx context.Context, r *linkpb.RenewRequest) (*linkpb.RenewResponse, error) {
	return of(ctx).Renew(ctx, r)
}
