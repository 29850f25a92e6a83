package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/config"
	"reeve/internal/drivers"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// declareEvery is how often windows, compose files and hosts that have joined
// since are looked at.
const declareEvery = time.Minute

// declareWorkloads writes down what the configuration declares now, and takes
// back what it no longer does. What is declared already leaves no trace.
func (s *Server) declareWorkloads(ctx context.Context) error {
	wanted := map[string]bool{}
	for _, w := range s.config.Workloads {
		all, err := s.expanded(ctx, w)
		if err != nil {
			return err // nothing is taken back because a file cannot be read
		}
		for _, one := range all {
			id, err := s.declareOne(ctx, one)
			if err != nil {
				return err
			}
			wanted[id] = true
		}
	}
	for f := (store.WorkloadFilter{Declared: true, Limit: 1000}); ; {
		page, next, err := s.store.Workloads(ctx, f)
		if err != nil {
			return err
		}
		for _, x := range page {
			if x.Source != configSource || wanted[x.ID] {
				continue
			}
			_, err := s.reconcile.Declare(ctx, reconcile.Declaration{Host: x.HostID, Driver: x.Driver, Name: x.Name}, store.Why{Actor: "config", Reason: "no longer in the configuration"})
			if err != nil && ops.KindOf(err) != ops.Conflict {
				return err
			}
		}
		if next == nil {
			return nil
		}
		f.After = *next
	}
}

const configSource = "config"

// expanded answers the workloads one by one.
func (s *Server) expanded(ctx context.Context, w config.Workload) ([]config.Workload, error) {
	if !w.Enabled {
		return w.Expanded()
	}
	host, err := s.store.FindHost(ctx, cmp.Or(w.Host, s.host.Key))
	if ops.KindOf(err) == ops.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := s.reconcile.Enabled(ctx, host.ID, configSource)
	if err != nil {
		return nil, err
	}
	all := make([]config.Workload, 0, len(names))
	for _, name := range names {
		one := w
		one.Enabled, one.Name = false, name
		all = append(all, one)
	}
	return all, nil
}

// declareOne declares one workload, unless it is so already. A host that has
// not joined yet is none of its concern: it is looked for again.
func (s *Server) declareOne(ctx context.Context, w config.Workload) (id string, err error) {
	desired, err := w.At(time.Now())
	if err != nil {
		return "", err
	}
	host, err := s.store.FindHost(ctx, cmp.Or(w.Host, s.host.Key))
	if ops.KindOf(err) == ops.NotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	row, ok, err := s.store.WorkloadByKey(ctx, host.ID, w.Driver, w.Name)
	if err != nil || ok && string(row.Desired) == desired && row.Source == configSource {
		return row.ID, err
	}
	if ok && row.Source == "action" && w.Window == "" {
		return row.ID, nil // a person's order stands until the configuration says something else
	}
	why := store.Why{Actor: "config", Reason: "declared in the configuration"}
	if w.Window != "" {
		why.Reason = "declared in the configuration, for " + w.Window
	}
	x, err := s.reconcile.Declare(ctx, reconcile.Declaration{Host: host.ID, Driver: w.Driver, Name: w.Name, Desired: workload.State(desired), Source: configSource}, why)
	if ops.KindOf(err) == ops.Conflict {
		return row.ID, nil // the next pass tries again
	}
	return x.ID, err
}

// workloadErrors answers the first mistake in the declared workloads.
func workloadErrors(c config.Config) error {
	for i, w := range c.Workloads {
		wrong, hint := "", "a workload has a driver of `reeve drivers`; a name, a compose file, or enabled with the driver systemd; and is desired running, paused, stopped or absent"
		_, windowErr := w.At(time.Now())
		switch _, ok := drivers.Get(w.Driver); {
		case !ok:
			wrong = "driver"
		case count(w.Name != "", w.Compose != "", w.Enabled) != 1:
			wrong = "name"
		case w.Enabled && w.Driver != "systemd":
			wrong, hint = "enabled", "what is enabled is known of the driver systemd alone"
		case w.Desired != "" && !slices.Contains([]string{"running", "paused", "stopped", "absent"}, w.Desired):
			wrong = "desired"
		case windowErr != nil:
			wrong, hint = "window", windowErr.Error()
		default:
			if _, err := w.Expanded(); err != nil {
				wrong, hint = "compose", err.Error()
			}
		}
		if wrong != "" {
			key := fmt.Sprintf("workloads[%d].%s", i, wrong)
			return c.Because(key, ops.Errorf(ops.Invalid, "%s: %s", key, hint))
		}
	}
	return nil
}

// count answers how many are set.
func count(set ...bool) (n int) {
	for _, x := range set {
		if x {
			n++
		}
	}
	return n
}
