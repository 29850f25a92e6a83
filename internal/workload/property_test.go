package workload_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/workload"
)

// wild are bounds that a random walk needs: every event, as often as it likes.
var wild = bounds{
	ops:      []workload.Operation{workload.Start, workload.Stop, workload.Pause, workload.Resume, workload.Restart, workload.Snapshot, workload.Remove},
	commands: 1 << 30, faults: 1 << 30, flights: 4,
	crashes: true, hosts: true, hands: true, labels: true, incomplete: true,
}

// An estate is worlds that share hosts: two workloads on each of two.
type estate struct {
	r      rules
	worlds []world
}

func newEstate(r rules) *estate {
	e := &estate{r, make([]world, 4)}
	for i := range e.worlds {
		e.worlds[i] = newWorld()
		e.worlds[i].row.HostID = fmt.Sprint("res_h", i%2)
		e.worlds[i].row.Name = fmt.Sprint("web", i)
	}
	return e
}

// step takes a step of one world. What befalls a host befalls all that is on
// it, a list holds all that is on its host, and time is one.
func (e *estate) step(i int, s step) {
	switch s.name {
	case "a minute":
		for k := range e.worlds {
			for !e.worlds[k].minute() {
				e.worlds[k].flights = e.worlds[k].flights[1:]
			}
		}
	case "host down", "host up":
		e.worlds[i] = s.to
		e.worlds[(i+2)%4].down = s.to.down
	case "list":
		e.report(i, (i+2)%4)
	default:
		e.worlds[i] = s.to
	}
}

// report takes one list of two workloads.
func (e *estate) report(all ...int) {
	seq, items := int64(0), map[workload.Key]workload.Seen{}
	for _, i := range all {
		seq = max(seq, e.worlds[i].seq)
	}
	for _, i := range all {
		w := &e.worlds[i]
		row := w.row
		w.seq, w.reading = seq, &row
		if !e.r.lists(w, true) {
			return
		}
		last := &w.flights[len(w.flights)-1]
		for k, s := range last.list.Items {
			items[k] = s
		}
		last.list.Items = items
	}
}

// crossed answers what a list of one host does to the rows of the other.
func (e *estate) crossed() string {
	for i, w := range e.worlds {
		for _, f := range w.flights {
			for k, other := range e.worlds {
				v := e.r.judge(w.now, other.row, f.list, f.list.Find(other.row))
				if i%2 != k%2 && (len(v.Cleared) > 0 || v.Row.Observed != other.row.Observed) {
					return "a list of another host was believed"
				}
			}
		}
	}
	return ""
}

// TestRandomWalksKeepTheRules walks several workloads of two hosts at random,
// deeper than the exploration can, with every event that there is.
func TestRandomWalksKeepTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := realRules()
		r.lazy = rapid.Bool().Draw(t, "routine verdicts are not written")
		r.forgetsSequence = rapid.Bool().Draw(t, "receipts have no sequence")
		e := newEstate(r)
		for range rapid.IntRange(20, 300).Draw(t, "steps") {
			i := rapid.IntRange(0, len(e.worlds)-1).Draw(t, "workload")
			steps := r.steps(e.worlds[i], wild)
			s := steps[rapid.IntRange(0, len(steps)-1).Draw(t, "step")]
			if s.to.ghost.broken != "" {
				t.Fatalf("%s: %s", s.name, s.to.ghost.broken)
			}
			e.step(i, s)
			if why := e.crossed(); why != "" {
				t.Fatal(why)
			}
		}
		for _, w := range e.worlds {
			if why := r.checkRest(w, map[string]bool{}); why != "" {
				t.Fatal(why)
			}
		}
	})
}

