package workload_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"reeve/internal/workload"
)

// A mutant is the rules with one of them broken on purpose. The exploration
// must find a way in which that hurts; else it proves nothing about the rule.
type mutant struct {
	name   string
	broken func(*rules)
	start  func() world
	b      bounds
	why    string // a part of what must be found
}

var (
	plainly = bounds{ops: few, commands: 2, faults: 1, flights: 1, crashes: true}
	byHand  = bounds{ops: fewer, commands: 2, faults: 2, flights: 1, hands: true}
	oddly   = bounds{ops: fewer, commands: 2, faults: 2, flights: 1, hosts: true, labels: true, incomplete: true}
	lately  = bounds{ops: few, commands: 2, faults: 1, flights: 2, hands: true}
)

// twist changes what Judge answers.
func twist(f func(row workload.Row, list workload.List, seen *workload.Seen, v *workload.Verdict)) func(*rules) {
	return func(r *rules) {
		r.judge = func(now time.Time, row workload.Row, list workload.List, seen *workload.Seen) workload.Verdict {
			v := workload.Judge(now, row, list, seen)
			f(row, list, seen, &v)
			v.Changed = !v.Row.Equal(row)
			return v
		}
	}
}

// feed changes what Judge is given.
func feed(f func(row *workload.Row, list *workload.List, seen **workload.Seen)) func(*rules) {
	return func(r *rules) {
		r.judge = func(now time.Time, row workload.Row, list workload.List, seen *workload.Seen) workload.Verdict {
			was := row
			if seen != nil {
				copied := *seen
				seen = &copied
			}
			f(&row, &list, &seen)
			v := workload.Judge(now, row, list, seen)
			v.Changed = !v.Row.Equal(was)
			return v
		}
	}
}

