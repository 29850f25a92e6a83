// Package ingest takes in what agents report: it attributes sightings to
// resources, appends samples, stores events and notices what is gone. A
// report is accepted once its state is committed.
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

// touchEvery is how often the time at which an unchanged resource was seen is
// written.
const touchEvery = 30 * time.Second

// An Ingest is the one door for reports.
type Ingest struct {
	log     *slog.Logger
	store   *store.Store
	metrics *tsdb.DB
	// changed is called after a report that changed state or held events; a
	// hint for whoever watches. It must not block.
	changed func()

	mu    sync.Mutex
	known map[ops.ResourceKey]*entry
	stats Stats
}

// Stats count what was taken in since the start.
type Stats struct {
	Reports  int64     `json:"reports"`
	Samples  int64     `json:"samples"`
	Dropped  int64     `json:"samples_dropped" doc:"Samples that were not numbers, or whose resource is unknown, or that the metrics store refused."`
	Events   int64     `json:"events"`
	LastSeen time.Time `json:"last_report_at,omitzero"`
}

// New makes an Ingest that knows every resource of the store.
func New(ctx context.Context, log *slog.Logger, st *store.Store, metrics *tsdb.DB, changed func()) (*Ingest, error) {
	in := &Ingest{log: log, store: st, metrics: metrics, changed: changed}
	return in, in.load(ctx)
}

func (in *Ingest) load(ctx context.Context) error {
	all, _, err := in.store.Resources(ctx, store.ResourceFilter{All: true, Presence: []string{string(ops.Present), string(ops.Absent)}})
	if err != nil {
		return fmt.Errorf("load resources: %w", err)
	}
	things, err := in.store.ResourceThings(ctx)
	if err != nil {
		return fmt.Errorf("load resources: %w", err)
	}
	in.known = make(map[ops.ResourceKey]*entry, len(all))
	for _, r := range all {
		in.known[r.Key] = newEntry(r, things[r.ID])
	}
	return nil
}

// Reload reads again what is stored of one host and all on it: another server
// took its reports in meanwhile.
func (in *Ingest) Reload(ctx context.Context, host string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.reload(ctx, host)
}

func (in *Ingest) reload(ctx context.Context, host string) error {
	all, things, err := in.store.ResourcesSeenBy(ctx, host)
	if err != nil {
		return fmt.Errorf("load resources of %s: %w", host, err)
	}
	maps.DeleteFunc(in.known, func(k ops.ResourceKey, _ *entry) bool { return k.Host == host })
	for _, r := range all {
		in.known[r.Key] = newEntry(r, things[r.ID])
	}
	return nil
}

// Stats answers a copy.
func (in *Ingest) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stats
}

// Accept takes in one report. State and events are committed when it answers
// nil; samples that the metrics store cannot take are counted and do not hold
// back what was seen.
func (in *Ingest) Accept(ctx context.Context, r ops.Report) error {
	if err := check(r); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.recall(ctx, r); err != nil {
		return err
	}
	plan := in.plan(r)
	if err := in.commit(ctx, plan, r.At); err != nil {
		// What is cached may no longer be what is stored.
		if loadErr := in.reload(ctx, r.Host.Key); loadErr != nil {
			in.log.Error("resources could not be read again", "err", loadErr)
		}
		return err
	}
	in.keep(plan)
	samples, bad := in.samples(r)
	if err := in.metrics.Append(ctx, samples); err != nil {
		in.log.Warn("samples were not stored", "samples", len(samples), "err", err)
		bad += int64(len(samples))
	}
	in.stats.Reports++
	in.stats.Samples += int64(len(samples))
	in.stats.Dropped += bad
	in.stats.Events += int64(len(plan.events))
	in.stats.LastSeen = r.At
	if len(plan.saves) > 0 || len(plan.events) > 0 {
		in.changed()
	}
	return nil
}