// TestAnyInputIsJudgedOnce: whatever a row and a list hold, judging never
// panics, never changes what is desired, and changes nothing the second time.
func TestAnyInputIsJudgedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row, list := anyRow(t), anyList(t)
		now := anyTime(t, "now")
		seen := list.Find(row)
		v := workload.Judge(now, row, list, seen)
		if v.Row.Desired != row.Desired || v.Row.Tombstone != row.Tombstone || v.Row.Version != row.Version || v.Row.ID != row.ID {
			t.Fatalf("%+v became %+v", row, v.Row)
		}
		if v.Changed == v.Row.Equal(row) || v.Reason.Text == "" || v.Reason.Code == "" {
			t.Fatalf("%+v: changed %v, reason %+v", v.Row, v.Changed, v.Reason)
		}
		for _, c := range v.Cleared {
			if v.Has(c) {
				t.Fatalf("%s is both true and false", c)
			}
		}
		if again := workload.Judge(now, v.Row, list, seen); again.Changed {
			t.Fatalf("judged twice: %+v became %+v", v.Row, again.Row)
		}
		if v.Want != nil && workload.DesiredAfter(v.Want.Op, row.Desired) != row.Desired {
			t.Fatalf("%s would change what is desired: %s", v.Want.Op, row.Desired)
		}
		if v.Want != nil && v.Want.Op == workload.Remove && row.Desired != workload.Absent {
			t.Fatalf("removal of what should be %q", row.Desired)
		}
		other := row
		other.HostID = "res_other"
		if v := workload.Judge(now, other, list, seen); len(v.Cleared) > 0 || v.Row.Observed != other.Observed || v.Row.Sequence != other.Sequence {
			t.Fatalf("a list of another host was believed: %+v", v)
		}
	})
}

var (
	anyState = rapid.SampledFrom([]workload.State{"", workload.Running, workload.Paused, workload.Stopped, workload.Absent, workload.Unknown, "nonsense"})
	anyOp    = rapid.SampledFrom(append([]workload.Operation{"", "nonsense"}, wild.ops...))
	anyCount = rapid.Int64Range(-1, 4)
)

func anyTime(t *rapid.T, name string) time.Time {
	if rapid.IntRange(0, 4).Draw(t, name+" is zero") == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(rapid.IntRange(-3, 30).Draw(t, name)) * 30 * time.Second)
}

func anyRow(t *rapid.T) workload.Row {
	row := workload.Row{
		ID: "res_w", HostID: "res_h", Driver: "docker", Name: "web",
		Desired: anyState.Draw(t, "desired"), Observed: anyState.Draw(t, "observed"),
		MissingSince: anyTime(t, "missing since"), MissingReports: rapid.IntRange(0, 2).Draw(t, "missing"),
		TransitSince: anyTime(t, "transit since"), LastRemoval: anyTime(t, "last removal"), Removals: rapid.IntRange(-1, 70).Draw(t, "removals"),
		Generation: anyCount.Draw(t, "generation"), Sequence: anyCount.Draw(t, "sequence"), Version: 3,
	}
	row.Tombstone = row.Desired == workload.Absent && rapid.Bool().Draw(t, "tombstone")
	if rapid.Bool().Draw(t, "held") {
		row.Lease = &workload.Lease{Op: anyOp.Draw(t, "op"), ActionID: "act_1", Deadline: anyTime(t, "deadline"), Fence: anyCount.Draw(t, "fence")}
	}
	return row
}

func anyList(t *rapid.T) workload.List {
	list := workload.List{
		HostID: "res_h", Sequence: anyCount.Draw(t, "list"), Complete: rapid.Bool().Draw(t, "complete"),
		At: anyTime(t, "at"), Interval: time.Duration(rapid.IntRange(-1, 60).Draw(t, "interval")) * time.Second,
		Items: map[workload.Key]workload.Seen{},
	}
	if rapid.Bool().Draw(t, "present") {
		list.Items[workload.Key{Driver: "docker", Name: "web"}] = workload.Seen{
			Label: "word", State: anyState.Draw(t, "seen"), InTransit: rapid.Bool().Draw(t, "in transit"),
			Generation: anyCount.Draw(t, "seen generation"), Sequence: anyCount.Draw(t, "seen sequence"),
		}
	}
	return list
}
