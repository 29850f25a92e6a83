package workload_test

import (
	"slices"
	"testing"
	"time"

	"reeve/internal/workload"
)

// A sight is a list that is later than the row by one report.
func sight(row workload.Row, seen *workload.Seen) workload.List {
	l := workload.List{HostID: row.HostID, Sequence: row.Sequence + 1, Complete: true, At: epoch, Interval: time.Minute}
	if seen != nil {
		l.Items = map[workload.Key]workload.Seen{row.Key(): *seen}
	}
	return l
}

func is(s workload.State) *workload.Seen {
	return &workload.Seen{Label: string(s), State: s, Generation: 1}
}

func rowOf(desired, observed workload.State) workload.Row {
	return workload.Row{
		ID: "res_w", HostID: "res_h", Driver: "docker", Name: "web", Desired: desired, Observed: observed,
		Tombstone: desired == workload.Absent, Generation: 1, Sequence: 7, Version: 3,
	}
}

func doubted(row workload.Row) workload.Row {
	row.Observed, row.MissingReports, row.MissingSince = workload.Unknown, 1, epoch.Add(-time.Minute)
	return row
}

// TestTheTable is the table of the domain, line by line.
func TestTheTable(t *testing.T) {
	const same = workload.State("")
	held, late := rowOf(workload.Running, workload.Running), rowOf(workload.Running, workload.Running)
	held.Lease = &workload.Lease{Op: workload.Stop, ActionID: "act_1", Deadline: epoch.Add(time.Second), Fence: 1}
	late.Lease = &workload.Lease{Op: workload.Stop, ActionID: "act_1", Deadline: epoch, Fence: 1}
	for _, c := range []struct {
		name     string
		row      workload.Row
		seen     *workload.Seen
		observed workload.State
		problem  workload.Condition
		code     workload.Code
		want     workload.Operation
	}{
		{"lease, anything", held, nil, same, "", workload.OperationRunning, ""},
		{"expired lease, running", late, is(workload.Running), same, workload.OperationOverdue, workload.Agrees, ""},
		{"expired lease, stopped", late, is(workload.Stopped), workload.Stopped, workload.StoppedUnexpectedly, workload.Differs, workload.Start},
		{"running, running", rowOf(workload.Running, workload.Unknown), is(workload.Running), workload.Running, "", workload.Agrees, ""},
		{"running, paused", rowOf(workload.Running, workload.Running), is(workload.Paused), workload.Paused, workload.StoppedUnexpectedly, workload.Differs, workload.Resume},
		{"running, stopped", rowOf(workload.Running, workload.Running), is(workload.Stopped), workload.Stopped, workload.StoppedUnexpectedly, workload.Differs, workload.Start},
		{"running, absent once", rowOf(workload.Running, workload.Running), nil, workload.Unknown, "", workload.AbsentOnce, ""},
		{"running, absent twice", doubted(rowOf(workload.Running, workload.Running)), nil, workload.Absent, workload.Lost, workload.AbsentTwice, ""},
		{"paused, running", rowOf(workload.Paused, workload.Paused), is(workload.Running), workload.Running, workload.Drift, workload.Differs, workload.Pause},
		{"paused, stopped", rowOf(workload.Paused, workload.Paused), is(workload.Stopped), workload.Stopped, workload.StoppedUnexpectedly, workload.Differs, ""},
		{"paused, absent once", rowOf(workload.Paused, workload.Paused), nil, workload.Unknown, "", workload.AbsentOnce, ""},
		{"paused, absent twice", doubted(rowOf(workload.Paused, workload.Paused)), nil, workload.Absent, workload.Lost, workload.AbsentTwice, ""},
		{"stopped, running", rowOf(workload.Stopped, workload.Stopped), is(workload.Running), workload.Running, workload.Drift, workload.Differs, workload.Stop},
		{"stopped, stopped", rowOf(workload.Stopped, workload.Running), is(workload.Stopped), workload.Stopped, "", workload.Agrees, ""},
		{"stopped, absent twice", doubted(rowOf(workload.Stopped, workload.Stopped)), nil, workload.Absent, workload.Lost, workload.AbsentTwice, ""},
		{"absent, present", rowOf(workload.Absent, workload.Stopped), is(workload.Stopped), same, workload.Drift, workload.Differs, workload.Remove},
		{"absent, absent twice", doubted(rowOf(workload.Absent, workload.Stopped)), nil, workload.Absent, "", workload.Agrees, ""},
		{"absent, another in its place", rowOf(workload.Absent, workload.Stopped), &workload.Seen{Label: "up", State: workload.Running, Generation: 2}, workload.Absent, workload.Unowned, workload.Replaced, ""},
		{"no row, present", workload.Row{HostID: "res_h", Driver: "docker", Name: "web"}, is(workload.Running), workload.Running, workload.Unowned, workload.NotDeclared, ""},
		{"not declared, absent twice", doubted(rowOf(workload.Undeclared, workload.Running)), nil, workload.Absent, "", workload.Agrees, ""},
		{"unknown label", rowOf(workload.Running, workload.Running), &workload.Seen{Label: "zombified", Generation: 1}, same, workload.Protocol, workload.UnknownLabel, ""},
		{"older generation", rowOf(workload.Running, workload.Running), &workload.Seen{Label: "dead", State: workload.Stopped}, same, "", workload.OldGeneration, ""},
		{"older sequence", rowOf(workload.Running, workload.Running), &workload.Seen{Label: "dead", State: workload.Stopped, Generation: 1, Sequence: 7}, same, "", workload.OldSequence, ""},
		{"between states", rowOf(workload.Running, workload.Running), &workload.Seen{Label: "stopping", State: workload.Stopped, InTransit: true, Generation: 1}, same, "", workload.BetweenStates, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := workload.Judge(epoch, c.row, sight(c.row, c.seen), c.seen)
			if want := cmpState(c.observed, c.row.Observed); v.Row.Observed != want {
				t.Errorf("observed %q, want %q", v.Row.Observed, want)
			}
			if v.Condition() != c.problem || v.Reason.Code != c.code {
				t.Errorf("%q because %q, want %q because %q", v.Condition(), v.Reason.Code, c.problem, c.code)
			}
			if got := wanted(v); got != c.want {
				t.Errorf("wants %q, want %q", got, c.want)
			}
		})
	}
}

