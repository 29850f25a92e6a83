package agent

import (
	"context"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

// down answers the server on the command direction.
type down struct{ a *Agent }

// Ping proves that commands get through.
func (d down) Ping(_ context.Context, r *linkpb.PingRequest) (*linkpb.PingResponse, error) {
	d.a.heard()
	return &linkpb.PingResponse{Nonce: r.GetNonce(), BootId: d.a.id.BootID, NowMs: d.a.clock().UnixMilli()}, nil
}

// Workloads lists what can be commanded here.
func (d down) Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	return nil, link.Wire(ops.Errorf(ops.Unavailable, "this agent has no drivers of workloads"))
}

// Perform runs an approved action.
func (d down) Perform(context.Context, *linkpb.PerformRequest) (*linkpb.PerformResponse, error) {
	return nil, link.Wire(ops.Errorf(ops.Forbidden, "this agent only watches"))
}

// Receipt answers the record of an action.
func (d down) Receipt(context.Context, *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error) {
	return &linkpb.ReceiptResponse{}, nil
}
