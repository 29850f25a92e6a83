package agent

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"reeve/internal/link"
)

// Orders says whether a host takes orders to change something.
type Orders struct {
	Taken     bool   `json:"taken" doc:"The host joined with approvers, and this build can change something."`
	Approvers string `json:"approvers,omitempty" doc:"Hash of the root of those whose orders are taken."`
	Socket    string `json:"socket,omitempty" doc:"Where the part that performs listens."`
	Answers   bool   `json:"perform_answers" doc:"The part that performs answers there."`
	Problem   string `json:"problem,omitempty"`
}

// socketTimeout bounds a question to a part on this machine.
const socketTimeout = 5 * time.Second

// CheckOrders answers whether orders are taken, and whether the part that
// carries them out answers on its socket. It changes nothing.
func CheckOrders(ctx context.Context, o Options) Orders {
	if ReadOnly {
		return Orders{}
	}
	p, err := readPin(o)
	if errors.Is(err, fs.ErrNotExist) {
		return Orders{}
	}
	if err != nil {
		return Orders{Problem: err.Error()}
	}
	c := Orders{Taken: true, Approvers: p.Approvers, Socket: o.Socket, Answers: true}
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	// Nobody gave an order with this key: who answers has no record of it.
	if _, err := (behind{link.OverSocket(o.Socket)}).Receipt(ctx, "none"); err != nil {
		c.Answers, c.Problem = false, "the part that performs does not answer on "+o.Socket+": `systemctl status reeve-agent-perform` says why; an agent that runs with --perform needs none"
	}
	return c
}
