package tsdb

import (
	"context"
	"hash/maphash"
	"maps"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"reeve/internal/ops"
)

// idleAfter is how long a series without a sample stays in the cache.
const idleAfter = 2 * time.Hour

// atATime is how many series are looked at before others get the cache.
const atATime = 1000

// A Ref stands for one series of the product. It is cheap to get for a series
// that was seen before, and makes appending cheap.
type Ref struct{ s *series }

// Host answers the name of the host of the series; "" of the zero Ref.
func (r Ref) Host() string {
	if r.s == nil {
		return ""
	}
	return r.s.host
}

// Resource answers the ID of the resource of the series; "" of the zero Ref.
func (r Ref) Resource() string {
	if r.s == nil {
		return ""
	}
	return r.s.resource
}

// Metric answers the metric of the series; "" of the zero Ref.
func (r Ref) Metric() string {
	if r.s == nil {
		return ""
	}
	return r.s.metric
}

// Labels answers the series' own labels, which nobody may change.
func (r Ref) Labels() map[string]string {
	if r.s == nil {
		return nil
	}
	return r.s.own
}

// series is one series of the product with its newest reading.
type series struct {
	labels   labels.Labels
	host     string
	resource string
	metric   string
	own      map[string]string // without metric, host and resource; shared, never written
	ref      atomic.Uint64     // of the head of the raw database

	valid bool

	// Guarded by the cache's lock. Until the first sample, at is when the
	// series was asked for.
	at     int64
	value  float64
	seen   bool
	cached bool
	next   *series // of the same hash
}

func (s *series) is(host, resource, metric string, own map[string]string) bool {
	return s.resource == resource && s.metric == metric && s.host == host && maps.Equal(s.own, own)
}

// seriesCache knows the series that had samples lately. Reports wait for its
// lock: nobody may hold it for as long as a walk over all series takes.
type seriesCache struct {
	seed maphash.Seed

	mu       sync.Mutex
	byHash   map[uint64]*series
	byMetric map[string][]*series
	count    int
	removals int // that moved series within the lists of byMetric
}

func (c *seriesCache) init() {
	c.seed = maphash.MakeSeed()
	c.byHash = map[uint64]*series{}
	c.byMetric = map[string][]*series{}
}

func (c *seriesCache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Ref answers the series of a metric of a resource. The labels are those that
// distinguish series of that resource; host and resource are added. They are
// kept: nobody changes them from then on.
func (db *DB) Ref(host, resource, metric string, own map[string]string) Ref {
	return db.ref(host, resource, metric, own, func() labels.Labels { return joinLabels(host, resource, metric, own) })
}

// ref is Ref; join answers all labels together.
func (db *DB) ref(host, resource, metric string, own map[string]string, join func() labels.Labels) Ref {
	c := &db.cache
	hash := c.hash(host, resource, metric, own)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.find(hash, host, resource, metric, own); s != nil {
		return Ref{s}
	}
	s := &series{labels: join(), host: host, resource: resource, metric: metric, own: own, at: time.Now().UnixMilli()}
	s.valid = metric != "" && s.labels.IsValid(model.UTF8Validation)
	c.insert(hash, s)
	return Ref{s}
}

// joinLabels makes the labels under which the store knows a series.
func joinLabels(host, resource, metric string, own map[string]string) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	for name, value := range own {
		b.Set(name, value)
	}
	b.Set(labels.MetricName, metric)
	b.Set(HostLabel, host)
	b.Set(ResourceLabel, resource)
	return b.Labels()
}

// hash answers the hash of a series' identity, the same for every order of
// its labels.
func (c *seriesCache) hash(host, resource, metric string, own map[string]string) uint64 {
	var sum uint64
	for name, value := range own {
		sum += pair(maphash.String(c.seed, name), maphash.String(c.seed, value))
	}
	for _, text := range [...]string{resource, metric, host} {
		sum = pair(sum, maphash.String(c.seed, text))
	}
	return sum
}

// pair joins two hashes so that their order counts.
func pair(a, b uint64) uint64 { return (a ^ bits.RotateLeft64(b, 32)) * 0x9E3779B97F4A7C15 }

// find answers a series of the cache, nil when it is not there.
func (c *seriesCache) find(hash uint64, host, resource, metric string, own map[string]string) *series {
	s := c.byHash[hash]
	for s != nil && !s.is(host, resource, metric, own) {
		s = s.next
	}
	return s
}

func (c *seriesCache) insert(hash uint64, s *series) {
	s.next, c.byHash[hash] = c.byHash[hash], s
	c.byMetric[s.metric] = append(c.byMetric[s.metric], s)
	s.cached = true
	c.count++
}

