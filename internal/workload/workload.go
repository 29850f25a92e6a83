// Package workload decides what the difference between the desired and the
// observed state of one workload means: a container, a virtual machine,
// whatever a driver on a host can start and stop.
//
// Three kinds of event move a Row, each through one pure function: a person
// wants something (Declare, and Begin for an operation), an agent answers
// (End, for the receipt of an operation), and an agent reports what there is
// (Judge). Judge never changes what is desired, and nothing but a receipt or
// a report changes what is observed. While a host is not heard of there is
// nothing to judge: Unheard says so.
//
// The proof that these rules lose nothing rests on what the callers do:
//
//   - A row is read before the list that it is judged by is taken, and every
//     write of a row is a compare-and-swap on the Version that was read. A
//     refused write is dropped, never repeated with the same list.
//   - An agent runs one operation at a time on a workload, refuses one whose
//     deadline has passed, whose fence is not above every fence that it has
//     seen, or whose generation is not that of the workload; it keeps the
//     fences across its restarts. It acts on the very thing that has that
//     generation, by the driver's own ID: a name may pass to another thing
//     between the look and the act.
//   - An agent numbers its lists so that the numbers never fall, also across
//     its restarts.
//
// The tests of this package explore these rules, and variants of them that
// are broken on purpose, in every order of events within their bounds.
package workload

import "time"

// A State is what a workload is, or should be.
type State string

// The states. Undeclared is the desired state of what nobody spoke of;
// Unknown is a value of what is observed, never of what is desired.
const (
	Undeclared State = ""
	Running    State = "running"
	Paused     State = "paused"  // keeps its memory, does not run
	Stopped    State = "stopped" // is there and does not run
	Absent     State = "absent"  // is not there
	Unknown    State = "unknown"
)

// Desirable reports whether s can be declared.
func (s State) Desirable() bool {
	return s == Running || s == Paused || s == Stopped || s == Absent
}

// present reports whether s is a state of a workload that is there.
func (s State) present() bool { return s == Running || s == Paused || s == Stopped }

// An Operation is what an agent can do with a workload.
type Operation string

// The operations.
const (
	Start    Operation = "start"
	Stop     Operation = "stop"
	Pause    Operation = "pause"
	Resume   Operation = "resume"
	Restart  Operation = "restart"
	Snapshot Operation = "snapshot"
	Remove   Operation = "remove" // destroys it with its data
)

// A Lease says that an operation runs. It ends with its receipt or at its
// deadline, which the agent enforces: no operation is begun after it.
type Lease struct {
	Op       Operation `json:"op"`
	ActionID string    `json:"action_id"`
	Deadline time.Time `json:"deadline"`
	Fence    int64     `json:"fence" doc:"Raised with every attempt, so that an older one is known as such."`
	Was      Wish      `json:"was,omitzero" doc:"What was desired before, which comes back when the operation was never begun."`
}

// A Wish is what is desired of a workload, by whom and from where.
type Wish struct {
	Desired State  `json:"desired"`
	By      string `json:"by"`
	Source  string `json:"source"`
}

// Valid reports whether the lease holds at now. No lease is never valid.
func (l *Lease) Valid(now time.Time) bool { return l != nil && now.Before(l.Deadline) }

// NoDriver begins the reason of a declared row whose driver the agent does not
// find on its host: nobody can tell what the workload is, nor command it.
const NoDriver = "the agent does not find "

// A Key is the identity of a workload on its host.
type Key struct {
	Driver string `json:"driver"`
	Name   string `json:"name"`
}

// A Row is what is stored of one workload. Version is that of the row as it
// was read: the functions here leave it, the store compares and raises it.
type Row struct {
	ID        string `json:"id"`
	HostID    string `json:"host_id"`
	Driver    string `json:"driver"`
	Name      string `json:"name"`
	Desired   State  `json:"desired" doc:"running, paused, stopped or absent; empty while nobody declared it."`
	DesiredBy string `json:"desired_by,omitempty" doc:"The person, policy or action that last set it."`
	Observed  State  `json:"observed"`
	RawLabel  string `json:"raw_label,omitempty" doc:"The driver's own word for its state."`
	Lease     *Lease `json:"lease,omitempty"`
	Tombstone bool   `json:"tombstone" doc:"It is to be removed, for good; set and lifted with desired = absent."`

	MissingSince   time.Time `json:"missing_since,omitzero" doc:"When the first list without it was taken."`
	MissingReports int       `json:"missing_reports" doc:"Complete lists without it that count: 1 is a doubt, 2 is certainty."`
	TransitSince   time.Time `json:"transit_since,omitzero" doc:"Since when the driver says that it is between two states, without an operation of ours."`

	Generation  int64     `json:"generation" doc:"Raised when the thing behind the key was replaced."`
	Sequence    int64     `json:"sequence" doc:"Of the newest report that was judged."`
	Version     int64     `json:"version"`
	Removals    int       `json:"removals" doc:"How often its removal was begun since it was declared absent."`
	LastRemoval time.Time `json:"last_removal_at,omitzero"`
}

// Key answers under which key an agent lists the workload.
func (r Row) Key() Key { return Key{r.Driver, r.Name} }

// Equal reports whether two rows hold the same values.
func (r Row) Equal(o Row) bool {
	sameLease := r.Lease == o.Lease || r.Lease != nil && o.Lease != nil && *r.Lease == *o.Lease
	r.Lease, o.Lease = nil, nil
	return sameLease && r == o
}

// A Seen is one workload in a list.
type Seen struct {
	Label      string    `json:"label" doc:"The driver's own word."`
	State      State     `json:"state" doc:"What the word means; empty for a word that nobody knows."`
	InTransit  bool      `json:"in_transit" doc:"The word is of something that is going on, such as stopping: it proves presence and nothing else."`
	Generation int64     `json:"generation"`
	Sequence   int64     `json:"sequence" doc:"When it was looked at, in the agent's count; 0 is that of the list."`
	At         time.Time `json:"at"`
}

// A List is what an agent says is on its host.
type List struct {
	HostID   string        `json:"host_id" doc:"The host of the agent that sent it, as proven by its key."`
	Sequence int64         `json:"sequence" doc:"Grows with each list that the agent takes, across its restarts too."`
	Complete bool          `json:"complete" doc:"What is not in it is not there. A list that is not complete proves presence only."`
	At       time.Time     `json:"at" doc:"When it was taken, by the agent's clock."`
	Interval time.Duration `json:"interval_ms" doc:"How often the agent takes one."`
	Items    map[Key]Seen  `json:"-"`
}

// Find answers what the list says of a row, nil for nothing.
func (l List) Find(row Row) *Seen {
	if s, ok := l.Items[row.Key()]; ok {
		return &s
	}
	return nil
}

// sequence answers the agent's count of when this was looked at.
func (l List) sequence(seen *Seen) int64 {
	if seen != nil && seen.Sequence > 0 {
		return seen.Sequence
	}
	return l.Sequence
}