// recall reads the rows of what the report sees and memory does not hold:
// what was removed once and is back.
func (in *Ingest) recall(ctx context.Context, r ops.Report) error {
	for _, s := range all(r) {
		key := s.Key
		key.Host = r.Host.Key
		if in.known[key] != nil {
			continue
		}
		old, thing, ok, err := in.store.ResourceByKey(ctx, key)
		if err != nil {
			return err
		}
		if ok {
			in.known[key] = newEntry(old, thing)
		}
	}
	return nil
}

func check(r ops.Report) error {
	if r.Host.Key == "" || r.Host.Name == "" {
		return ops.Errorf(ops.Invalid, "the report does not say which host it is from")
	}
	for _, o := range r.Observations {
		for _, s := range o.Sightings {
			if !ops.ValidKind(s.Kind) {
				return ops.Errorf(ops.Invalid, "collector %s reports a resource of the unknown kind %q", o.Collector, s.Kind)
			}
			if s.Key.Key == "" || s.Key.Source == "" || s.Name == "" {
				return ops.Errorf(ops.Invalid, "collector %s reports a %s without a key or a name", o.Collector, s.Kind)
			}
		}
	}
	return nil
}

// commit writes the plan in one transaction.
func (in *Ingest) commit(ctx context.Context, p *plan, at time.Time) error {
	if len(p.saves) == 0 && len(p.touches) == 0 && len(p.events) == 0 {
		return nil
	}
	// A report may come late; its transitions are of now.
	return in.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		for _, s := range p.saves {
			if err := tx.SaveResource(ctx, s.resource, s.thing); err != nil {
				return err
			}
			if s.transition != nil {
				tx.Record(*s.transition)
			}
		}
		if err := tx.TouchResources(ctx, p.touches, at); err != nil {
			return err
		}
		return tx.AddEvents(ctx, p.events)
	})
}

// keep brings the cache to what was committed.
func (in *Ingest) keep(p *plan) {
	for _, s := range p.saves {
		s.resource.Version++
		s.entry.resource, s.entry.thing = s.resource, s.thing
		in.known[s.resource.Key] = s.entry
	}
	for key, e := range p.entries {
		in.known[key] = e
	}
	for _, s := range p.saves {
		if s.resource.Presence == ops.Removed {
			delete(in.known, s.resource.Key)
		}
	}
}

// placeLabel is the label that carries the name of a resource of a kind.
var placeLabel = map[ops.Kind]string{
	ops.KindFilesystem: "mount", ops.KindDisk: "device", ops.KindInterface: "device", ops.KindArray: "device",
	ops.KindPool: "pool", ops.KindContainer: "container", ops.KindService: "service", ops.KindUnit: "unit",
	ops.KindCheck: "check", ops.KindGPU: "gpu", ops.KindCertificate: "listener", ops.KindComponent: "component",
}

// samples attributes the report's samples; bad counts those that cannot be.
func (in *Ingest) samples(r ops.Report) (all []tsdb.Sample, bad int64) {
	for _, o := range r.Observations {
		all = slices.Grow(all, len(o.Samples))
		for _, s := range o.Samples {
			e := in.known[s.Resource]
			if e == nil || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
				bad++
				continue
			}
			ref := in.metrics.Ref(e.resource.HostName, e.resource.ID, s.Metric, e.labels(s))
			all = append(all, tsdb.Sample{Ref: ref, At: s.At, Value: s.Value})
		}
	}
	return all, bad
}

// labels answers the labels of a sample's series: its own, and the name of
// the resource under the label that people know.
func (e *entry) labels(s ops.Sample) map[string]string {
	place := placeLabel[e.resource.Kind]
	if place == "" {
		return s.Labels
	}
	if e.place[place] != e.resource.Name {
		e.place = map[string]string{place: e.resource.Name}
	}
	if len(s.Labels) == 0 {
		return e.place
	}
	labels := maps.Clone(s.Labels)
	labels[place] = e.resource.Name
	return labels
}
