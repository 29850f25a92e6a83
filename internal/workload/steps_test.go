package workload_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/workload"
)

// A step is one event, and the world after it.
type step struct {
	name string
	to   world
}

// steps answers everything that can happen next.
func (r rules) steps(w world, b bounds) []step {
	var all []step
	add := func(name string, event func(*world) bool) {
		to := w
		if event(&to) {
			r.refuseLate(&to)
			all = append(all, step{name, to})
		}
	}
	if w.commands < b.commands {
		r.people(w, b, add)
	}
	r.server(w, b, add)
	r.agent(w, b, add)
	if w.faults < b.faults {
		r.faults(b, func(name string, event func(*world) bool) {
			add(name, func(to *world) bool { to.faults++; return event(to) })
		})
	}
	add("a minute", func(to *world) bool { return to.minute() })
	return all
}

type adder func(string, func(*world) bool)

func (r rules) people(w world, b bounds, add adder) {
	for _, d := range []workload.State{workload.Running, workload.Absent} {
		add("declare "+string(d), func(to *world) bool { to.commands++; return r.declares(to, d) })
	}
	for _, op := range b.ops {
		add(string(op), func(to *world) bool { to.commands++; return to.pending == nil && r.begins(to, op) })
	}
}

func (r rules) declares(w *world, d workload.State) bool {
	before := w.row
	row, err := r.declare(w.row, d, "usr_ann")
	if err != nil || row.Equal(before) {
		return false
	}
	row.ID = "res_w"
	if d == workload.Absent {
		w.ghost.asked, w.ghost.askedGen = true, before.Generation
		return r.write(w, before, row)
	}
	if w.ghost.asked && w.real.state != workload.Absent && w.real.gen == w.ghost.askedGen {
		w.breaks("a tombstone was lifted while the thing is there")
	}
	w.ghost.asked = false
	if before.Desired == workload.Undeclared || before.Desired == workload.Absent {
		w.ghost.absentAt = time.Time{}
	}
	return r.write(w, before, row)
}

// write is the store's compare-and-swap. Every write finds whether it writes
// over what its writer has not read.
func (r rules) write(w *world, read, row workload.Row) bool {
	if read.Version != w.row.Version && !r.noCAS {
		return false
	}
	if !read.Equal(w.row) {
		w.breaks("a write went over another")
	}
	row.Version = w.row.Version + 1
	w.row = row
	if w.ghost.asked && w.row.Desired != workload.Absent {
		w.ghost.broken = "" // the most telling of what is broken
		w.breaks("a wish to destroy was undone")
	}
	return true
}

func (r rules) begins(w *world, op workload.Operation) bool {
	before := w.row
	if before.ID == "" {
		return false
	}
	row, err := r.begin(w.now, w.row, op, fmt.Sprint("act_", w.fences+1), w.fences+1)
	if err != nil {
		return false
	}
	if w.openUntil().After(w.now) {
		w.breaks("two operations run at once")
	}
	if row.Desired != workload.DesiredAfter(op, before.Desired) {
		w.breaks("an operation changed what is desired")
	}
	row.Removals = min(row.Removals, 2) // longer back-off is more of the same
	w.fences++
	r.write(w, before, row)
	w.pending = &order{op: op, fence: w.fences, gen: row.Generation, deadline: w.now.Add(workload.Grace(op))}
	return true
}

// openUntil answers until when the agent may still begin an order that was
// given and has not ended.
func (w *world) openUntil() time.Time {
	var last time.Time
	orders := slices.Clone(w.wire)
	if w.pending != nil {
		orders = append(orders, *w.pending)
	}
	for _, o := range orders {
		if !o.claimed && o.deadline.After(last) {
			last = o.deadline
		}
	}
	return last
}

func (r rules) server(w world, b bounds, add adder) {
	add("read row", func(to *world) bool {
		row := to.row
		to.reading = &row
		return w.reading == nil && !to.down && len(to.flights) < b.flights
	})
	add("send", func(to *world) bool {
		if to.pending == nil || to.down {
			return false
		}
		to.wire = append(slices.Clone(to.wire), *to.pending)
		to.pending = nil
		return true
	})
	for i := range w.flights {
		add(fmt.Sprint("judge ", i+1), func(to *world) bool { return !to.down && r.judges(to, i) })
	}
	if len(w.receipts) > 0 {
		add("receipt", func(to *world) bool { return !to.down && r.ends(to) })
	}
}

