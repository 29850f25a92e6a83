package workload_test

import (
	"cmp"
	"slices"
	"time"

	"reeve/internal/workload"
)

// One tick of the abstract world is a minute, which also is how often the
// agent takes a list.
const tick = time.Minute

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rules are what the world runs on: the functions of the package, and what
// the package comment asks of its callers. A mutant replaces one of them.
type rules struct {
	judge   func(time.Time, workload.Row, workload.List, *workload.Seen) workload.Verdict
	unheard func(workload.Row) workload.Verdict
	begin   func(time.Time, workload.Row, workload.Operation, string, int64) (workload.Row, error)
	end     func(workload.Row, workload.Receipt) (workload.Row, error)
	declare func(workload.Row, workload.State, string) (workload.Row, error)

	readLate        bool // the row is read when the list arrives, not before it is taken
	noCAS           bool // the store writes over another version
	lazy            bool // routine verdicts are not written; the host's sequence is kept elsewhere
	noDeadline      bool // the agent begins operations after their deadline
	noFence         bool // the agent forgets which fences it has seen
	noGeneration    bool // the agent does not compare generations
	forgetsSequence bool // receipts do not say which list was the last before them
}

func realRules() rules {
	return rules{judge: workload.Judge, unheard: workload.Unheard, begin: workload.Begin, end: workload.End, declare: workload.Declare}
}

// bounds say which events a run explores and how many of each.
type bounds struct {
	ops      []workload.Operation
	commands int // declarations and operations of people
	faults   int // crashes, losses, changes by hand
	flights  int // lists on their way at once

	crashes, hosts, hands, labels, incomplete bool
}

// A thing is what really is there.
type thing struct {
	state   workload.State
	gen     int64
	odd     bool // its driver uses a word that nobody knows
	transit bool // somebody else's operation is going on, maybe for ever
}

// An order is an operation on its way to the agent.
type order struct {
	op       workload.Operation
	fence    int64
	gen      int64
	deadline time.Time
	claimed  bool // ghost: the agent has begun it once
}

// A flight is a list on its way, with the row that was read before it was
// taken, and the truth at that time.
type flight struct {
	row   workload.Row
	list  workload.List
	truth thing
}

// ghost is what only the checker knows.
type ghost struct {
	asked    bool  // a person wants the thing of generation askedGen destroyed
	askedGen int64 // and nothing else
	absentAt time.Time
	newest   int64  // of the lists that were judged
	broken   string // the rule that the last step broke
}

// world is one workload on one host, its server, its agent and the wire
// between them. It is copied on every step; slices and pointers in it are
// never changed in place.
type world struct {
	now   time.Time
	row   workload.Row
	real  thing
	gens  int64
	down  bool
	open  [6]bool // conditions, in the order of workload.Conditions
	ghost ghost

	fences   int64
	pending  *order // in the server's memory: begun and not yet sent
	reading  *workload.Row
	hostSeq  int64
	wire     []order
	receipts []workload.Receipt
	flights  []flight

	busy  *order
	stuck bool // the operation never ends
	fence int64
	seq   int64

	commands, faults int
}

func newWorld() world {
	return world{now: epoch, row: workload.Row{HostID: "res_h", Driver: "docker", Name: "web"}, real: thing{state: workload.Absent}}
}

func (w *world) breaks(rule string) {
	if w.ghost.broken == "" {
		w.ghost.broken = rule
	}
}

func (w *world) isOpen(c workload.Condition) bool {
	return w.open[slices.Index(workload.Conditions, c)]
}

func without[T any](all []T, i int) []T { return slices.Delete(slices.Clone(all), i, i+1) }

// A key tells worlds apart by what can still make a difference: numbers that
// are only compared are replaced by their rank, times by their distance from
// now as far as a rule can look.
type key struct {
	b []byte
}

func (k *key) num(n int) { k.b = append(k.b, byte(n+64)) }

// text writes enough of a state, operation or outcome to tell it from others.
func (k *key) text(s string) {
	if s == "" {
		k.b = append(k.b, 0)
		return
	}
	k.b = append(k.b, s[0], s[2], s[len(s)-1], byte(len(s)))
}

func (k *key) flag(all ...bool) {
	for _, f := range all {
		bit := byte('0')
		if f {
			bit = '1'
		}
		k.b = append(k.b, bit)
	}
}

// ago writes how long ago a time was, in ticks, up to the longest that a rule
// of the explored operations can tell apart.
func (k *key) ago(now, t time.Time) {
	if t.IsZero() {
		k.num(-9)
		return
	}
	k.num(min(max(int(now.Sub(t)/tick), -3), 5))
}

// ranks are distinct values in order; of answers the place of one.
type ranks []int64

func ranked(values []int64) ranks {
	slices.Sort(values)
	return slices.Compact(values)
}

func (r ranks) of(v int64) int { return slices.Index(r, v) }

