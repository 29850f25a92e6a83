package workload_test

import (
	"errors"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/workload"
)

func codeOf(err error) workload.Code {
	if r, ok := errors.AsType[*workload.Refused](err); ok {
		return r.Code
	}
	return ""
}

func TestAnOperationIsRefusedWhenItMakesNoSense(t *testing.T) {
	held := rowOf(workload.Running, workload.Running)
	held.Lease = &workload.Lease{Op: workload.Restart, ActionID: "act_1", Deadline: epoch.Add(time.Second), Fence: 4}
	over := held
	over.Lease = &workload.Lease{Op: workload.Restart, ActionID: "act_1", Deadline: epoch, Fence: 4}
	for _, c := range []struct {
		name  string
		row   workload.Row
		op    workload.Operation
		fence int64
		code  workload.Code
	}{
		{"another runs", held, workload.Stop, 5, workload.Held},
		{"the other is over", over, workload.Stop, 5, ""},
		{"the fence is old", over, workload.Stop, 4, workload.StaleFence},
		{"no fence", rowOf(workload.Running, workload.Running), workload.Stop, 0, workload.BadRequest},
		{"no operation", rowOf(workload.Running, workload.Running), "migrate", 1, workload.BadRequest},
		{"resume of what runs", rowOf(workload.Running, workload.Running), workload.Resume, 1, workload.Senseless},
		{"start of what runs", rowOf(workload.Running, workload.Running), workload.Start, 1, workload.Senseless},
		{"pause of what is stopped", rowOf(workload.Stopped, workload.Stopped), workload.Pause, 1, workload.Senseless},
		{"snapshot of what is absent", rowOf(workload.Running, workload.Absent), workload.Snapshot, 1, workload.Senseless},
		{"snapshot of what is stopped", rowOf(workload.Stopped, workload.Stopped), workload.Snapshot, 1, ""},
		{"anything of what is unknown", rowOf(workload.Running, workload.Unknown), workload.Resume, 1, ""},
		{"anything of what was never seen", rowOf(workload.Running, ""), workload.Start, 1, ""},
		{"removal of what is wanted", rowOf(workload.Running, workload.Running), workload.Remove, 1, workload.NotCondemned},
		{"removal of what nobody declared", rowOf(workload.Undeclared, workload.Running), workload.Remove, 1, workload.NotCondemned},
		{"removal of what should go", rowOf(workload.Absent, workload.Running), workload.Remove, 1, ""},
		{"removal of what is gone", rowOf(workload.Absent, workload.Absent), workload.Remove, 1, workload.Senseless},
		{"restart of what should go", rowOf(workload.Absent, workload.Running), workload.Restart, 1, workload.ToBeRemoved},
		{"snapshot of what should go", rowOf(workload.Absent, workload.Running), workload.Snapshot, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			row, err := workload.Begin(epoch, c.row, c.op, "act_2", c.fence)
			if codeOf(err) != c.code || (err != nil) != (c.code != "") {
				t.Fatalf("%v (%q), want %q", err, codeOf(err), c.code)
			}
			if err != nil {
				if text, _ := ops.Shown(err); !row.Equal(c.row) || text == "" {
					t.Errorf("%+v, %q", row, text)
				}
				return
			}
			want := workload.Lease{Op: c.op, ActionID: "act_2", Deadline: epoch.Add(workload.Grace(c.op)), Fence: c.fence}
			if *row.Lease != want || row.Desired != workload.DesiredAfter(c.op, c.row.Desired) {
				t.Errorf("%+v, desired %q", row.Lease, row.Desired)
			}
		})
	}
}

func TestWhatAnOperationMakesDesired(t *testing.T) {
	for op, want := range map[workload.Operation]workload.State{
		workload.Start: workload.Running, workload.Resume: workload.Running, workload.Restart: workload.Running,
		workload.Stop: workload.Stopped, workload.Pause: workload.Paused,
	} {
		for _, before := range []workload.State{workload.Running, workload.Stopped, workload.Paused, workload.Undeclared} {
			if got := workload.DesiredAfter(op, before); got != want {
				t.Errorf("%s of %q makes %q desired", op, before, got)
			}
		}
		if got := workload.DesiredAfter(op, workload.Absent); got != workload.Absent {
			t.Errorf("%s undoes a removal: %q", op, got)
		}
	}
	for _, op := range []workload.Operation{workload.Snapshot, workload.Remove} {
		if got := workload.DesiredAfter(op, workload.Paused); got != workload.Paused {
			t.Errorf("%s makes %q desired", op, got)
		}
	}
	if workload.Grace(workload.Snapshot) != 15*time.Minute || workload.Grace(workload.Stop) != 2*time.Minute || workload.Grace("") != 0 {
		t.Error("graces")
	}
}

