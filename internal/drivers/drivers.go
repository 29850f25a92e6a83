// Package drivers is the catalogue of what an agent can command on its host:
// one kind of workload a file, behind one small interface. A driver lists
// what is there in its own words and does one operation with one thing.
package drivers

import (
	"context"
	"slices"
	"time"

	"reeve/internal/catalog"
	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/workload"
)

// A Definition is a driver as the catalogue holds it.
type Definition struct {
	Name       string
	Doc        string
	Operations []workload.Operation
	// Permissions says what it needs to see and to command.
	Permissions string
	// Means maps the driver's words to states; Transit are words of what is
	// going on. A word in neither means nothing to this version.
	Means   map[string]workload.State
	Transit []string
	// Strangers says that what nobody declared is worth a finding once
	// anything of the driver on the host is declared.
	Strangers bool
	// Own reports whether a thing is the agent itself; nil where it never is.
	Own  func(name string) bool
	Open func(collect.Env) Driver
}

// A Driver lists and commands workloads of one kind. Its methods may be
// called at once.
type Driver interface {
	// List answers all there is; collect.ErrAbsent says that the driver's
	// engine is not on this host.
	List(context.Context) ([]Workload, error)
	// Do does one operation with the very thing that has the generation.
	Do(ctx context.Context, op workload.Operation, t Target) (note string, err error)
}

// A Workload is one thing as its driver lists it.
type Workload struct {
	Name       string // its key on the host
	Label      string // the driver's own word for its state
	Labels     map[string]string
	Generation int64
	Since      time.Time // when it was started or made, zero when unknown
}

// A Target is the thing that an operation is for. Generation 0 is whatever
// has the name.
type Target struct {
	Name       string
	Generation int64
}

var all = catalog.New("driver", func(d Definition) string { return d.Name })

// All answers every driver, by name.
func All() []Definition { return all.All() }

// Get answers the driver with the given name.
func Get(name string) (Definition, bool) { return all.Get(name) }

// State answers what a driver's word means.
func (d Definition) State(label string) (s workload.State, inTransit bool) {
	for _, t := range d.Transit {
		if t == label {
			return "", true
		}
	}
	return d.Means[label], false
}

// Refuse answers why the driver never does an operation with a thing, nil
// where it may be done.
func (d Definition) Refuse(op workload.Operation, name string) error {
	switch {
	case !slices.Contains(d.Operations, op):
		return ops.Errorf(ops.Invalid, "%s cannot %s %s", d.Name, op, name)
	case op != workload.Start && d.Own != nil && d.Own(name):
		return ops.Errorf(ops.Forbidden, "the agent cannot %s itself and tell of it; do it on the host", op)
	}
	return nil
}

// RefuseDesired answers why what the driver runs can never be so, nil where it
// can.
func (d Definition) RefuseDesired(s workload.State) error {
	if s == workload.Paused && !slices.Contains(d.Operations, workload.Pause) {
		return ops.Errorf(ops.Invalid, "%s cannot pause anything: write running, stopped or absent", d.Name)
	}
	return nil
}

// gone refuses an operation on what is not there any more.
func gone(t Target) error {
	return ops.Errorf(ops.Conflict, "%s is not there, or another thing has its name now", t.Name)
}
