package workload

import (
	"fmt"
	"time"
)

// MinInterval is the least time between two lists that together prove
// absence, whatever interval an agent claims.
const MinInterval = 10 * time.Second

// MaxTransit is how long a driver may say that a workload is between two
// states before that is a problem: no known operation may take longer.
var MaxTransit = Grace(Snapshot)

// Judge says what an agent's list means for a row. Seen is what the list says
// of the row's workload, nil when it is not in it. The row is the one that
// was read before the list was taken; for a workload without a row it holds
// the host and the key only.
//
// Judge is idempotent: judging the answered row by the same list changes
// nothing. A Routine verdict need not be written by a caller that keeps the
// sequence of the newest list of each host and drops older lists whole.
func Judge(now time.Time, row Row, list List, seen *Seen) Verdict {
	if row.Lease.Valid(now) {
		l := row.Lease
		return Verdict{Row: row, Reason: because(OperationRunning, "%s runs until %s; until then nothing is concluded from what the agent sees", l.Op, clock(l.Deadline))}
	}
	j := &judgement{Verdict: Verdict{Row: row}, now: now, list: list, seen: seen}
	if row.Lease != nil {
		j.expire()
	}
	if why := j.ignored(); why.Code != "" {
		j.Reason = why
	} else {
		j.accept()
	}
	j.Changed = !j.Row.Equal(row)
	same := j.Row
	same.Sequence = row.Sequence
	j.Routine = j.Changed && same.Equal(row)
	return j.Verdict
}

// Unheard is the verdict on a row whose host is not heard of: none. Only what
// is said of the host changes then, never what is desired or was observed.
func Unheard(row Row) Verdict {
	return Verdict{Row: row, Reason: because(HostUnheard, "no verdict while the host is not heard of")}
}

// A judgement is a verdict in the making.
type judgement struct {
	Verdict
	now  time.Time
	list List
	seen *Seen
}

// Expire ends a lease whose deadline has passed. That says nothing about the
// operation's success: what follows looks at what is there.
func (j *judgement) expire() {
	l := j.Row.Lease
	j.Row.Lease = nil
	j.raise(OperationOverdue, because(LeaseExpired, "%s did not end by %s; whether it had any effect is seen from what is there", l.Op, clock(l.Deadline)))
}

// Ignored answers why the list proves nothing about the row.
func (j *judgement) ignored() Reason {
	seq := j.list.sequence(j.seen)
	switch {
	case j.list.HostID != j.Row.HostID:
		return because(OtherHost, "the list is of another host")
	case seq <= j.Row.Sequence:
		return because(OldSequence, "report %d is not newer than report %d", seq, j.Row.Sequence)
	case j.older() && !(j.list.Complete && j.missingTwice()):
		j.Row.Sequence = seq
		return because(OldGeneration, "the report is of generation %d, which generation %d replaced; the next complete list decides", j.seen.Generation, j.Row.Generation)
	case j.seen == nil && !j.list.Complete:
		return because(Incomplete, "the list is not complete: what is not in it may still be there")
	}
	return Reason{}
}

// Older reports whether the thing under the row's name was made before the
// one that the row is of. That is old news, or the name has passed back to it:
// two complete lists without the newer one tell.
func (j *judgement) older() bool { return j.seen != nil && j.seen.Generation < j.Row.Generation }

// Accept takes the list as the newest news of the workload.
func (j *judgement) accept() {
	j.Row.Sequence = j.list.sequence(j.seen)
	if j.Row.Observed == "" {
		j.Row.Observed = Unknown
	}
	if j.seen == nil {
		j.absent()
		return
	}
	if !j.older() {
		j.Row.MissingReports, j.Row.MissingSince = 0, time.Time{}
	}
	j.Row.RawLabel = j.seen.Label
	switch {
	case j.seen.InTransit:
		j.transit()
	case !j.seen.State.present():
		j.Row.TransitSince = time.Time{}
		j.raise(Protocol, because(UnknownLabel, "the agent says %q, which means nothing to this version; the last known state stands", j.seen.Label))
	default:
		j.Row.TransitSince = time.Time{}
		j.present()
	}
}

// Transit: something is going on that is not ours. It proves presence, so
// that what was thought absent is not; in which state it is nobody knows.
func (j *judgement) transit() {
	if j.Row.Observed == Absent {
		j.Row.Observed = Unknown
		j.clear(Lost)
	}
	j.clear(Protocol)
	if j.Row.TransitSince.IsZero() || j.now.Before(j.Row.TransitSince) {
		j.Row.TransitSince = j.now
	}
	if since := j.now.Sub(j.Row.TransitSince); since >= MaxTransit {
		j.raise(OperationOverdue, because(TransitTooLong, "the driver has said %q for %s", j.seen.Label, since.Round(time.Minute)))
		return
	}
	j.Reason = because(BetweenStates, "the driver says %q: it is there, and between two states", j.seen.Label)
}

