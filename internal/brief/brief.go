// Package brief tells what matters of an estate now: the digest of its state,
// the ranked list of what a run found, explained without a model, and the
// context that a model is given, within a budget of tokens.
//
// It is pure: the same Estate gives the same words. Whoever loads an Estate
// (package patrol) reads the store; nothing here does.
package brief

import (
	"time"

	"reeve/internal/ops"
)

// An Estate is all that a run looks at, read at one time.
type Estate struct {
	Now time.Time
	// Trigger, Reason and Asked say why the run looks, and at what it was
	// asked to.
	Trigger ops.TriggerKind
	Reason  string
	Asked   ops.RunScope

	// Scope are the resources that are looked at. Around are the parents,
	// hosts and children of those that are not in scope themselves: evidence,
	// never subjects. A full run has none.
	Scope, Around []ops.Resource

	// Findings are the active ones of Scope and Around, and those of Scope
	// that were resolved since the run before. Those of Around only explain.
	Findings  []ops.Finding
	Incidents map[string]ops.Incident   // by ID, with members, of the findings
	Evidence  map[string][]ops.Evidence // by finding ID, newest last
	// Holding are conditions that are true but not for long enough yet.
	Holding []Holding
	// Changes are transitions of the resources of Scope and Around within the
	// last 24 hours (and from 30 minutes before the oldest active finding
	// began), oldest first: verbs appear, change, vanish, return, replace ....
	Changes []ops.Transition
	// Readings are the newest values of a few metrics by resource ID, for
	// resources with findings and for hosts.
	Readings map[string][]Reading
	Notes    []ops.Note // active ones of the scope and of the estate

	// Before is what happened the last time and what solved it, by
	// ops.Fingerprint; it may be missing.
	Before map[string]string
	// Advice is what the catalogue knows of a condition, by its name.
	Advice map[string]Advice

	Previous *ops.Run // the last finished run that covered this scope, with Detail
	// Incomplete says what was not collected freshly and why; LeftOut says by
	// resource ID why one was not looked at.
	Incomplete []string
	LeftOut    map[string]string
}

// Advice is what the catalogue says of a condition.
type Advice struct {
	Title  string
	Role   int // as detect.Role: how near to a root cause it is
	Causes []string
	Checks []string
	// Future says that the condition tells of what is to come: nothing fails
	// from it yet.
	Future bool
}

// Holding is a condition that is true but not for long enough yet to be a
// finding.
type Holding struct {
	ResourceID string
	Condition  string
	Severity   ops.Severity
	Summary    string
	Since      time.Time
	Held, Hold time.Duration // for how long it was seen, of how long it must
}

// Soon reports whether it may be a finding within a day. What takes longer,
// like updates that wait for a week, is told, but is no doubt that things are
// well: a machine with updates would never be.
func (h Holding) Soon() bool { return h.Hold-h.Held < 24*time.Hour }

// A Reading is the newest value of one metric of a resource.
type Reading struct {
	Metric string
	Labels map[string]string
	At     time.Time
	Value  float64
}