func (r rules) judges(w *world, i int) bool {
	f := w.flights[i]
	w.flights = without(w.flights, i)
	row := f.row
	if r.readLate {
		row = w.row
	}
	if r.lazy && f.list.Sequence <= w.hostSeq {
		return true
	}
	w.hostSeq = max(w.hostSeq, f.list.Sequence)
	seen := f.list.Find(row)
	v := r.judge(w.now, row, f.list, seen)
	w.checkVerdict(r, row, f, v)
	if v.Changed && !(r.lazy && v.Routine) {
		if v.Row.ID == "" {
			v.Row.ID = "res_w"
		}
		if !r.write(w, row, v.Row) {
			return true
		}
	} else if row.Version != w.row.Version && !r.noCAS {
		return true // nothing is concluded from a row that is old
	}
	if f.list.Sequence < w.ghost.newest && v.Row.Lease == row.Lease && v.Changed {
		w.breaks("an older list was believed")
	}
	if !slices.Contains(noVerdict, v.Reason.Code) {
		w.ghost.newest = max(w.ghost.newest, f.list.Sequence)
	}
	w.countAbsence(f, v)
	for k, c := range workload.Conditions {
		w.open[k] = (w.open[k] || v.Has(c)) && !slices.Contains(v.Cleared, c)
	}
	return true
}

func (r rules) ends(w *world) bool {
	receipt := w.receipts[0]
	w.receipts = w.receipts[1:]
	before := w.row
	row, err := r.end(w.row, receipt)
	if err != nil {
		return true
	}
	if before.Lease == nil || before.Lease.Fence != receipt.Fence {
		w.breaks("a receipt ended another operation")
	}
	r.write(w, before, row)
	return true
}

func (r rules) agent(w world, b bounds, add adder) {
	if w.reading != nil {
		add("list", func(to *world) bool { return r.lists(to, true) })
	}
	for i, o := range w.wire {
		add(fmt.Sprint("claim ", i+1), func(to *world) bool { return r.claims(to, i, o) })
	}
	if w.busy != nil && !w.stuck {
		add("done", func(to *world) bool { return r.finishes(to, true) })
	}
}

func (r rules) lists(w *world, complete bool) bool {
	if w.down || w.reading == nil {
		return false
	}
	w.seq++
	truth := w.real
	truth.transit = truth.state != workload.Absent && (truth.transit || w.busy != nil)
	list := workload.List{HostID: w.row.HostID, Sequence: w.seq, Complete: complete, At: w.now, Interval: tick}
	if truth.state != workload.Absent && complete {
		list.Items = map[workload.Key]workload.Seen{w.row.Key(): truth.seen(w.busy)}
	}
	w.flights = append(slices.Clone(w.flights), flight{*w.reading, list, truth})
	w.reading = nil
	return true
}

// seen answers what the driver says of a thing. While an operation goes on
// its word is that of the state to come.
func (t thing) seen(busy *order) workload.Seen {
	s := workload.Seen{Label: string(t.state), State: t.state, InTransit: t.transit, Generation: t.gen}
	if t.odd {
		s.Label, s.State = "zombified", ""
	}
	if busy != nil {
		s.State = after(busy.op, t.state)
	}
	return s
}

func after(op workload.Operation, s workload.State) workload.State {
	switch {
	case s == workload.Absent:
	case op == workload.Start && s == workload.Stopped, op == workload.Resume && s == workload.Paused:
		return workload.Running
	case op == workload.Stop:
		return workload.Stopped
	case op == workload.Pause && s == workload.Running:
		return workload.Paused
	case op == workload.Remove:
		return workload.Absent
	}
	return s
}

func (r rules) late(w *world, o order) bool { return !r.noDeadline && !w.now.Before(o.deadline) }

func (r rules) old(w *world, o order) bool { return !r.noFence && o.fence <= w.fence }

// refuseLate drops what the agent refuses anyway, to keep worlds few.
func (r rules) refuseLate(w *world) {
	refused := func(o order) bool { return r.late(w, o) || r.old(w, o) }
	if slices.ContainsFunc(w.wire, refused) {
		w.wire = slices.DeleteFunc(slices.Clone(w.wire), refused)
	}
}

