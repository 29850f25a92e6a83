package gather

import (
	"slices"
	"sync"

	"reeve/internal/ops"
)

// The limits of what waits for the server. At 300 samples in 10 s, samples of
// half an hour fit.
const (
	maxSamples       = 50_000
	maxEvents        = 10_000
	maxReportSamples = 20_000
)

// A buffer keeps observations while the server does not take them. When it is
// full the oldest samples go first. State is kept: of a collector that saw its
// resources again, the older list goes only when nothing but the list is left
// of it. Events go last, above a number that no healthy host reaches.
type buffer struct {
	mu             sync.Mutex
	waiting        []ops.Observation
	samples        int
	events         int
	droppedSamples int64
	droppedEvents  int64
}

func newBuffer() *buffer { return &buffer{} }

func (b *buffer) dropped() (samples, events int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.droppedSamples, b.droppedEvents
}

// add takes an observation in and never waits.
func (b *buffer) add(obs ops.Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, obs)
	b.samples += len(obs.Samples)
	b.events += len(obs.Events)
	if b.samples > maxSamples {
		b.dropSamples()
	}
	if b.events > maxEvents {
		b.dropEvents()
	}
}

// dropSamples makes room for a tenth of the limit, so that a full buffer is
// not searched for each observation.
func (b *buffer) dropSamples() {
	for i := range b.waiting {
		if b.samples <= maxSamples*9/10 {
			break
		}
		n := len(b.waiting[i].Samples)
		b.samples -= n
		b.droppedSamples += int64(n)
		b.waiting[i].Samples = nil
	}
	b.dropOvertaken()
}

func (b *buffer) dropEvents() {
	for i := range b.waiting {
		if b.events <= maxEvents {
			break
		}
		n := min(len(b.waiting[i].Events), b.events-maxEvents)
		b.events -= n
		b.droppedEvents += int64(n)
		b.waiting[i].Events = b.waiting[i].Events[n:]
	}
}

// dropOvertaken drops observations that have only a state in them which later
// passes of the same collector tell anew.
func (b *buffer) dropOvertaken() {
	type sighted struct {
		collector string
		key       ops.ResourceKey
	}
	type listed struct {
		collector string
		kind      ops.Kind
	}
	seen, whole := map[sighted]bool{}, map[listed]bool{}
	drop := make([]bool, len(b.waiting))
	for i := len(b.waiting) - 1; i >= 0; i-- {
		o := &b.waiting[i]
		overtaken := len(o.Samples) == 0 && len(o.Events) == 0
		for _, s := range o.Sightings {
			overtaken = overtaken && (seen[sighted{o.Collector, s.Key}] || whole[listed{o.Collector, s.Kind}])
		}
		for _, kind := range o.Complete {
			overtaken = overtaken && whole[listed{o.Collector, kind}]
		}
		for _, kind := range o.Complete {
			whole[listed{o.Collector, kind}] = true
		}
		for _, s := range o.Sightings {
			seen[sighted{o.Collector, s.Key}] = true
		}
		drop[i] = overtaken
	}
	kept := b.waiting[:0]
	for i, o := range b.waiting {
		if !drop[i] {
			kept = append(kept, o)
		}
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
}

// take answers the oldest observations, as many as one report should hold.
func (b *buffer) take() []ops.Observation {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, samples := 0, 0
	for n < len(b.waiting) && (n == 0 || samples+len(b.waiting[n].Samples) <= maxReportSamples) {
		samples += len(b.waiting[n].Samples)
		b.samples -= len(b.waiting[n].Samples)
		b.events -= len(b.waiting[n].Events)
		n++
	}
	if n == len(b.waiting) {
		taken := b.waiting
		b.waiting = nil
		return taken
	}
	taken := slices.Clone(b.waiting[:n])
	b.waiting = slices.Delete(b.waiting, 0, n)
	return taken
}
