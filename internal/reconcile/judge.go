package reconcile

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// A change is a row as it was read and as it shall be.
type change struct{ before, after store.WorkloadRow }

// lists answers an agent's list by driver, as it is judged. What the server
// does not know of a driver means nothing to it.
func (r *Reconcile) lists(host ops.Host, answer *linkpb.WorkloadsResponse) map[string]workload.List {
	all := map[string]workload.List{}
	for _, d := range answer.GetDrivers() {
		driver, known := r.Drivers[d.GetDriver()]
		if !known {
			continue
		}
		l := workload.List{HostID: host.ID, Sequence: answer.GetSequence(), Complete: d.GetComplete(), At: time.UnixMilli(answer.GetAtMs()).UTC(),
			Interval: pace(host), Items: map[workload.Key]workload.Seen{}}
		for _, w := range d.GetWorkloads() {
			label := redact.Line(w.GetLabel(), 60)
			state, inTransit := driver.State(label)
			l.Items[workload.Key{Driver: d.GetDriver(), Name: redact.Line(w.GetName(), 250)}] = workload.Seen{
				Label: label, State: state, InTransit: inTransit, Generation: generationOf(w), At: l.At}
		}
		all[d.GetDriver()] = l
	}
	return all
}

// judge answers what the list of a host changes.
func (r *Reconcile) judge(now time.Time, host ops.Host, rows []store.WorkloadRow, answer *linkpb.WorkloadsResponse) []change {
	lists := r.lists(host, answer)
	managed := map[string]bool{} // drivers of which something is declared, so that others are strangers
	known := map[workload.Key]bool{}
	for _, row := range rows {
		known[row.Key()] = true
		// An order makes something desired, and nobody a stranger.
		declared := row.Desired != workload.Undeclared && row.Source != store.FromOrder
		managed[row.Driver] = managed[row.Driver] || declared && r.Drivers[row.Driver].Strangers
	}
	var changes []change
	for _, row := range rows {
		if row.Desired == workload.Undeclared && row.Lease == nil && !r.Drivers[row.Driver].Strangers {
			after := row // such a thing has a row only while it is declared
			after.Observed, after.Problems = workload.Absent, nil
			changes = append(changes, change{row, after})
			continue
		}
		list, ok := lists[row.Driver]
		if !ok { // nothing was said of this driver, and nothing follows
			if c, changed := unlisted(now, row, host); changed {
				changes = append(changes, c)
			}
			continue
		}
		if c, changed := judgeRow(now, row, list, managed[row.Driver]); changed {
			changes = append(changes, c)
		}
	}
	for name, list := range lists {
		if !r.Drivers[name].Strangers {
			continue
		}
		for key := range list.Items {
			if known[key] {
				continue
			}
			row := store.WorkloadRow{Row: workload.Row{ID: ops.NewID(ops.WorkloadID), HostID: host.ID, Driver: key.Driver, Name: key.Name, Observed: workload.Unknown}}
			if c, changed := judgeRow(now, row, list, managed[name]); changed {
				changes = append(changes, c)
			}
		}
	}
	return changes
}

// unlisted says so of a declared row. What nobody declares and nobody knows
// anything of is dropped.
func unlisted(now time.Time, row store.WorkloadRow, host ops.Host) (change, bool) {
	// A list of nothing ends a lease whose deadline has passed, and says no more.
	v := workload.Judge(now, row.Row, workload.List{HostID: row.HostID}, nil)
	after := row
	after.Row, after.Problems = v.Row, problemsOf(now, row, v, true)
	if row.Desired == workload.Undeclared && row.Lease == nil {
		after.Observed = workload.Absent
		return change{row, after}, row.Observed == workload.Unknown && gone(after)
	}
	if row.Desired != workload.Undeclared {
		after.Reason = workload.NoDriver + row.Driver + " on " + host.Name + ": `reeve-agent check` there says what it sees"
	}
	return change{row, after}, row.Reason != after.Reason || v.Changed
}

