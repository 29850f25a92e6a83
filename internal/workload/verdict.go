package workload

import (
	"fmt"
	"slices"
	"time"
)

// A Condition is the name of a kind of problem with a workload.
type Condition string

// The conditions.
const (
	Lost                Condition = "lost"                 // should be there and is not
	Drift               Condition = "drift"                // does more than it should
	Unowned             Condition = "unowned"              // is there and nobody declared it
	StoppedUnexpectedly Condition = "stopped_unexpectedly" // does less than it should
	OperationOverdue    Condition = "operation_overdue"    // an operation did not end in time
	Protocol            Condition = "protocol"             // what the agent says cannot be understood
)

// Conditions is the closed list.
var Conditions = []Condition{Lost, Drift, Unowned, StoppedUnexpectedly, OperationOverdue, Protocol}

// A Code is why something was decided, for programs.
type Code string

// The codes of verdicts.
const (
	Agrees           Code = "agrees"
	Differs          Code = "differs"
	NotDeclared      Code = "not_declared"
	Replaced         Code = "replaced" // another thing stands where the removed one was
	AbsentOnce       Code = "absent_once"
	AbsentTwice      Code = "absent_twice"
	BetweenStates    Code = "between_states"
	TransitTooLong   Code = "transit_too_long"
	UnknownLabel     Code = "unknown_label"
	OperationRunning Code = "operation_running"
	LeaseExpired     Code = "lease_expired"
	HostUnheard      Code = "host_unheard"
	OtherHost        Code = "other_host"
	OldSequence      Code = "old_sequence"
	OldGeneration    Code = "old_generation"
	Incomplete       Code = "incomplete"
)

// A Reason says why, to programs and to people.
type Reason struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

func because(code Code, format string, args ...any) Reason {
	return Reason{code, fmt.Sprintf(format, args...)}
}

// A Problem is a condition that a verdict found true.
type Problem struct {
	Condition Condition `json:"condition"`
	Reason    Reason    `json:"reason"`
}

// A Converge is what an operation would do about a difference: a wish. The
// gate decides whether it becomes an action.
type Converge struct {
	Op        Operation `json:"op"`
	NotBefore time.Time `json:"not_before,omitzero" doc:"Back-off of repeated removals; zero is at once."`
}

// Due reports whether back-off allows the wish at now.
func (c *Converge) Due(now time.Time) bool { return c != nil && !now.Before(c.NotBefore) }

// A Verdict is what a report means. A condition that is neither among the
// problems nor cleared stays as it is: a verdict without either says nothing.
type Verdict struct {
	Row      Row         // the values to write, by compare-and-swap on its Version
	Changed  bool        // Row differs from the one that was judged
	Routine  bool        // only Sequence does; see Judge
	Problems []Problem   // true now
	Cleared  []Condition // false now
	Reason   Reason      // the one thing to tell of this verdict
	Want     *Converge
}

// Has reports whether a condition is among the problems.
func (v Verdict) Has(c Condition) bool {
	return slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.Condition == c })
}

// Condition answers the main problem, the last found; "" is none.
func (v Verdict) Condition() Condition {
	if len(v.Problems) == 0 {
		return ""
	}
	return v.Problems[len(v.Problems)-1].Condition
}

// The back-off of repeated removals.
const (
	FirstBackoff = time.Minute
	MaxBackoff   = time.Hour
)

// Backoff answers how long after the last of n removals the next one waits.
func Backoff(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	wait := FirstBackoff
	for range n - 1 {
		if wait *= 2; wait >= MaxBackoff {
			return MaxBackoff
		}
	}
	return wait
}
