package workload

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
)

// The codes of refusals.
const (
	BadRequest   Code = "bad_request"
	Held         Code = "held"      // another operation runs
	Senseless    Code = "senseless" // the operation does not fit the state
	ToBeRemoved  Code = "to_be_removed"
	NotCondemned Code = "not_condemned" // nobody declared that it should be absent
	NotHolder    Code = "not_holder"    // the receipt is not that of the running operation
	StaleFence   Code = "stale_fence"
)

// A Refused is an error that says why a row was not changed.
type Refused struct {
	Code Code
	err  *ops.Error
}

func (r *Refused) Error() string { return r.err.Error() }

// Unwrap answers the error as people may see it.
func (r *Refused) Unwrap() error { return r.err }

func refuse(code Code, kind ops.ErrorKind, format string, args ...any) error {
	return &Refused{code, ops.Errorf(kind, format, args...)}
}

// Grace answers how long an operation may take; 0 for what is none.
func Grace(op Operation) time.Duration {
	switch op {
	case Snapshot:
		return 15 * time.Minute
	case Start, Stop, Pause, Resume, Restart, Remove:
		return 2 * time.Minute
	}
	return 0
}

// DesiredAfter answers what is desired once a person, or a policy in a
// person's name, has begun an operation. What is to be removed stays so.
func DesiredAfter(op Operation, before State) State {
	if before == Absent {
		return Absent
	}
	switch op {
	case Start, Resume, Restart:
		return Running
	case Stop:
		return Stopped
	case Pause:
		return Paused
	}
	return before
}

// fits answers the observed states that an operation makes sense in. Unknown
// fits all: the agent looks before it acts.
var fits = map[Operation][]State{
	Start:    {Stopped, Unknown},
	Stop:     {Running, Paused, Unknown},
	Pause:    {Running, Unknown},
	Resume:   {Paused, Unknown},
	Restart:  {Running, Unknown},
	Snapshot: {Running, Paused, Stopped, Unknown},
	Remove:   {Running, Paused, Stopped, Unknown},
}

// Begin takes a lease on a row for an operation, and writes down what the
// operation makes desired. A lease whose deadline has passed holds nobody
// back; its own action finds out what became of it. The fence must be above
// that of every operation before it on the same workload.
func Begin(now time.Time, row Row, op Operation, actionID string, fence int64) (Row, error) {
	if err := mayBegin(now, row, op, fence); err != nil {
		return row, err
	}
	if actionID == "" {
		return row, refuse(BadRequest, ops.Invalid, "an operation needs an action")
	}
	if after := DesiredAfter(op, row.Desired); after != row.Desired {
		row.Desired, row.DesiredBy = after, actionID
	}
	row.Lease = &Lease{Op: op, ActionID: actionID, Deadline: now.Add(Grace(op)), Fence: fence}
	if op == Remove {
		row.Removals++
		row.LastRemoval = now
	}
	return row, nil
}

func mayBegin(now time.Time, row Row, op Operation, fence int64) error {
	observed := row.Observed
	if observed == "" {
		observed = Unknown
	}
	l := row.Lease
	switch {
	case Grace(op) == 0:
		return refuse(BadRequest, ops.Invalid, "%q is no operation", op)
	case fence <= 0:
		return refuse(BadRequest, ops.Invalid, "an operation needs a fence above 0")
	case l.Valid(now):
		return refuse(Held, ops.Conflict, "%s of action %s runs until %s", l.Op, l.ActionID, clock(l.Deadline))
	case l != nil && fence <= l.Fence:
		return refuse(StaleFence, ops.Conflict, "fence %d is not above %d", fence, l.Fence)
	case op == Remove && row.Desired != Absent:
		return refuse(NotCondemned, ops.Forbidden, "nobody declared that %s should be absent", row.called())
	case row.Tombstone && !slices.Contains([]Operation{Remove, Stop, Snapshot}, op):
		return refuse(ToBeRemoved, ops.Conflict, "%s is to be removed, so %s makes no sense", row.called(), op)
	case !slices.Contains(fits[op], observed):
		return refuse(Senseless, ops.Conflict, "%s is %s, so %s makes no sense", row.called(), observed, op)
	}
	return nil
}

func (r Row) called() string {
	if r.Name == "" {
		return "it"
	}
	return fmt.Sprintf("%s %s", r.Driver, r.Name)
}

// An Outcome is how an operation ended at the agent.
type Outcome string

// The outcomes. That an operation left no receipt is not among them: its
// lease expires.
const (
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
)

// A Receipt is the agent's account of an operation.
type Receipt struct {
	Op       Operation `json:"op"`
	ActionID string    `json:"action_id"`
	Fence    int64     `json:"fence"`
	Outcome  Outcome   `json:"outcome"`
	Observed State     `json:"observed" doc:"What the agent saw afterwards; empty when it did not look."`
	RawLabel string    `json:"raw_label"`
	Sequence int64     `json:"sequence" doc:"Of the last list that the agent began before it looked; 0 when it does not say."`
}

// End gives a lease back for a receipt. Only the receipt of the operation
// that holds the row counts, also when its deadline has passed and no list has
// ended the lease yet. What the agent saw becomes what is observed, whatever the outcome; a
// success by itself proves no state.
func End(row Row, r Receipt) (Row, error) {
	l := row.Lease
	switch {
	case r.Outcome != Succeeded && r.Outcome != Failed:
		return row, refuse(BadRequest, ops.Invalid, "%q is no outcome", r.Outcome)
	case l == nil:
		return row, refuse(NotHolder, ops.Conflict, "no operation runs on %s", row.called())
	case r.Fence != l.Fence:
		return row, refuse(StaleFence, ops.Conflict, "the receipt has fence %d, the operation that runs has %d", r.Fence, l.Fence)
	case r.ActionID != l.ActionID || r.Op != l.Op:
		return row, refuse(NotHolder, ops.Conflict, "the receipt is of %s of action %s; %s of action %s runs", r.Op, r.ActionID, l.Op, l.ActionID)
	}
	row.Lease = nil
	row.Sequence = max(row.Sequence, r.Sequence)
	row.TransitSince = time.Time{}
	return sawAfter(row, r), nil
}

// SawAfter takes what the agent saw after an operation. That something is
// not there is believed of a removal alone; after anything else it is a doubt
// that the next lists settle.
func sawAfter(row Row, r Receipt) Row {
	switch {
	case r.Observed.present():
		row.Observed, row.RawLabel = r.Observed, r.RawLabel
	case r.Observed == Absent && r.Op == Remove && r.Outcome == Succeeded:
		row.Observed, row.RawLabel = Absent, ""
	case r.Observed == Absent || r.Observed == Unknown:
		row.Observed, row.RawLabel = Unknown, r.RawLabel
	default:
		return row
	}
	row.MissingReports, row.MissingSince = 0, time.Time{}
	return row
}

// verbPrefix begins the verbs of plans that are operations.
const verbPrefix = "workload."

// Verb answers the operation as the verb of a plan.
func (op Operation) Verb() string { return verbPrefix + string(op) }

// OfVerb answers the operation of a plan's verb; ok is false for a verb that
// is none.
func OfVerb(verb string) (op Operation, ok bool) {
	name, ok := strings.CutPrefix(verb, verbPrefix)
	return Operation(name), ok && Grace(Operation(name)) > 0
}