func cmpState(s, otherwise workload.State) workload.State {
	if s == "" {
		return otherwise
	}
	return s
}

func wanted(v workload.Verdict) workload.Operation {
	if v.Want == nil {
		return ""
	}
	return v.Want.Op
}

func TestAnUnknownLabelIsKeptAsItWasSaid(t *testing.T) {
	row := rowOf(workload.Running, workload.Running)
	seen := &workload.Seen{Label: "zombified", Generation: 1}
	v := workload.Judge(epoch, row, sight(row, seen), seen)
	if v.Row.RawLabel != "zombified" || v.Row.Observed != workload.Running {
		t.Errorf("%+v", v.Row)
	}
}

func TestAListThatIsNotCompleteProvesPresenceOnly(t *testing.T) {
	row := doubted(rowOf(workload.Running, workload.Running))
	list := sight(row, nil)
	list.Complete = false
	if v := workload.Judge(epoch, row, list, nil); v.Changed || v.Reason.Code != workload.Incomplete {
		t.Errorf("%+v", v)
	}
	seen := is(workload.Running)
	if v := workload.Judge(epoch, row, list, seen); v.Row.Observed != workload.Running || v.Row.MissingReports != 0 {
		t.Errorf("%+v", v)
	}
}

func TestTwoListsOfOneMomentDoNotProveALoss(t *testing.T) {
	row := rowOf(workload.Running, workload.Running)
	for range 5 {
		v := workload.Judge(epoch, row, sight(row, nil), nil)
		if v.Has(workload.Lost) || v.Row.Observed != workload.Unknown {
			t.Fatalf("%+v", v)
		}
		row = v.Row
	}
}

func TestAClockThatGoesBackDelaysALossOnly(t *testing.T) {
	row := rowOf(workload.Running, workload.Running)
	row.Observed, row.MissingReports, row.MissingSince = workload.Unknown, 1, epoch.Add(24*time.Hour)
	v := workload.Judge(epoch, row, sight(row, nil), nil)
	if v.Has(workload.Lost) {
		t.Fatal("a loss from one list")
	}
	list := sight(v.Row, nil)
	list.At = epoch.Add(time.Minute)
	if v = workload.Judge(epoch, v.Row, list, nil); !v.Has(workload.Lost) {
		t.Errorf("%+v", v)
	}
}

func TestWhatIsBetweenStatesForTooLongIsTold(t *testing.T) {
	row := rowOf(workload.Running, workload.Running)
	seen := &workload.Seen{Label: "stopping", InTransit: true, Generation: 1}
	v := workload.Judge(epoch, row, sight(row, seen), seen)
	for _, after := range []time.Duration{workload.MaxTransit - 1, workload.MaxTransit} {
		list := sight(v.Row, seen)
		v = workload.Judge(epoch.Add(after), v.Row, list, seen)
		if v.Has(workload.OperationOverdue) != (after == workload.MaxTransit) {
			t.Errorf("after %s: %+v", after, v.Problems)
		}
	}
}

func TestAgreementClearsEverything(t *testing.T) {
	row := rowOf(workload.Running, workload.Stopped)
	v := workload.Judge(epoch, row, sight(row, is(workload.Running)), is(workload.Running))
	for _, c := range workload.Conditions {
		if !slices.Contains(v.Cleared, c) {
			t.Errorf("%s is not cleared", c)
		}
	}
	if !v.Changed || v.Routine {
		t.Errorf("changed %v, routine %v", v.Changed, v.Routine)
	}
	row = v.Row
	if v = workload.Judge(epoch, row, sight(row, is(workload.Running)), is(workload.Running)); !v.Changed || !v.Routine {
		t.Errorf("of the same news: changed %v, routine %v", v.Changed, v.Routine)
	}
}

func TestRemovalIsRepeatedWithBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{-1: 0, 0: 0, 1: time.Minute, 2: 2 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 70: time.Hour} {
		if got := workload.Backoff(n); got != want {
			t.Errorf("after %d removals it waits %s, want %s", n, got, want)
		}
	}
	row := rowOf(workload.Absent, workload.Running)
	row.Removals, row.LastRemoval = 2, epoch
	v := workload.Judge(epoch, row, sight(row, is(workload.Running)), is(workload.Running))
	if v.Want.Due(epoch.Add(2*time.Minute-1)) || !v.Want.Due(epoch.Add(2*time.Minute)) {
		t.Errorf("%+v", v.Want)
	}
}

func TestAnUnheardHostSaysNothing(t *testing.T) {
	row := rowOf(workload.Running, workload.Running)
	row.Lease = &workload.Lease{Op: workload.Stop}
	v := workload.Unheard(row)
	if v.Changed || !v.Row.Equal(row) || v.Problems != nil || v.Cleared != nil || v.Reason.Code != workload.HostUnheard {
		t.Errorf("%+v", v)
	}
}
