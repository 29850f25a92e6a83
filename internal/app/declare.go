package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// declareEvery is how often windows, compose files and hosts that have joined
// since are looked at.
const declareEvery = time.Minute

// A place is where a declared workload is.
type place struct{ host, driver, name string }

// declareWorkloads writes down what the configuration declares now, and takes
// back what it no longer does. What is declared already leaves no trace.
func (s *Server) declareWorkloads(ctx context.Context) error {
	places, wanted, failed := s.wanted(ctx)
	kept := map[string]bool{}
	for _, p := range places {
		id, err := s.declareOne(ctx, p, wanted[p])
		failed = errors.Join(failed, err)
		kept[id] = true
	}
	s.wakeAtEdge(time.Now())
	if failed != nil {
		return failed // nothing is taken back because a file cannot be read
	}
	return s.takeBack(ctx, kept)
}

// wakeAtEdge sees to it that the edge of a window is not waited for: what
// starts by itself at that time would be found to run although it should not.
func (s *Server) wakeAtEdge(now time.Time) {
	if s.woken.declare == nil || !slices.ContainsFunc(s.config.Workloads, func(w config.Workload) bool { return w.NextMinute(now) }) {
		return
	}
	time.AfterFunc(now.Truncate(time.Minute).Add(time.Minute).Sub(now), s.woken.declare.Wake)
}

// windowSettle is how long something may take to start or to stop by itself
// after an edge of its window.
const windowSettle = 2 * time.Minute

// wanted answers what the entries of the configuration come to, in order. A
// name that stands by itself outdoes the same from a file or from systemd.
// What cannot be read holds back nothing else.
func (s *Server) wanted(ctx context.Context) (places []place, wanted map[place]config.Workload, failed error) {
	wanted = map[place]config.Workload{}
	named := map[place]bool{}
	for _, entry := range s.config.Workloads {
		host, err := s.store.FindHost(ctx, cmp.Or(entry.Host, s.host.Key))
		if ops.KindOf(err) == ops.NotFound {
			s.tellMissing(cmp.Or(entry.Host, s.host.Key))
			continue // it has not joined yet, and is looked for again
		}
		var all []config.Workload
		if err == nil {
			all, err = s.expanded(ctx, host.ID, entry)
		}
		failed = errors.Join(failed, err)
		for _, one := range all {
			p := place{host.ID, one.Driver, one.Name}
			if _, again := wanted[p]; !again {
				places = append(places, p)
			}
			if !named[p] {
				wanted[p], named[p] = one, entry.Name != ""
			}
		}
	}
	return places, wanted, failed
}

// tellMissing says once for each start and host that the configuration
// declares something for a host that is not known: its name may be mistyped.
func (s *Server) tellMissing(host string) {
	if s.missing == nil {
		s.missing = map[string]bool{}
	}
	if !s.missing[host] {
		s.missing[host] = true
		s.log.Warn("the configuration declares workloads for a host that is not known; they wait until it joins", "host", host)
	}
}

// takeBack takes back what the configuration declared and does no longer.
func (s *Server) takeBack(ctx context.Context, kept map[string]bool) error {
	why := store.Why{Actor: "config", Reason: "no longer in the configuration"}
	for f := (store.WorkloadFilter{Declared: true, Limit: 1000}); ; {
		page, next, err := s.store.Workloads(ctx, f)
		if err != nil {
			return err
		}
		for _, x := range page {
			if x.Configured == "" || kept[x.ID] {
				continue
			}
			_, err := s.reconcile.Declare(ctx, reconcile.Declaration{Host: x.HostID, Driver: x.Driver, Name: x.Name, Source: store.FromConfig}, why)
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

// expanded answers the workloads of an entry one by one.
func (s *Server) expanded(ctx context.Context, host string, w config.Workload) ([]config.Workload, error) {
	if !w.Enabled {
		return w.Expanded()
	}
	names, err := s.reconcile.Enabled(ctx, host, store.FromConfig)
	all := make([]config.Workload, 0, len(names))
	for _, name := range names {
		one := w
		one.Enabled, one.Name = false, name
		all = append(all, one)
	}
	return all, err
}

// declareOne declares one workload, unless the configuration said so before:
// then a person's word that came after stands.
func (s *Server) declareOne(ctx context.Context, p place, w config.Workload) (id string, err error) {
	desired, err := w.At(time.Now())
	if err != nil {
		return "", err
	}
	row, ok, err := s.store.WorkloadByKey(ctx, p.host, p.driver, p.name)
	if err != nil {
		return "", err
	}
	if ok && row.Configured == desired && (row.Source == store.FromConfig || string(row.Desired) != desired) {
		return row.ID, nil
	}
	why := store.Why{Actor: "config", Reason: "declared in the configuration"}
	d := reconcile.Declaration{Host: p.host, Driver: p.driver, Name: p.name, Desired: workload.State(desired), Source: store.FromConfig}
	if w.Window != "" {
		d.Settle, why.Reason = windowSettle, "declared in the configuration, for "+w.Window
	}
	x, err := s.reconcile.Declare(ctx, d, why)
	if ops.KindOf(err) == ops.Conflict {
		return row.ID, nil // the next pass tries again
	}
	return x.ID, err
}
