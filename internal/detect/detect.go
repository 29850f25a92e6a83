// Package detect says what a detector is: a pure judgement of one resource's
// state and recent samples. The same subject gives the same verdict on any
// machine at any time; hold and clear times are kept by package watch.
package detect

import (
	"fmt"
	"time"

	"reeve/internal/ops"
)

// A Definition is a detector; its name is the condition that it detects.
type Definition struct {
	Name  string // the condition, for ever
	Title string // what people read: "File system is almost full"
	Doc   string // what it means, when it opens and clears
	Kinds []ops.Kind
	// Role says how near to a root cause the condition is; grouping makes the
	// member with the highest role the root.
	Role Role
	// Future says that it tells of what is to come: nothing fails from it yet.
	Future bool
	// Unheard says that it also judges what is on a host that is not heard of:
	// it looks at whether the host is.
	Unheard bool
	// Metrics are the metrics it reads. Window is how far back; zero means
	// only the newest reading, at most Stale old.
	Metrics []string
	Window  time.Duration
	// Step is of which only the newest reading within Window counts; zero
	// means all. A window of hours needs one: it is kept in memory.
	Step time.Duration
	// Events are the events it reads within Window.
	Events []ops.EventType
	// Hold is how long the verdict must be Bad before a finding opens, Clear
	// how long it must be Good before it resolves.
	Hold, Clear time.Duration
	Thresholds  []Threshold
	Eval        func(Subject) Verdict
	// Likely causes and what to check, for the explanation without a model.
	Causes []string
	Checks []string
}

// Stale is how old a newest reading may be and still count.
const Stale = 5 * time.Minute

// A Role orders conditions by how likely they cause others on the same host.
type Role int

// The roles.
const (
	Symptom  Role = iota // what users notice: a check, a service, log errors
	Workload             // one container or unit
	Capacity             // a host short of something
	Storage              // file systems, arrays, kernel errors
	Hardware             // disks, temperatures, links
	Host                 // the host itself is gone
)

// A Threshold is a configurable number of a detector.
type Threshold struct {
	Name    string
	Default float64
	Unit    string
	Doc     string
}

// A Verdict is what a detector says of a subject now.
type Verdict struct {
	State    State
	Severity ops.Severity // of a Bad verdict
	Summary  string       // one sentence with the numbers, for people
	Facts    map[string]string
	// Evidence names the series of the subject that the verdict rests on.
	Evidence []ops.Series
	Quotes   []string // lines from the estate, as data
	// Hold replaces the definition's hold time where a person set it or the
	// verdict is about something that already happened; nil means the
	// definition's.
	Hold *time.Duration
}

// A State is the answer of a detector.
type State string

// The states. Between is inside the hysteresis band: whatever was, stays.
// Unknown is for missing data: whatever was, stays, and timers stand still.
const (
	Bad     State = "bad"
	Between State = "between"
	Good    State = "good"
	Unknown State = "unknown"
)

// OK is the plain good verdict.
func OK() Verdict { return Verdict{State: Good} }

// NoData is the verdict when what is needed is not known.
func NoData() Verdict { return Verdict{State: Unknown} }

// Badf makes a bad verdict with a summary.
func Badf(sev ops.Severity, format string, args ...any) Verdict {
	return Verdict{State: Bad, Severity: sev, Summary: fmt.Sprintf(format, args...)}
}

// With adds evidence to a verdict.
func (v Verdict) With(s ...ops.Series) Verdict {
	v.Evidence = append(v.Evidence, s...)
	return v
}

// Fact adds a fact to a verdict, and to those that it was made of.
func (v Verdict) Fact(name, format string, args ...any) Verdict {
	if v.Facts == nil {
		v.Facts = map[string]string{}
	}
	v.Facts[name] = fmt.Sprintf(format, args...)
	return v
}

// AtOnce makes a verdict that needs no hold time.
func (v Verdict) AtOnce() Verdict {
	var zero time.Duration
	v.Hold = &zero
	return v
}