var mutants = []mutant{
	{"the store ignores versions", func(r *rules) { r.noCAS = true }, running, plainly, "a wish to destroy was undone"},
	{"the store ignores versions, of operations", func(r *rules) {
		r.noCAS = true
		r.declare = func(row workload.Row, _ workload.State, _ string) (workload.Row, error) { return row, errors.New("no") }
	}, running, plainly, "a write went over another"},
	{"absence is the success of a pause", twist(func(row workload.Row, _ workload.List, seen *workload.Seen, v *workload.Verdict) {
		if seen == nil && row.Desired == workload.Paused && v.Changed {
			v.Row.Observed, v.Problems, v.Cleared = workload.Paused, nil, workload.Conditions
		}
	}), running, byHand, "observed became paused while it was absent"},
	{"operations take no lease", func(r *rules) {
		r.begin = func(now time.Time, row workload.Row, op workload.Operation, id string, fence int64) (workload.Row, error) {
			row, err := workload.Begin(now, row, op, id, fence)
			row.Lease = nil
			return row, err
		}
	}, running, plainly, "without its lease"},
	{"a lease is taken from who holds it", func(r *rules) {
		r.begin = func(now time.Time, row workload.Row, op workload.Operation, id string, fence int64) (workload.Row, error) {
			row.Lease = nil
			return workload.Begin(now, row, op, id, fence)
		}
	}, running, plainly, "two operations run at once"},
	{"a lease that expired is kept", twist(func(row workload.Row, _ workload.List, _ *workload.Seen, v *workload.Verdict) {
		v.Row.Lease = row.Lease
	}), running, plainly, "judging twice is not judging once"},
	{"a lease that expired is not told", twist(func(row workload.Row, _ workload.List, _ *workload.Seen, v *workload.Verdict) {
		if row.Lease != nil && v.Row.Lease == nil && len(v.Problems) > 0 {
			v.Problems = v.Problems[1:]
		}
	}), running, plainly, "an operation that did not end in time is not told"},
	{"a list is judged while an operation runs", feed(func(row *workload.Row, _ *workload.List, _ **workload.Seen) {
		if row.Lease != nil {
			row.Lease = &workload.Lease{Op: row.Lease.Op}
		}
	}), running, plainly, "a verdict while an operation runs"},
	{"any receipt ends the lease", func(r *rules) {
		r.end = func(row workload.Row, x workload.Receipt) (workload.Row, error) {
			if row.Lease != nil {
				x.Fence, x.ActionID, x.Op = row.Lease.Fence, row.Lease.ActionID, row.Lease.Op
			}
			return workload.End(row, x)
		}
	}, running, plainly, "a receipt ended another operation"},
	{"the agent begins operations after their deadline", func(r *rules) { r.noDeadline = true }, running, plainly, "an operation runs without its lease"},
	{"the agent forgets fences", func(r *rules) { r.noFence = true }, running, plainly, "an operation ran twice"},
	{"the agent acts on names", func(r *rules) { r.noGeneration = true }, running, byHand, "destroyed what nobody asked to destroy"},
	{"what took the place of the removed is removed", feed(func(row *workload.Row, _ *workload.List, seen **workload.Seen) {
		if *seen != nil && row.Tombstone {
			row.Generation = (*seen).Generation
		}
	}), running, byHand, "destroyed what nobody asked to destroy"},
	{"anything may be removed", func(r *rules) {
		r.begin = func(now time.Time, row workload.Row, op workload.Operation, id string, fence int64) (workload.Row, error) {
			desired := row.Desired
			if op == workload.Remove {
				row.Desired = workload.Absent
			}
			row, err := workload.Begin(now, row, op, id, fence)
			if op == workload.Remove {
				row.Desired = desired
			}
			return row, err
		}
	}, running, plainly, "destroyed what nobody asked to destroy"},
	{"a tombstone is lifted at any time", func(r *rules) {
		r.declare = func(row workload.Row, d workload.State, by string) (workload.Row, error) {
			row.Tombstone = false
			return workload.Declare(row, d, by)
		}
	}, running, plainly, "a tombstone was lifted while the thing is there"},
	{"one list without it proves a loss", feed(func(row *workload.Row, list *workload.List, seen **workload.Seen) {
		if *seen == nil && row.MissingReports == 0 {
			row.MissingReports, row.MissingSince = 1, list.At.Add(-time.Hour)
		}
	}), running, byHand, "lost without two complete lists"},
	{"two lists of one moment prove a loss", feed(func(row *workload.Row, list *workload.List, seen **workload.Seen) {
		if *seen == nil && row.MissingReports == 1 {
			list.At = list.At.Add(time.Hour)
		}
	}), running, byHand, "lost without two complete lists"},
	{"a list that is not complete proves absence", feed(func(_ *workload.Row, list *workload.List, _ **workload.Seen) { list.Complete = true }), running, oddly, "observed became absent while it was running"},
	{"an older list counts", func(r *rules) {
		r.readLate = true
		r.judge = func(now time.Time, row workload.Row, list workload.List, seen *workload.Seen) workload.Verdict {
			was := row
			row.Sequence = 0
			v := workload.Judge(now, row, list, seen)
			v.Row.Sequence = max(v.Row.Sequence, was.Sequence)
			v.Changed = !v.Row.Equal(was)
			return v
		}
	}, running, lately, "judging twice is not judging once"},
	{"an unknown word is a state", feed(func(_ *workload.Row, _ *workload.List, seen **workload.Seen) {
		if *seen != nil && (*seen).State == "" {
			(*seen).State = workload.Stopped
		}
	}), running, oddly, "observed became stopped while it was running"},
	{"an unknown word is not told", twist(func(_ workload.Row, _ workload.List, seen *workload.Seen, v *workload.Verdict) {
		if v.Has(workload.Protocol) {
			v.Problems = nil
		}
	}), running, oddly, "silent: protocol is not said"},
	{"what is going on counts as done", feed(func(_ *workload.Row, _ *workload.List, seen **workload.Seen) {
		if *seen != nil {
			(*seen).InTransit = false
		}
	}), running, plainly, "observed became"},
	{"what goes on may go on for ever", twist(func(_ workload.Row, _ workload.List, _ *workload.Seen, v *workload.Verdict) {
		if v.Reason.Code == workload.TransitTooLong {
			v.Problems = nil
		}
	}), running, oddly, "silent: operation_overdue is not said"},
	{"what is observed becomes what is desired", twist(func(row workload.Row, _ workload.List, seen *workload.Seen, v *workload.Verdict) {
		if v.Has(workload.StoppedUnexpectedly) {
			v.Row.Desired, v.Problems = v.Row.Observed, nil
		}
	}), running, byHand, "a report changed what is desired"},
	{"a loss is not told", twist(func(_ workload.Row, _ workload.List, _ *workload.Seen, v *workload.Verdict) {
		if v.Has(workload.Lost) {
			v.Problems = nil
		}
	}), running, byHand, "silent: lost is not said"},
	{"a finding never ends", twist(func(_ workload.Row, _ workload.List, _ *workload.Seen, v *workload.Verdict) { v.Cleared = nil }), running, byHand, "is said for ever"},
	{"nothing is wanted of what was not removed", twist(func(row workload.Row, _ workload.List, _ *workload.Seen, v *workload.Verdict) {
		if row.Tombstone {
			v.Want = nil
		}
	}), running, plainly, "does not converge"},
	{"an unreachable host makes its workloads unknown", func(r *rules) {
		r.unheard = func(row workload.Row) workload.Verdict {
			row.Observed = workload.Unknown
			return workload.Verdict{Row: row, Changed: true}
		}
	}, running, oddly, "an unreachable host changed a row"},
}

func TestTheExplorationFindsWhatIsBroken(t *testing.T) {
	states := 0
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			r := realRules()
			m.broken(&r)
			f := explore(r, m.b, m.start(), most)
			states += f.states
			t.Logf("%s, after %d worlds: %s", f.why, f.states, strings.Join(f.trace, " > "))
			if f.why == "" || !strings.Contains(f.why, m.why) {
				t.Errorf("found %q, want %q", f.why, m.why)
			}
		})
	}
	t.Logf("%d mutants, %d worlds", len(mutants), states)
}