func judgeRow(now time.Time, row store.WorkloadRow, list workload.List, managed bool) (change, bool) {
	v := workload.Judge(now, row.Row, list, list.Find(row.Row))
	after := row
	after.Row, after.Reason = v.Row, v.Reason.Text
	after.Problems = problemsOf(now, row, v, managed)
	switch {
	case after.Observed != workload.Running:
		after.UpSince = time.Time{}
	case after.UpSince.IsZero():
		after.UpSince = now
	}
	same := maps.Equal(after.Problems, row.Problems) && after.UpSince.Equal(row.UpSince) && !strings.HasPrefix(row.Reason, workload.NoDriver)
	if same && (!v.Changed || v.Routine) && row.Version > 0 && !gone(after) {
		return change{}, false
	}
	return change{row, after}, true
}

// problemsOf answers what is wrong with a row after a verdict.
func problemsOf(now time.Time, row store.WorkloadRow, v workload.Verdict, managed bool) map[string]string {
	all := maps.Clone(row.Problems)
	for _, c := range v.Cleared {
		delete(all, string(c))
	}
	for _, p := range v.Problems {
		if p.Condition == workload.Unowned && !managed {
			continue // where nobody declared anything, nothing is a stranger
		}
		if now.Before(row.SettlesAt) && (p.Condition == workload.Drift || p.Condition == workload.StoppedUnexpectedly) {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[string(p.Condition)] = p.Reason.Text
	}
	if !managed {
		delete(all, string(workload.Unowned))
	}
	return all
}

// write writes changes in one transaction. A row that another has written
// since it was read is left as it is: this list is too old for it.
func (r *Reconcile) write(ctx context.Context, now time.Time, host ops.Host, changes []change) error {
	return r.Store.Tx(ctx, now, func(tx *store.Tx) error {
		if h, err := tx.Host(ctx, host.ID); err != nil || h.State == ops.HostRemoved {
			return err // it went while its list was judged, with all that was on it
		}
		for _, c := range changes {
			if gone(c.after) {
				if err := Show(ctx, tx, host, &c.after); err != nil {
					return err
				}
				if _, err := tx.DeleteWorkload(ctx, c.after, store.Why{Actor: actor, Reason: "nobody declares it, and it is not there"}); err != nil {
					return err
				}
				continue
			}
			if err := Show(ctx, tx, host, &c.after); err != nil {
				return err
			}
			verb := ""
			if c.before.Version > 0 && c.before.Observed != c.after.Observed || !maps.Equal(c.before.Problems, c.after.Problems) {
				verb = "observe"
			}
			if _, err := tx.SaveWorkload(ctx, &c.after, verb, c.before, store.Why{Actor: actor, Reason: c.after.Reason}); err != nil {
				return err
			}
		}
		return nil
	})
}

// gone reports whether a row has nothing left to tell.
func gone(w store.WorkloadRow) bool {
	return w.Version > 0 && w.Desired == workload.Undeclared && w.Observed == workload.Absent && w.Lease == nil && len(w.Problems) == 0
}

// Source is where the resources of workloads are from.
const Source = "workload"

// Show makes a workload that was declared, or has a problem, a resource that
// findings can be about.
func Show(ctx context.Context, tx *store.Tx, host ops.Host, w *store.WorkloadRow) error {
	shown := w.Desired != workload.Undeclared || len(w.Problems) > 0
	if !shown && w.ResourceID == "" {
		return nil
	}
	x := ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindWorkload, Name: w.Name, HostID: host.ResourceID, HostName: host.Name, ParentID: host.ResourceID,
		Key: ops.ResourceKey{Host: host.ID, Source: Source, Key: w.Driver + "/" + w.Name}, Presence: ops.Present,
		Observed: ops.Attrs{"driver": w.Driver, "desired": string(w.Desired), "observed": string(w.Observed), "workload": w.ID}}
	for condition, reason := range w.Problems {
		x.Observed[condition] = reason
	}
	if !shown {
		x.Presence = ops.Removed
	}
	id, err := tx.PutResource(ctx, x)
	w.ResourceID = id
	if !shown {
		w.ResourceID = ""
	}
	return err
}

// generationOf reads the generation that an agent gave a thing.
func generationOf(w *linkpb.Workload) int64 {
	n, err := strconv.ParseInt(w.GetGeneration(), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