func TestAReceiptCountsForItsOwnOperation(t *testing.T) {
	row, err := workload.Begin(epoch, rowOf(workload.Running, workload.Running), workload.Pause, "act_2", 9)
	if err != nil {
		t.Fatal(err)
	}
	good := workload.Receipt{Op: workload.Pause, ActionID: "act_2", Fence: 9, Outcome: workload.Succeeded, Observed: workload.Paused, RawLabel: "frozen", Sequence: 12}
	for name, c := range map[string]struct {
		change func(*workload.Row, *workload.Receipt)
		code   workload.Code
	}{
		"older fence":    {func(_ *workload.Row, r *workload.Receipt) { r.Fence = 8 }, workload.StaleFence},
		"newer fence":    {func(_ *workload.Row, r *workload.Receipt) { r.Fence = 10 }, workload.StaleFence},
		"another action": {func(_ *workload.Row, r *workload.Receipt) { r.ActionID = "act_1" }, workload.NotHolder},
		"another op":     {func(_ *workload.Row, r *workload.Receipt) { r.Op = workload.Remove }, workload.NotHolder},
		"no lease":       {func(w *workload.Row, _ *workload.Receipt) { w.Lease = nil }, workload.NotHolder},
		"no outcome":     {func(_ *workload.Row, r *workload.Receipt) { r.Outcome = "" }, workload.BadRequest},
	} {
		w, r := row, good
		c.change(&w, &r)
		if got, err := workload.End(w, r); codeOf(err) != c.code || !got.Equal(w) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := workload.End(row, good)
	if err != nil || got.Lease != nil || got.Observed != workload.Paused || got.RawLabel != "frozen" || got.Sequence != 12 || got.Desired != workload.Paused {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestASuccessByItselfProvesNoState(t *testing.T) {
	for _, c := range []struct {
		op       workload.Operation
		outcome  workload.Outcome
		saw      workload.State
		observed workload.State
	}{
		{workload.Pause, workload.Succeeded, "", workload.Running},
		{workload.Pause, workload.Succeeded, workload.Absent, workload.Unknown},
		{workload.Pause, workload.Succeeded, workload.Unknown, workload.Unknown},
		{workload.Pause, workload.Succeeded, "nonsense", workload.Running},
		{workload.Pause, workload.Failed, workload.Stopped, workload.Stopped},
		{workload.Pause, workload.Failed, "", workload.Running},
		{workload.Remove, workload.Succeeded, workload.Absent, workload.Absent},
		{workload.Remove, workload.Failed, workload.Absent, workload.Unknown},
		{workload.Remove, workload.Succeeded, "", workload.Running},
	} {
		row := rowOf(workload.Running, workload.Running)
		row.Lease = &workload.Lease{Op: c.op, ActionID: "act_1", Deadline: epoch, Fence: 1}
		got, err := workload.End(row, workload.Receipt{Op: c.op, ActionID: "act_1", Fence: 1, Outcome: c.outcome, Observed: c.saw})
		if err != nil || got.Observed != c.observed {
			t.Errorf("%s %s, saw %q: observed %q, %v", c.op, c.outcome, c.saw, got.Observed, err)
		}
	}
}

func TestATombstoneIsLiftedOnlyWhenTheThingIsGone(t *testing.T) {
	row, err := workload.Declare(rowOf(workload.Running, workload.Running), workload.Absent, "usr_ann")
	if err != nil || !row.Tombstone || row.DesiredBy != "usr_ann" {
		t.Fatalf("%+v, %v", row, err)
	}
	for _, observed := range []workload.State{"", workload.Running, workload.Unknown} {
		row.Observed = observed
		if got, err := workload.Declare(row, workload.Running, "usr_ann"); codeOf(err) != workload.ToBeRemoved || !got.Equal(row) {
			t.Errorf("observed %q: %v", observed, err)
		}
	}
	row.Observed, row.Removals = workload.Absent, 3
	held := row
	held.Lease = &workload.Lease{Op: workload.Remove}
	if _, err := workload.Declare(held, workload.Running, "usr_ann"); codeOf(err) != workload.ToBeRemoved {
		t.Errorf("while it is being removed: %v", err)
	}
	got, err := workload.Declare(row, workload.Running, "usr_bob")
	if err != nil || got.Tombstone || got.Observed != workload.Unknown || got.Removals != 0 || got.DesiredBy != "usr_bob" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []workload.State{"", workload.Unknown, "nonsense"} {
		if _, err := workload.Declare(rowOf(workload.Running, workload.Running), bad, "usr_ann"); codeOf(err) != workload.BadRequest {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := workload.Declare(row, workload.Absent, ""); codeOf(err) != workload.BadRequest {
		t.Errorf("by nobody: %v", err)
	}
}