// note takes the readings of a batch in as the newest ones.
func (c *seriesCache) note(batch []Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		s, at := batch[i].Ref.s, batch[i].At.UnixMilli()
		if !s.cached {
			hash := c.hash(s.host, s.resource, s.metric, s.own)
			if other := c.find(hash, s.host, s.resource, s.metric, s.own); other != nil {
				s = other
			} else {
				c.insert(hash, s)
			}
		}
		if !s.seen || at > s.at {
			s.at, s.value, s.seen = at, batch[i].Value, true
		}
	}
}

// prune forgets the series that had no sample since before.
func (c *seriesCache) prune(before int64) {
	c.mu.Lock()
	metrics := slices.Collect(maps.Keys(c.byMetric))
	c.mu.Unlock()
	for _, metric := range metrics {
		c.pruneMetric(metric, before)
	}
}

// pruneMetric prunes those of one metric.
func (c *seriesCache) pruneMetric(metric string, before int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.byMetric[metric]
	kept := slices.DeleteFunc(list, func(s *series) bool {
		if s.at >= before {
			return false
		}
		c.unchain(s)
		return true
	})
	if len(kept) == len(list) {
		return
	}
	c.removals++
	c.count -= len(list) - len(kept)
	if len(kept) == 0 {
		delete(c.byMetric, metric)
		return
	}
	c.byMetric[metric] = slices.Clip(kept)
}

// unchain takes a series out of those of its hash.
func (c *seriesCache) unchain(s *series) {
	s.cached = false
	hash := c.hash(s.host, s.resource, s.metric, s.own)
	first := c.byHash[hash]
	switch {
	case first == s && s.next == nil:
		delete(c.byHash, hash)
	case first == s:
		c.byHash[hash] = s.next
	default:
		for first.next != s {
			first = first.next
		}
		first.next = s.next
	}
	s.next = nil
}

// known answers a series that is in the cache, or nil.
func (c *seriesCache) known(host, resource, metric string, own map[string]string) *series {
	hash := c.hash(host, resource, metric, own)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(hash, host, resource, metric, own)
}

// A newest is the newest reading of a series.
type newest struct {
	*series
	at    int64
	value float64
}

// readings answers the newest reading of every series of a metric that is not
// older than oldest. Others get the cache meanwhile.
func (c *seriesCache) readings(metric string, oldest int64) (all []newest) {
	removals := -1
	for from := 0; ; {
		c.mu.Lock()
		if removals != c.removals {
			from, removals, all = 0, c.removals, all[:0]
		}
		list := c.byMetric[metric]
		for _, s := range list[from:min(from+atATime, len(list))] {
			if s.seen && s.at >= oldest {
				all = append(all, newest{s, s.at, s.value})
			}
		}
		from += atATime
		done := from >= len(list)
		c.mu.Unlock()
		if done {
			return all
		}
		runtime.Gosched()
	}
}

// Latest answers the newest reading of every series of the metrics, by
// resource, as long as it is not older than maxAge. It reads memory only. The
// label maps are shared: do not write to them.
func (db *DB) Latest(_ context.Context, metrics []string, maxAge time.Duration) (map[string][]ops.Series, error) {
	oldest := time.Now().Add(-maxAge).UnixMilli()
	all := map[string][]ops.Series{}
	for _, metric := range slices.Compact(slices.Sorted(slices.Values(metrics))) {
		runtime.Gosched()
		for _, r := range db.cache.readings(metric, oldest) {
			point := ops.Point{At: time.UnixMilli(r.at), Value: r.value}
			all[r.resource] = append(all[r.resource], ops.Series{Metric: metric, Labels: r.own, Points: []ops.Point{point}})
		}
	}
	for _, list := range all {
		sortSeries(list)
	}
	return all, nil
}

// sortSeries puts series into one order, so that the same data gives the same
// answer.
func sortSeries(list []ops.Series) {
	slices.SortFunc(list, func(a, b ops.Series) int { return compareSeries(a.Metric, a.Labels, b.Metric, b.Labels) })
}

func compareSeries(metricA string, ownA map[string]string, metricB string, ownB map[string]string) int {
	if metricA != metricB {
		return strings.Compare(metricA, metricB)
	}
	return compareLabels(ownA, ownB)
}

func compareLabels(a, b map[string]string) int {
	if len(a) == 0 && len(b) == 0 {
		return 0
	}
	return labels.Compare(labels.FromMap(a), labels.FromMap(b))
}
