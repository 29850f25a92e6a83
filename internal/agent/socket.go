package agent

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"reeve/internal/command"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

// PerformSocket is where the part that performs listens for the one that
// watches.
const PerformSocket = "/run/reeve-agent/perform.sock"

// performState answers where the part that performs keeps its receipts.
func (o Options) performState() string {
	if o.PerformState != "" {
		return o.PerformState
	}
	return filepath.Join(o.Data, "perform")
}

// Perform runs the part that carries out orders, behind a socket on this
// machine, until ctx ends. It speaks with nobody else and needs no network.
func Perform(ctx context.Context, log *slog.Logger, o Options, socket string) error {
	if command.ReadOnly {
		return ops.Errorf(ops.Forbidden, "this build of the agent cannot change anything")
	}
	pin, err := readPin(o)
	if errors.Is(err, fs.ErrNotExist) {
		return ops.Errorf(ops.Conflict, "this host has not joined with approvers (no %s): nothing is ever changed here, and this part need not run", filepath.Join(o.etc(), pinFile))
	}
	if err != nil {
		return err
	}
	p, err := newPerformer(log, o.performState(), o.env(log), pin.Host, pin.Approvers, func() int64 { return 0 })
	if err != nil {
		return err
	}
	defer p.Close()
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return ops.Because(ops.Unavailable, err, "the folder %s cannot be made", filepath.Dir(socket))
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return ops.Because(ops.Unavailable, err, "%s cannot be replaced", socket)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return ops.Because(ops.Unavailable, err, "%s cannot be listened on: %v", socket, err)
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		return err
	}
	log.Info("orders are taken", "socket", socket)
	hands := &Hands{log: log, performer: here{p}}
	server := &http.Server{Handler: link.Commands(down{&Agent{hands: hands}}), ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// behind takes orders for the part that performs.
type behind struct{ client link.Commander }

// CommandBehind lets the hands pass orders to the part that performs.
func (h *Hands) CommandBehind(socket string) {
	h.performer = behind{link.OverSocket(socket)}
}

func (b behind) Perform(ctx context.Context, ticket []byte, approvers [][]byte) ([]byte, error) {
	answer, err := b.client.Perform(ctx, &linkpb.PerformRequest{Ticket: ticket, Approvers: approvers})
	if err != nil {
		return nil, unreachablePerform(err)
	}
	return answer.GetReceipt(), nil
}

func (b behind) Receipt(ctx context.Context, key string) ([]byte, error) {
	answer, err := b.client.Receipt(ctx, &linkpb.ReceiptRequest{Key: key})
	if err != nil {
		return nil, unreachablePerform(err)
	}
	return answer.GetReceipt(), nil
}

func unreachablePerform(err error) error {
	err = link.FromWire(err)
	if ops.KindOf(err) == ops.Unavailable {
		return ops.Because(ops.Unavailable, err, "the part of the agent that performs does not answer: `systemctl status reeve-agent-perform`")
	}
	return err
}
