package workload_test

import (
	"fmt"
	"slices"
	"time"

	"reeve/internal/workload"
)

// checkVerdict holds a verdict against the truth at the time at which its
// list was taken.
func (w *world) checkVerdict(r rules, row workload.Row, f flight, v workload.Verdict) {
	if v.Row.Desired != row.Desired || v.Row.DesiredBy != row.DesiredBy || v.Row.Tombstone != row.Tombstone {
		w.breaks("a report changed what is desired")
	}
	if row.Lease.Valid(w.now) && (v.Changed || len(v.Problems) > 0 || len(v.Cleared) > 0) {
		w.breaks("a verdict while an operation runs")
	}
	if o := v.Row.Observed; o != row.Observed && o != workload.Unknown {
		truth := f.truth.state
		if row.Tombstone && f.truth.gen > row.Generation {
			truth = workload.Absent
		}
		if o != truth || f.truth.odd || f.truth.transit {
			w.breaks(fmt.Sprintf("observed became %s while it was %s", o, truth))
		}
	}
	again := r.judge(w.now, v.Row, f.list, f.list.Find(row))
	if again.Changed || again.Has(workload.OperationOverdue) {
		w.breaks("judging twice is not judging once")
	}
	if row.Lease != nil && v.Row.Lease == nil && !v.Has(workload.OperationOverdue) {
		w.breaks("an operation that did not end in time is not told")
	}
	if v.Has(workload.Lost) {
		twice := !w.ghost.absentAt.IsZero() && f.list.At.Sub(w.ghost.absentAt) >= tick
		if f.truth.state != workload.Absent || !twice {
			w.breaks("lost without two complete lists that prove it")
		}
	}
}

// noVerdict are the codes of lists that prove nothing.
var noVerdict = []workload.Code{workload.OperationRunning, workload.OldSequence, workload.OldGeneration, workload.Incomplete}

// countAbsence notes when the first of a row of complete lists was taken that
// do not have the workload.
func (w *world) countAbsence(f flight, v workload.Verdict) {
	switch {
	case slices.Contains(noVerdict, v.Reason.Code), f.truth.odd && !f.truth.transit:
	case f.truth.state != workload.Absent:
		w.ghost.absentAt = time.Time{}
	case w.ghost.absentAt.IsZero() && f.list.Complete:
		w.ghost.absentAt = f.list.At
	}
}

// expected answers which condition the truth deserves; it says in other words
// what the table of the domain says. agree is true when there is nothing to
// tell.
func (w *world) expected() (c workload.Condition, agree bool) {
	is, should := w.real.state, w.row.Desired
	gone := is == workload.Absent
	other := w.row.Tombstone && w.real.gen > w.row.Generation
	switch {
	case !gone && (w.real.transit || w.stuck):
		return workload.OperationOverdue, false
	case !gone && w.real.odd:
		return workload.Protocol, false
	case !gone && (should == workload.Undeclared || other):
		return workload.Unowned, false
	case gone && (should == workload.Undeclared || should == workload.Absent), is == should:
		return "", true
	case gone:
		return workload.Lost, false
	case should == workload.Running, should == workload.Paused && is == workload.Stopped:
		return workload.StoppedUnexpectedly, false
	}
	return workload.Drift, false
}

// silent answers what is wrong with a world in which nothing happens any
// more: it must agree with itself or say exactly what does not.
func (w *world) silent() string {
	c, agree := w.expected()
	want := w.row.Desired
	if want == workload.Undeclared {
		want = workload.Absent
	}
	if agree && w.row.ID != "" && (w.row.Observed != w.real.state || w.real.state != want) {
		return fmt.Sprintf("silent: desired %q, observed %q, really %s", w.row.Desired, w.row.Observed, w.real.state)
	}
	if w.row.Lease != nil {
		return "a lease that never ends"
	}
	for i, open := range w.open {
		name := workload.Conditions[i]
		switch {
		case name == c && !open:
			return fmt.Sprintf("silent: %s is not said; desired %q, observed %q, really %s", c, w.row.Desired, w.row.Observed, w.real.state)
		case name == c || !open:
		case name == workload.OperationOverdue && !agree:
		case c == workload.Protocol || c == workload.OperationOverdue: // nothing can be known, so what was said stands
		default:
			return fmt.Sprintf("%s is said for ever; desired %q, observed %q, really %s", name, w.row.Desired, w.row.Observed, w.real.state)
		}
	}
	return ""
}

// An ending is how a world comes to rest.
type ending struct {
	converge bool // what the verdicts want is done
	deliver  bool // what is on its way arrives; else it is lost
	hang     bool // the operation that goes on never ends
}

var endings = []ending{{}, {deliver: true}, {hang: true}, {converge: true}, {converge: true, deliver: true}}

// calm lets what is on its way arrive or be lost. There are no more commands
// or faults, and so much time passes that no deadline is ahead.
func (r rules) calm(w world, e ending) world {
	w.down, w.commands, w.faults = false, 0, 0
	w.pending, w.wire = nil, nil
	switch {
	case w.busy == nil || w.stuck:
	case e.hang:
		w.stuck = true
	case e.deliver:
		r.finishes(&w, true)
	default:
		w.busy = nil
	}
	for e.deliver && len(w.receipts) > 0 {
		r.ends(&w)
	}
	for e.deliver && len(w.flights) > 0 {
		r.judges(&w, 0)
	}
	w.receipts, w.flights, w.reading = nil, nil, nil
	w.now = w.now.Add(6 * tick)
	return w
}

// rest lets reports arrive until nothing changes any more.
func (r rules) rest(w world, converge bool) world {
	for range 10 {
		w.now = w.now.Add(2 * tick)
		r.round(&w, converge)
	}
	return w
}

// round is one report, and what it wants if that is done.
func (r rules) round(w *world, converge bool) {
	row := w.row
	w.reading = &row
	r.lists(w, true)
	list := w.flights[0].list
	want := r.judge(w.now, w.row, list, list.Find(w.row)).Want
	r.judges(w, 0)
	if !converge || !want.Due(w.now) || !r.begins(w, want.Op) {
		return
	}
	o := *w.pending
	w.pending, w.wire = nil, []order{o}
	if r.claims(w, 0, o) {
		r.finishes(w, true)
		r.ends(w)
	}
	w.wire = nil
}

// converged answers what is wrong with a world at rest in which everything
// was done that verdicts want: only what no operation can mend may be left.
func (w *world) converged() string {
	c, agree := w.expected()
	hopeless := w.row.Desired == workload.Paused && w.real.state == workload.Stopped
	mended := c != workload.Drift && c != workload.StoppedUnexpectedly
	if agree || mended || hopeless {
		return ""
	}
	return fmt.Sprintf("does not converge: desired %q, observed %q, really %s", w.row.Desired, w.row.Observed, w.real.state)
}

// checkRest answers what is wrong with the ways in which a world comes to
// rest. Worlds that are calm alike are tried once.
func (r rules) checkRest(w world, tried map[string]bool) string {
	for _, e := range endings {
		calm := r.calm(w, e)
		k := fmt.Sprint(calm.key(r), e.converge)
		if tried[k] {
			continue
		}
		tried[k] = true
		if why := r.checkCalm(calm, e.converge); why != "" {
			return why
		}
	}
	return ""
}

func (r rules) checkCalm(w world, converge bool) string {
	at := r.rest(w, converge)
	if at.ghost.broken != "" {
		return at.ghost.broken
	}
	if why := at.silent(); why != "" {
		return why
	}
	if converge {
		return at.converged()
	}
	return ""
}
