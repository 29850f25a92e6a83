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
	hosts map[string]*host // by key
	stats Stats
}

// A host is what is known of one: its reports are taken in one after the
// other, and wait for those of no other.
type host struct {
	mu    sync.Mutex
	known map[ops.ResourceKey]*entry // nil when it must be read again
	refs  map[string][]tsdb.Ref      // of each collector's samples, as they came last
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
	in := &Ingest{log: log, store: st, metrics: metrics, changed: changed, hosts: map[string]*host{}}
	return in, in.load(ctx)
}

// here are the presences of what memory holds.
var here = []string{string(ops.Present), string(ops.Absent)}

// load reads what is stored of all hosts.
func (in *Ingest) load(ctx context.Context) error {
	resources, _, err := in.store.Resources(ctx, store.ResourceFilter{All: true, Presence: here})
	if err != nil {
		return fmt.Errorf("load resources: %w", err)
	}
	things, err := in.store.ResourceThings(ctx)
	if err != nil {
		return fmt.Errorf("load resources: %w", err)
	}
	for _, r := range resources {
		in.host(r.Key.Host).known[r.Key] = newEntry(r, things[r.ID])
	}
	return nil
}

// Reload lets what is known of a host be read again with its next report:
// another server took its reports in meanwhile.
func (in *Ingest) Reload(_ context.Context, key string) error {
	h := in.host(key)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = nil
	return nil
}

// reload reads what is stored of one host.
func (in *Ingest) reload(ctx context.Context, h *host, key string) error {
	all, things, err := in.store.ResourcesSeenBy(ctx, key)
	if err != nil {
		return fmt.Errorf("load the resources of %s: %w", key, err)
	}
	known := make(map[ops.ResourceKey]*entry, len(all))
	for _, r := range all {
		known[r.Key] = newEntry(r, things[r.ID])
	}
	h.known = known
	return nil
}

// Stats answers a copy.
func (in *Ingest) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stats
}

// host answers what is known of a host, which may be new.
func (in *Ingest) host(key string) *host {
	in.mu.Lock()
	defer in.mu.Unlock()
	h := in.hosts[key]
	if h == nil {
		h = &host{known: map[ops.ResourceKey]*entry{}, refs: map[string][]tsdb.Ref{}}
		in.hosts[key] = h
	}
	return h
}

// Accept takes in one report. State and events are committed when it answers
// nil; samples that the metrics store cannot take are counted and do not hold
// back what was seen.
func (in *Ingest) Accept(ctx context.Context, r ops.Report) error {
	if err := check(r); err != nil {
		return err
	}
	r = bound(r)
	h := in.host(r.Host.Key)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err // Nobody waits for the answer any more.
	}
	if h.known == nil {
		if err := in.reload(ctx, h, r.Host.Key); err != nil {
			return err
		}
	}
	all := seen(r)
	if err := in.recall(ctx, h, all); err != nil {
		return err
	}
	plan, err := in.carryOut(ctx, h, r, all)
	if err != nil {
		return err
	}
	samples, bad := in.append(ctx, h, r)
	in.count(r, plan, samples, bad)
	if len(plan.saves) > 0 || len(plan.events) > 0 {
		in.changed()
	}
	return nil
}

// carryOut plans what a report changes and commits it.
func (in *Ingest) carryOut(ctx context.Context, h *host, r ops.Report, all []seenBy) (*plan, error) {
	kept := false
	defer func() {
		if !kept {
			h.known = nil // What is known is no longer what is stored.
		}
	}()
	p := h.plan(r, all)
	if err := in.commit(ctx, p, r.At); err != nil {
		return nil, err
	}
	h.keep(p)
	kept = true
	return p, nil
}

// batches are room for the samples of a report.
var batches = sync.Pool{New: func() any { return new([]tsdb.Sample) }}

// append hands the samples to the metrics store; bad counts those that it did
// not take.
func (in *Ingest) append(ctx context.Context, h *host, r ops.Report) (samples, bad int64) {
	room := batches.Get().(*[]tsdb.Sample)
	defer batches.Put(room)
	*room, bad = in.samples((*room)[:0], h, r)
	samples = int64(len(*room))
	if err := in.metrics.Append(ctx, *room); err != nil {
		in.log.Warn("samples were not stored", "samples", samples, "err", err)
		bad += samples
	}
	return samples, bad
}

func (in *Ingest) count(r ops.Report, p *plan, samples, bad int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stats.Reports++
	in.stats.Samples += samples
	in.stats.Dropped += bad
	in.stats.Events += int64(len(p.events))
	in.stats.LastSeen = r.At
}

// recall reads the rows of what the report sees and memory does not hold:
// what was removed once and is back.
func (in *Ingest) recall(ctx context.Context, h *host, all []seenBy) error {
	for _, s := range all {
		if h.known[s.Key] != nil {
			continue
		}
		old, thing, ok, err := in.store.ResourceByKey(ctx, s.Key)
		if err != nil {
			return err
		}
		if ok {
			h.known[s.Key] = newEntry(old, thing)
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
func (h *host) keep(p *plan) {
	for _, s := range p.saves {
		s.resource.Version++
		s.entry.resource, s.entry.thing = s.resource, s.thing
		if s.resource.Presence == ops.Removed {
			delete(h.known, s.resource.Key)
		}
	}
}

// placeLabel is the label that carries the name of a resource of a kind.
var placeLabel = map[ops.Kind]string{
	ops.KindFilesystem: "mount", ops.KindDisk: "device", ops.KindInterface: "device", ops.KindArray: "device",
	ops.KindPool: "pool", ops.KindContainer: "container", ops.KindService: "service", ops.KindUnit: "unit",
	ops.KindCheck: "check", ops.KindGPU: "gpu", ops.KindCertificate: "listener", ops.KindComponent: "component",
}

// samples adds the report's samples to all, attributed; bad counts those that
// cannot be.
func (in *Ingest) samples(all []tsdb.Sample, h *host, r ops.Report) (_ []tsdb.Sample, bad int64) {
	for _, o := range r.Observations {
		all = slices.Grow(all, len(o.Samples))
		refs := h.refs[o.Collector]
		if len(refs) != len(o.Samples) {
			refs = slices.Grow(refs, len(o.Samples))[:len(o.Samples)]
			h.refs[o.Collector] = refs
		}
		var e *entry
		var of ops.ResourceKey
		for i, s := range o.Samples {
			if s.Resource != of {
				e, of = h.known[s.Resource], s.Resource
			}
			if e == nil || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
				bad++
				continue
			}
			if !e.has(refs[i], s) {
				refs[i] = in.metrics.Ref(e.resource.HostName, e.resource.ID, s.Metric, e.labels(s))
			}
			all = append(all, tsdb.Sample{Ref: refs[i], At: s.At, Value: s.Value})
		}
	}
	return all, bad
}

// has says whether a series is that of a sample: a collector's samples mostly
// come in the same order.
func (e *entry) has(ref tsdb.Ref, s ops.Sample) bool {
	if ref.Resource() != e.resource.ID || ref.Metric() != s.Metric || ref.Host() != e.resource.HostName {
		return false
	}
	own, place, n := ref.Labels(), placeLabel[e.resource.Kind], len(s.Labels)
	if place != "" {
		if own[place] != e.resource.Name {
			return false
		}
		if _, both := s.Labels[place]; !both {
			n++
		}
	}
	for name, value := range s.Labels {
		if was, ok := own[name]; name != place && (!ok || was != value) {
			return false
		}
	}
	return len(own) == n
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
