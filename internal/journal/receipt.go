package journal

import (
	"encoding/json"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// The limits of the texts of a receipt.
const (
	maxOutputBytes = 8 << 10
	maxErrBytes    = 1 << 10
)

// A ReceiptState is what became of an action on this host.
type ReceiptState string

// The states of a receipt. Running becomes any other; unknown may become what
// is found out later; the others are final.
const (
	Running   ReceiptState = "running"
	Succeeded ReceiptState = "succeeded"
	Failed    ReceiptState = "failed"
	Unknown   ReceiptState = "unknown" // the process died while the action ran, or its deadline passed
	Refused   ReceiptState = "refused"
)

// A Receipt is the record of one action on this host.
type Receipt struct {
	Key          string       `json:"key" doc:"The idempotency key of the action."`
	TicketDigest string       `json:"ticket_digest" doc:"Of the ticket that it was begun with."`
	Fence        int64        `json:"fence" doc:"The fencing token of the attempt."`
	State        ReceiptState `json:"state" enum:"running,succeeded,failed,unknown,refused"`
	StartedAt    time.Time    `json:"started_at"`
	EndedAt      time.Time    `json:"ended_at,omitzero"`
	Output       string       `json:"output,omitempty" doc:"What it printed, without secrets, at most 8 KiB."`
	Err          string       `json:"error,omitempty"`
	Before       ops.Attrs    `json:"before,omitempty" doc:"The target's state before."`
	After        ops.Attrs    `json:"after,omitempty" doc:"The target's state after."`
}

// kept is a receipt as its file holds it.
type kept struct {
	Receipt Receipt `json:"receipt"`
	// Deadline is when the ticket ends: until then it might come again.
	Deadline time.Time `json:"deadline"`
}

func (k kept) text() ([]byte, error) {
	body, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	return envelope("receipt", body), nil
}

// ended answers what k becomes with the outcome of r. Who began it, with what
// and when stays as it was recorded.
func (k kept) ended(r Receipt, now time.Time) kept {
	r.Key, r.TicketDigest, r.Fence, r.StartedAt = k.Receipt.Key, k.Receipt.TicketDigest, k.Receipt.Fence, k.Receipt.StartedAt
	if r.EndedAt.IsZero() {
		r.EndedAt = k.Receipt.EndedAt
	}
	if r.EndedAt.IsZero() {
		r.EndedAt = now
	}
	r.EndedAt = r.EndedAt.UTC().Round(0)
	r.Output = redact.Cut(redact.Text(r.Output), maxOutputBytes)
	r.Err = redact.Cut(redact.Text(r.Err), maxErrBytes)
	k.Receipt = r
	return k
}

// over reports whether nobody can ask for k any more: it ended, and its
// ticket too, before the given time.
func (k kept) over(before time.Time) bool {
	return k.Receipt.State != Running && k.Receipt.EndedAt.Before(before) && k.Deadline.Before(before)
}