type orderings struct{ seq, fence, gen ranks }

func (w *world) orderings() orderings {
	seqs := []int64{0, w.row.Sequence, w.seq, w.hostSeq}
	fences := []int64{0, w.fence, w.fences}
	gens := []int64{0, w.row.Generation, w.real.gen, w.gens, w.ghost.askedGen}
	for _, o := range []*order{w.pending, w.busy} {
		if o != nil {
			fences, gens = append(fences, o.fence), append(gens, o.gen)
		}
	}
	for _, o := range w.wire {
		fences, gens = append(fences, o.fence), append(gens, o.gen)
	}
	row := func(r *workload.Row) {
		seqs, gens = append(seqs, r.Sequence), append(gens, r.Generation)
		if r.Lease != nil {
			fences = append(fences, r.Lease.Fence)
		}
	}
	row(&w.row)
	if w.reading != nil {
		row(w.reading)
	}
	for i := range w.flights {
		f := &w.flights[i]
		row(&f.row)
		seqs, gens = append(seqs, f.list.Sequence), append(gens, f.truth.gen)
	}
	for _, r := range w.receipts {
		fences, seqs = append(fences, r.Fence), append(seqs, r.Sequence)
	}
	return orderings{ranked(seqs), ranked(fences), ranked(gens)}
}

func (k *key) row(w *world, r *workload.Row, o orderings) {
	k.text(string(r.Desired))
	k.text(string(r.Observed))
	k.flag(r.Tombstone, r.Lease != nil, r.Version == 0)
	if r.Lease != nil {
		k.text(string(r.Lease.Op))
		k.num(max(int(r.Lease.Deadline.Sub(w.now)/tick), -1))
		k.num(o.fence.of(r.Lease.Fence))
	}
	k.ago(w.now, r.MissingSince)
	k.num(r.MissingReports)
	k.flag(!r.TransitSince.IsZero())
	k.num(o.gen.of(r.Generation))
	k.num(o.seq.of(r.Sequence))
	k.num(r.Removals)
	k.ago(w.now, r.LastRemoval)
}

func (k *key) order(w *world, o order, by orderings) {
	k.text(string(o.op))
	k.num(by.fence.of(o.fence))
	k.num(by.gen.of(o.gen))
	k.num(max(int(o.deadline.Sub(w.now)/tick), -1))
	k.flag(o.claimed)
}

// key answers the same text for worlds that behave alike. A list whose row
// was written since is refused whatever it says, so it counts as that only.
func (w *world) key(r rules) string {
	k, by := &key{b: make([]byte, 0, 256)}, w.orderings()
	k.row(w, &w.row, by)
	k.text(string(w.real.state))
	k.flag(w.real.odd, w.real.transit, w.down, w.stuck, w.ghost.asked)
	k.flag(w.open[:]...)
	k.num(by.gen.of(w.real.gen))
	k.num(by.gen.of(w.gens))
	k.num(by.gen.of(w.ghost.askedGen))
	k.ago(w.now, w.ghost.absentAt)
	k.num(w.commands)
	k.num(w.faults)
	for _, o := range []*order{w.pending, w.busy} {
		k.flag(o != nil)
		if o != nil {
			k.order(w, *o, by)
		}
	}
	k.num(len(w.wire))
	for _, o := range w.wire {
		k.order(w, o, by)
	}
	k.num(by.fence.of(w.fence))
	k.num(by.fence.of(w.fences))
	k.num(by.seq.of(w.seq))
	k.num(by.seq.of(w.hostSeq))
	for _, x := range w.receipts {
		k.text(string(x.Op))
		k.text(string(x.Outcome))
		k.text(string(x.Observed))
		k.num(by.fence.of(x.Fence))
		k.num(by.seq.of(x.Sequence))
	}
	w.keyLists(k, r, by)
	return string(k.b)
}

func (w *world) keyLists(k *key, r rules, by orderings) {
	k.flag(w.reading != nil)
	if w.reading != nil {
		k.flag(w.reading.Version == w.row.Version)
		if r.noCAS {
			k.row(w, w.reading, by)
		}
	}
	flights := slices.Clone(w.flights)
	slices.SortFunc(flights, func(a, b flight) int { return cmp.Compare(a.list.Sequence, b.list.Sequence) })
	for _, f := range flights {
		dead := f.row.Version != w.row.Version && !r.noCAS && !r.readLate
		k.flag(dead)
		if r.lazy || !dead {
			k.num(by.seq.of(f.list.Sequence))
		}
		if dead {
			continue
		}
		if r.noCAS {
			k.row(w, &f.row, by)
		}
		k.ago(w.now, f.list.At)
		k.text(string(f.truth.state))
		k.num(by.gen.of(f.truth.gen))
		k.flag(f.list.Complete, f.truth.odd, f.truth.transit)
	}
}
