// Package collect says what a collector is: a way to read one part of the
// world, at its own pace, into observations. It does no reading itself.
package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"reeve/internal/ops"
)

// A Cost says how dear one pass is, for people who choose what to run.
type Cost string

// The costs.
const (
	Cheap    Cost = "cheap"    // reads of /proc and /sys: under 5 ms
	Moderate Cost = "moderate" // calls to local daemons
	Dear     Cost = "dear"     // starts programs, probes devices or the network
)

// A Definition is a collector as the catalogue holds it.
type Definition struct {
	Name        string
	Doc         string
	Every       time.Duration // period of a pass
	Timeout     time.Duration // of one pass; zero means Every, at least 10 s
	Cost        Cost
	Permissions string // what it needs to read everything: "none", "root", "group docker" ...
	Metrics     []Metric
	Kinds       []ops.Kind // kinds of resources it reports
	// Open makes the collector for one agent; it must not read anything yet.
	Open func(Env) Collector
}

// A Metric documents a metric that a collector emits.
type Metric struct {
	Name   string
	Unit   string // ratio, bytes, bytes_per_s, celsius, seconds, per_s, count, bool ...
	Doc    string
	Labels []string
}

// A Collector reads once a call. It may keep what it needs between calls
// (last counters, connections), never a schedule. Collect runs one at a time.
type Collector interface {
	Collect(ctx context.Context, out *Batch) error
}

// Func is a Collector without state.
type Func func(ctx context.Context, out *Batch) error

// Collect calls f.
func (f Func) Collect(ctx context.Context, out *Batch) error { return f(ctx, out) }

// A Batch gathers what one pass of a collector sees.
type Batch struct {
	Host ops.HostIdentity
	Now  time.Time
	obs  *ops.Observation
	gaps map[string]bool
}

// NewBatch makes a batch that fills obs.
func NewBatch(host ops.HostIdentity, now time.Time, obs *ops.Observation) *Batch {
	return &Batch{Host: host, Now: now, obs: obs, gaps: map[string]bool{}}
}

// HostRef answers the key of the host's own resource.
func (b *Batch) HostRef() ops.ResourceKey { return b.Host.HostResource() }

// Ref answers the key of a resource of this host.
func (b *Batch) Ref(source, key string) ops.ResourceKey {
	return ops.ResourceKey{Host: b.Host.Key, Source: source, Key: key}
}

// See reports a resource; its parent is the host unless it says otherwise.
func (b *Batch) See(s ops.Sighting) {
	if s.Parent == (ops.ResourceKey{}) && s.Key != b.HostRef() {
		s.Parent = b.HostRef()
	}
	b.obs.Sightings = append(b.obs.Sightings, s)
}

// SeeHost reports attributes of the host itself. Several collectors may; the
// server keeps the union.
func (b *Batch) SeeHost(attrs ops.Attrs) {
	b.See(ops.Sighting{Key: b.HostRef(), Kind: ops.KindHost, Name: b.Host.Name, Labels: maps.Clone(b.Host.Labels), Observed: attrs})
}

// Add reports a reading of a resource now. Labels come in pairs: name, value.
func (b *Batch) Add(of ops.ResourceKey, metric string, value float64, labels ...string) {
	if len(labels)%2 != 0 {
		panic(fmt.Sprintf("metric %s: labels come in pairs", metric))
	}
	var m map[string]string
	for i := 0; i < len(labels); i += 2 {
		if m == nil {
			m = make(map[string]string, len(labels)/2)
		}
		m[labels[i]] = labels[i+1]
	}
	b.obs.Samples = append(b.obs.Samples, ops.Sample{Resource: of, Metric: metric, Labels: m, At: b.Now, Value: value})
}

// Happen reports an event.
func (b *Batch) Happen(e ops.Event) {
	if e.Count == 0 {
		e.Count = 1
	}
	b.obs.Events = append(b.obs.Events, e)
}

// Whole declares that every resource of these kinds was seen in this pass:
// those that were not are gone. Call it only after a read without errors.
func (b *Batch) Whole(kinds ...ops.Kind) { b.obs.Complete = append(b.obs.Complete, kinds...) }

// Gap reports what cannot be read until a person does something. The same gap
// twice in a pass counts once.
func (b *Batch) Gap(what, why, remedy string) {
	if id := what + "\x00" + why; !b.gaps[id] {
		b.gaps[id] = true
		b.obs.Gaps = append(b.obs.Gaps, ops.Gap{What: what, Why: why, Remedy: remedy})
	}
}

// ErrAbsent says that the thing a collector reads does not exist on this host
// (no ZFS, no Docker). It is neither a failure nor a gap.
var ErrAbsent = errors.New("not present on this host")
