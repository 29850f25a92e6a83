package reconcile

import (
	"context"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// A Declaration says what should be of a workload.
type Declaration struct {
	Host    string // ID, name or resource
	Driver  string
	Name    string
	Desired workload.State // Undeclared takes a declaration back
	Source  string         // config or person
}

// Declare writes down what somebody wants of a workload.
func (r *Reconcile) Declare(ctx context.Context, d Declaration, why store.Why) (ops.Workload, error) {
	if _, ok := r.Drivers[d.Driver]; !ok {
		return ops.Workload{}, ops.Errorf(ops.Invalid, "there is no driver %q; `reeve drivers` lists them", d.Driver)
	}
	if d.Name == "" || len(d.Name) > 250 {
		return ops.Workload{}, ops.Errorf(ops.Invalid, "a workload has a name of at most 250 bytes")
	}
	now, err := r.Store.Now(ctx)
	if err != nil {
		return ops.Workload{}, err
	}
	id, host := "", ""
	err = r.Store.Tx(ctx, now, func(tx *store.Tx) error {
		h, err := tx.FindHost(ctx, d.Host)
		if err != nil {
			return err
		}
		host = h.ID
		before, ok, err := tx.WorkloadByKey(ctx, h.ID, d.Driver, d.Name)
		if err != nil {
			return err
		}
		if !ok {
			before = store.WorkloadRow{Row: workload.Row{ID: ops.NewID(ops.WorkloadID), HostID: h.ID, Driver: d.Driver, Name: d.Name, Observed: workload.Unknown}}
		}
		after, err := declared(before, d, why)
		if err != nil {
			return err
		}
		if err := Show(ctx, tx, h, &after); err != nil {
			return err
		}
		saved, err := tx.SaveWorkload(ctx, &after, "declare", before, why)
		if err == nil && !saved {
			err = ops.Errorf(ops.Conflict, "the workload %s was changed meanwhile; try again", d.Name)
		}
		id = after.ID
		return err
	})
	if err != nil {
		return ops.Workload{}, err
	}
	r.Soon(host)
	return r.Store.Workload(ctx, id)
}

// declared answers a row with what is wanted of it. What was found before is
// judged anew by the next list.
func declared(row store.WorkloadRow, d Declaration, why store.Why) (store.WorkloadRow, error) {
	by := why.Actor
	if why.OnBehalf != "" {
		by = why.OnBehalf
	}
	row.Source, row.Problems = d.Source, nil
	row.Reason = "declared; the next list of the agent is judged by it"
	row.Sequence = 0
	if d.Desired == workload.Undeclared {
		if row.Tombstone && row.Observed != workload.Absent {
			return row, ops.Errorf(ops.Conflict, "%s is to be removed and may still be there; that is not taken back", row.Name)
		}
		row.Desired, row.DesiredBy, row.Source, row.Tombstone = workload.Undeclared, by, "", false
		return row, nil
	}
	next, err := workload.Declare(row.Row, d.Desired, by)
	row.Row = next
	return row, err
}

// SuggestAfter is how long something must have run to be suggested.
const SuggestAfter = 24 * time.Hour

// A Suggestion is a declaration that a person may confirm.
type Suggestion struct {
	Workload ops.Workload `json:"workload"`
	Desired  string       `json:"desired"`
	Why      string       `json:"why"`
}

// Suggestions answers what ran for a day without being declared.
func (r *Reconcile) Suggestions(ctx context.Context) ([]Suggestion, error) {
	now, err := r.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	suggestions := []Suggestion{}
	f := store.WorkloadFilter{Limit: 1000}
	for {
		page, next, err := r.Store.Workloads(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, w := range page {
			if up := now.Sub(w.UpSince); w.Desired == "" && !w.UpSince.IsZero() && up >= SuggestAfter && len(suggestions) < 500 {
				suggestions = append(suggestions, Suggestion{w, string(workload.Running), "it has run for " + up.Round(time.Hour).String()})
			}
		}
		if next == nil {
			return suggestions, nil
		}
		f.After = *next
	}
}