// Absent: one list is a doubt, two an interval apart are certainty.
func (j *judgement) absent() {
	j.Row.TransitSince = time.Time{}
	if j.Row.Observed != Absent && !j.missingTwice() {
		j.Row.Observed = Unknown
		j.Reason = because(AbsentOnce, "it is not in the list; the next complete list decides")
		return
	}
	j.Row.Observed, j.Row.RawLabel = Absent, ""
	if j.Row.Desired == Undeclared || j.Row.Desired == Absent {
		j.Reason = because(Agrees, "it is not there, and nothing says that it should be")
		j.clear(Conditions...)
		return
	}
	j.raise(Lost, because(AbsentTwice, "it should be %s and is not there, in two complete lists", j.Row.Desired))
	j.clear(Drift, Unowned, StoppedUnexpectedly, Protocol)
}

// MissingTwice counts a complete list without the workload.
func (j *judgement) missingTwice() bool {
	first := j.Row.MissingReports == 0 || j.list.At.Before(j.Row.MissingSince)
	if first {
		j.Row.MissingReports, j.Row.MissingSince = 1, j.list.At
		return false
	}
	if j.list.At.Sub(j.Row.MissingSince) < max(j.list.Interval, MinInterval) {
		return false
	}
	j.Row.MissingReports = 2
	return true
}

// Present compares a state that is understood with the one that is desired.
func (j *judgement) present() {
	if j.Row.Tombstone && j.seen.Generation != j.Row.Generation {
		j.replaced()
		return
	}
	j.Row.Generation = j.seen.Generation
	j.Row.Observed = j.seen.State
	d, known := differences[j.Row.Desired][j.seen.State]
	if !known {
		j.raise(Protocol, because(UnknownLabel, "the desired state %q means nothing to this version", j.Row.Desired))
		return
	}
	j.clear(Lost, Drift, Unowned, StoppedUnexpectedly, Protocol)
	switch d.condition {
	case "":
		j.Reason = because(Agrees, "it is %s, as it should be", j.seen.State)
		j.clear(OperationOverdue)
	case Unowned:
		j.clear(OperationOverdue)
		j.raise(Unowned, because(NotDeclared, "it is %s, and nobody declared it: %s", j.seen.State, j.choice()))
	default:
		j.clear(OperationOverdue)
		j.raise(d.condition, because(Differs, "it is %s and should be %s", j.seen.State, j.Row.Desired))
		j.want(d.op)
	}
}

// Replaced: what was to be removed is gone, and another thing has its name. A
// person asked for the removal of the former, so the latter is left alone.
func (j *judgement) replaced() {
	j.Row.Observed = Absent
	j.clear(Conditions...)
	j.raise(Unowned, because(Replaced, "what was to be removed is gone, and another thing under its name is %s: %s", j.seen.State, j.choice()))
}

// choice names what a person can do about a thing that nobody declared.
func (j *judgement) choice() string {
	return fmt.Sprintf("take it in with `reeve workload declare HOST/%s --driver %s --desired %s`, or leave it so with `reeve suppress FINDING --kind accepted --reason WHY`",
		j.Row.Name, j.Row.Driver, j.seen.State)
}

func (j *judgement) want(op Operation) {
	if op == "" {
		return
	}
	j.Want = &Converge{Op: op}
	if op == Remove && j.Row.Removals > 0 {
		j.Want.NotBefore = j.Row.LastRemoval.Add(Backoff(j.Row.Removals))
	}
}

// Raise adds a problem, which then is not cleared.
func (j *judgement) raise(c Condition, why Reason) {
	j.Problems = append(j.Problems, Problem{c, why})
	j.Reason = why
	j.Cleared = without(j.Cleared, c)
}

// Clear adds conditions that are not true, but for those that were raised.
func (j *judgement) clear(all ...Condition) {
	for _, c := range all {
		if !j.Has(c) {
			j.Cleared = append(without(j.Cleared, c), c)
		}
	}
}

func without(all []Condition, c Condition) []Condition {
	var rest []Condition
	for _, x := range all {
		if x != c {
			rest = append(rest, x)
		}
	}
	return rest
}

// clock writes a time for people, in UTC.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// A difference is what it means that a workload is in one state and should
// be in another, and which one operation would mend it. An operation that
// would change what is desired mends nothing, so some have none.
type difference struct {
	condition Condition
	op        Operation
}

// differences: desired, observed, meaning.
var differences = map[State]map[State]difference{
	Running: {
		Running: {},
		Paused:  {StoppedUnexpectedly, Resume},
		Stopped: {StoppedUnexpectedly, Start},
	},
	Paused: {
		Running: {Drift, Pause},
		Paused:  {},
		Stopped: {StoppedUnexpectedly, ""},
	},
	Stopped: {
		Running: {Drift, Stop},
		Paused:  {Drift, Stop},
		Stopped: {},
	},
	Absent: {
		Running: {Drift, Remove},
		Paused:  {Drift, Remove},
		Stopped: {Drift, Remove},
	},
	Undeclared: {
		Running: {Unowned, ""},
		Paused:  {Unowned, ""},
		Stopped: {Unowned, ""},
	},
}
