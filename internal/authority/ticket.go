package authority

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"reeve/internal/ops"
)

// A Ticket is what an agent is sent to act on.
type Ticket struct {
	Plan     Plan      `json:"plan"`
	Approval Approval  `json:"approval"`
	Fence    int64     `json:"fence" doc:"Above that of every attempt before it on the same target."`
	Deadline time.Time `json:"deadline" doc:"The attempt is not begun after it."`
}

// MaxTicketBytes is how long a ticket may be.
const MaxTicketBytes = 64 << 10

// Decode reads a ticket. It is strict: a field that it does not know may be a
// condition that it would not keep.
func Decode(data []byte) (Ticket, error) {
	if len(data) > MaxTicketBytes {
		return Ticket{}, refuse(Malformed, "the ticket has more than %d bytes", MaxTicketBytes)
	}
	var t Ticket
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return Ticket{}, &Refusal{Malformed, ops.Because(ops.Forbidden, err, "the ticket cannot be read")}
	}
	if _, err := d.Token(); err != io.EOF {
		return Ticket{}, refuse(Malformed, "something follows the ticket")
	}
	return t, nil
}

// Check refuses a ticket that does not give authority to act on this host at
// now; nil is leave to act once. The set is the newest that Chain or Follows
// let pass. maxSkew is how far the clocks of approver, server and host may be
// apart: whatever may have ended within it has ended, so that an agent never
// begins what its server has given up.
//
// The gravest reason comes first: that the ticket is none, that it is not for
// this host, that nobody approved it; then that it is too late.
func Check(t Ticket, set ApproverSet, now time.Time, host string, maxSkew time.Duration) error {
	switch {
	case maxSkew < 0 || now.IsZero():
		return refuse(Malformed, "the clock of this host is not set up, so nothing is valid")
	case t.Fence <= 0:
		return refuse(Malformed, "the ticket has no fence")
	case t.Deadline.IsZero():
		return refuse(Malformed, "the ticket has no deadline")
	}
	if err := t.Plan.complete(); err != nil {
		return err
	}
	if host == "" || t.Plan.TargetHost != host {
		return refuse(WrongHost, "the plan is for host %q, not for %q", t.Plan.TargetHost, host)
	}
	if err := set.sound(); err != nil {
		return err
	}
	if Hash(t.Plan) != t.Approval.PlanHash {
		return refuse(HashMismatch, "what was approved is not this plan")
	}
	if err := t.Approval.check(set, now, maxSkew); err != nil {
		return err
	}
	return t.inTime(now.Add(maxSkew))
}

// inTime answers which end was reached at the latest time that it may be.
func (t Ticket) inTime(latest time.Time) error {
	switch {
	case !latest.Before(t.Plan.Expiry):
		return refuse(PlanExpired, "the plan ended at %s", stamp(t.Plan.Expiry))
	case !latest.Before(t.Deadline):
		return refuse(DeadlinePassed, "the attempt was to begin before %s", stamp(t.Deadline))
	case t.Deadline.After(t.Plan.Expiry) || t.Deadline.After(t.Approval.Expiry):
		return refuse(DeadlineTooLate, "the attempt may begin after what was approved ends")
	}
	return nil
}