func (r rules) claims(w *world, i int, o order) bool {
	other := o.gen != w.real.gen && !r.noGeneration
	if w.down || w.busy != nil || r.late(w, o) || r.old(w, o) || other {
		return false
	}
	if l := w.row.Lease; !o.claimed && (!l.Valid(w.now) || l.Fence != o.fence) {
		w.breaks("an operation runs without its lease")
	}
	if o.claimed {
		w.breaks("an operation ran twice")
	}
	w.wire = slices.Clone(w.wire)
	w.wire[i].claimed = true // the message stays and may come again
	w.fence = max(w.fence, o.fence)
	w.busy = &o
	return true
}

func (r rules) finishes(w *world, ok bool) bool {
	o, before := *w.busy, w.real
	to := before.state
	ok = ok && (o.gen == before.gen || r.noGeneration)
	if ok {
		to = after(o.op, before.state)
	}
	if to == workload.Absent && before.state != workload.Absent && !(w.ghost.asked && w.ghost.askedGen == before.gen) {
		w.breaks("destroyed what nobody asked to destroy")
	}
	w.real.state, w.busy, w.stuck = to, nil, false
	if to == workload.Absent {
		w.real.odd, w.real.transit = false, false
	}
	receipt := workload.Receipt{Op: o.op, ActionID: fmt.Sprint("act_", o.fence), Fence: o.fence, Outcome: workload.Succeeded, Observed: to, Sequence: w.seq}
	if !ok {
		receipt.Outcome = workload.Failed
	}
	if r.forgetsSequence {
		receipt.Sequence = 0
	}
	w.receipts = append(slices.Clone(w.receipts), receipt)
	return true
}

func (r rules) faults(b bounds, add adder) {
	add("operation fails", func(to *world) bool { return to.busy != nil && !to.stuck && r.finishes(to, false) })
	add("lose order", func(to *world) bool { lost := len(to.wire) > 0; to.wire = nil; return lost })
	add("lose receipt", func(to *world) bool { lost := len(to.receipts) > 0; to.receipts = nil; return lost })
	if b.crashes {
		add("server crash", func(to *world) bool {
			lost := to.pending != nil || to.reading != nil || len(to.flights) > 0
			to.pending, to.reading, to.flights = nil, nil, nil
			return lost
		})
		add("agent crash", func(to *world) bool { lost := to.busy != nil; to.busy, to.stuck = nil, false; return lost })
		add("operation hangs", func(to *world) bool { hangs := to.busy != nil && !to.stuck; to.stuck = true; return hangs })
	}
	if b.incomplete {
		add("incomplete list", func(to *world) bool { return r.lists(to, false) })
	}
	if b.hosts {
		r.hostFaults(add)
	}
	if b.hands {
		hands(add)
	}
	if b.labels {
		add("odd label", func(to *world) bool { to.real.odd = !to.real.odd; return to.real.state != workload.Absent })
		add("transit by hand", func(to *world) bool { to.real.transit = !to.real.transit; return to.real.state != workload.Absent })
	}
}

func (r rules) hostFaults(add adder) {
	add("host down", func(to *world) bool {
		if to.down {
			return false
		}
		to.down = true
		v := r.unheard(to.row)
		if v.Changed || !v.Row.Equal(to.row) || len(v.Problems)+len(v.Cleared) > 0 {
			to.breaks("an unreachable host changed a row")
			r.write(to, to.row, v.Row)
		}
		return true
	})
	add("host up", func(to *world) bool { was := to.down; to.down = false; return was })
}

// hands are the changes that somebody makes on the host, past the server.
func hands(add adder) {
	move := func(from, to workload.State) {
		add(strings.Join([]string{"by hand", string(from), string(to)}, " "), func(w *world) bool {
			if w.real.state != from {
				return false
			}
			if from == workload.Absent {
				w.gens++
				w.real = thing{gen: w.gens}
			}
			w.real.state = to
			if to == workload.Absent {
				w.real.odd, w.real.transit = false, false
			}
			return true
		})
	}
	move(workload.Absent, workload.Running)
	move(workload.Running, workload.Stopped)
	move(workload.Running, workload.Paused)
	move(workload.Stopped, workload.Running)
	move(workload.Paused, workload.Running)
	move(workload.Running, workload.Absent)
	move(workload.Paused, workload.Absent)
	move(workload.Stopped, workload.Absent)
}

// minute lets time pass. Lists that are older than any rule can tell are lost
// before.
func (w *world) minute() bool {
	for _, f := range w.flights {
		if w.now.Sub(f.list.At) >= 2*tick {
			return false
		}
	}
	w.now = w.now.Add(tick)
	return true
}
