package agent

import (
	"context"

	"reeve/internal/linkpb"
)

// down answers the server on the command direction.
type down struct{ a *Agent }

// Ping proves that commands get through.
func (d down) Ping(_ context.Context, r *linkpb.PingRequest) (*linkpb.PingResponse, error) {
	d.a.heard()
	return &linkpb.PingResponse{Nonce: r.GetNonce(), BootId: d.a.id.BootID, NowMs: d.a.clock().UnixMilli()}, nil
}

// Workloads lists what is on the host.
func (d down) Workloads(ctx context.Context, r *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	d.a.heard()
	return d.a.hands.Workloads(ctx, r)
}

// Perform carries out an order.
func (d down) Perform(ctx context.Context, r *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	d.a.heard()
	return d.a.hands.Perform(ctx, r)
}

// Receipt answers the record of an order.
func (d down) Receipt(ctx context.Context, r *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	d.a.heard()
	return d.a.hands.Receipt(ctx, r)
}
