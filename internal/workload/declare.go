package workload

import (
	"time"

	"reeve/internal/ops"
)

// Declare writes down what a person, a policy or an API call wants of a
// workload; by says who. To want it absent is final for the thing that is
// there: nothing else can be declared until it is gone. What is declared
// after that is another thing's life under the same name.
func Declare(row Row, desired State, by string) (Row, error) {
	switch {
	case !desired.Desirable():
		return row, refuse(BadRequest, ops.Invalid, "%q cannot be desired: say running, paused, stopped or absent", desired)
	case by == "":
		return row, refuse(BadRequest, ops.Invalid, "a declaration needs somebody who makes it")
	case row.Tombstone && desired != Absent && (row.Observed != Absent || row.Lease != nil):
		return row, refuse(ToBeRemoved, ops.Conflict, "%s is to be removed and may still be there; that is not taken back", row.called())
	}
	if desired != Absent && !row.Desired.present() {
		row = expected(row)
	}
	if row.Observed == "" {
		row.Observed = Unknown
	}
	row.Desired, row.DesiredBy, row.Tombstone = desired, by, desired == Absent
	return row, nil
}

// Expected starts the count of lists without a workload anew once it is
// declared that it should be there: it gets the time to appear.
func expected(row Row) Row {
	if row.Observed == Absent {
		row.Observed, row.RawLabel = Unknown, ""
	}
	row.MissingReports, row.MissingSince = 0, time.Time{}
	row.Removals, row.LastRemoval = 0, time.Time{}
	return row
}
