package reconcile

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
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
	// Settle is how long the workload may take to become so by itself.
	Settle time.Duration
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
		after, err := declared(now, before, d, why)
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
func declared(now time.Time, row store.WorkloadRow, d Declaration, why store.Why) (store.WorkloadRow, error) {
	by := why.Actor
	if why.OnBehalf != "" {
		by = why.OnBehalf
	}
	configured := d.Source == store.FromConfig
	switch {
	case configured && d.Desired == workload.Undeclared && row.Source == store.FromPerson:
		row.Configured = "" // a person declared it too
		return row, nil
	case configured:
		row.Configured = string(d.Desired)
	case d.Desired == workload.Undeclared && row.Configured != "":
		return row, ops.Errorf(ops.Conflict, "%s is declared in the configuration of the server: take it out there, or declare something else", row.Name)
	case d.Desired == workload.Undeclared && row.Desired == workload.Undeclared:
		return row, ops.Errorf(ops.NotFound, "%s %s is not declared on this host: nothing is taken back; `reeve workloads --declared` lists what is", row.Driver, row.Name)
	}
	row.Source, row.Problems, row.SettlesAt = d.Source, nil, time.Time{}
	if d.Settle > 0 {
		row.SettlesAt = now.Add(d.Settle)
	}
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

// Suggestions answers what is not declared and should be by other signs: it
// ran for a day, its engine restarts it, or systemd starts it at boot.
func (r *Reconcile) Suggestions(ctx context.Context) ([]Suggestion, error) {
	now, err := r.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	suggestions := []Suggestion{}
	meant, err := r.meant(ctx)
	if err != nil {
		return nil, err
	}
	f := store.WorkloadFilter{Limit: 1000}
	for {
		page, next, err := r.Store.Workloads(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, w := range page {
			why := meant[place{w.HostID, w.Driver, w.Name}]
			delete(meant, place{w.HostID, w.Driver, w.Name})
			if up := now.Sub(w.UpSince); !w.UpSince.IsZero() && up >= SuggestAfter {
				why = "it has run for " + up.Round(time.Hour).String()
			}
			if w.Desired == "" && why != "" && len(suggestions) < maxSuggestions {
				suggestions = append(suggestions, Suggestion{w, string(workload.Running), why})
			}
		}
		if next == nil {
			return r.units(ctx, suggestions, meant)
		}
		f.After = *next
	}
}

// maxSuggestions bounds the list.
const maxSuggestions = 500

// A place is where a workload is, without its row.
type place struct{ host, driver, name string }

// meant answers what collectors saw that is started by itself, with why.
func (r *Reconcile) meant(ctx context.Context) (map[place]string, error) {
	all, _, err := r.Store.Resources(ctx, store.ResourceFilter{All: true, Kinds: []string{string(ops.KindContainer), string(ops.KindUnit)}, Presence: []string{string(ops.Present)}})
	if err != nil {
		return nil, err
	}
	meant := map[place]string{}
	for _, x := range all {
		policy, _ := x.Observed.Text("restart_policy")
		switch {
		case isEnabled(x) && x.Observed.Is("active_state", "active"):
			meant[place{x.Key.Host, "systemd", x.Name}] = "systemd starts it at boot"
		case x.Kind == ops.KindContainer && (policy == "always" || policy == "unless-stopped"):
			meant[place{x.Key.Host, x.Key.Source, x.Name}] = "its engine restarts it (" + policy + ")"
		}
	}
	return meant, nil
}

// isEnabled reports whether a resource is a service that systemd starts.
func isEnabled(x ops.Resource) bool {
	return x.Kind == ops.KindUnit && strings.HasSuffix(x.Name, ".service") && x.Observed.Is("enabled", "true")
}

// Enabled answers the services of a host that systemd starts at boot and that
// stay up: those that run, and those that a source declared because they did.
// A service that does its work and ends is none.
func (r *Reconcile) Enabled(ctx context.Context, host, source string) (names []string, err error) {
	all, _, err := r.Store.Resources(ctx, store.ResourceFilter{All: true, Kinds: []string{string(ops.KindUnit)}, Presence: []string{string(ops.Present)}})
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.Key.Host != host || !isEnabled(x) {
			continue
		}
		row, ok, err := r.Store.WorkloadByKey(ctx, host, "systemd", x.Name)
		if err != nil {
			return nil, err
		}
		if x.Observed.Is("sub_state", "running") || ok && row.Source == source && row.Desired != workload.Undeclared {
			names = append(names, x.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// units adds what has no row yet: services of systemd have none until they are
// declared.
func (r *Reconcile) units(ctx context.Context, suggestions []Suggestion, meant map[place]string) ([]Suggestion, error) {
	hosts, err := r.Store.Hosts(ctx, false)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, h := range hosts {
		names[h.ID] = h.Name
	}
	places := slices.SortedFunc(maps.Keys(meant), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.name, b.name))
	})
	for _, p := range places {
		if p.driver == "systemd" && names[p.host] != "" && len(suggestions) < maxSuggestions {
			w := ops.Workload{HostID: p.host, Host: names[p.host], Driver: p.driver, Name: p.name, Observed: string(workload.Running), Problems: map[string]string{}}
			suggestions = append(suggestions, Suggestion{w, string(workload.Running), meant[p]})
		}
	}
	return suggestions, nil
}
