package tsdb

import (
	"context"
	"encoding/binary"
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

// A Ref stands for one series of the product. It is cheap to get for a series
// that was seen before, and makes appending cheap.
type Ref struct{ s *series }

// series is one series of the product with its newest reading.
type series struct {
	key      string
	labels   labels.Labels
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
}

// seriesCache knows the series that had samples lately.
type seriesCache struct {
	mu       sync.Mutex
	byKey    map[string]*series
	byMetric map[string]map[*series]struct{}
	key      []byte
	names    []string
}

func (c *seriesCache) init() {
	c.byKey = map[string]*series{}
	c.byMetric = map[string]map[*series]struct{}{}
}

func (c *seriesCache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byKey)
}

// Ref answers the series of a metric of a resource. The labels are those that
// distinguish series of that resource; host and resource are added. They are
// kept: nobody changes them from then on.
func (db *DB) Ref(host, resource, metric string, own map[string]string) Ref {
	c := &db.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	c.encode(host, resource, metric, own)
	if s, ok := c.byKey[string(c.key)]; ok {
		return Ref{s}
	}
	s := &series{
		key: string(c.key), labels: joinLabels(host, resource, metric, own),
		resource: resource, metric: metric, own: own, at: time.Now().UnixMilli(),
	}
	s.valid = metric != "" && s.labels.IsValid(model.UTF8Validation)
	c.insert(s)
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

// encode writes the identity of a series into c.key. Lengths go before texts,
// so that no two identities give the same bytes.
func (c *seriesCache) encode(host, resource, metric string, own map[string]string) {
	c.key = c.key[:0]
	for _, text := range [...]string{resource, metric, host} {
		c.put(text)
	}
	c.names = c.names[:0]
	for name := range own {
		c.names = append(c.names, name)
	}
	if len(c.names) > 1 {
		slices.Sort(c.names)
	}
	for _, name := range c.names {
		c.put(name)
		c.put(own[name])
	}
}

func (c *seriesCache) put(text string) {
	c.key = binary.AppendUvarint(c.key, uint64(len(text)))
	c.key = append(c.key, text...)
}

func (c *seriesCache) insert(s *series) {
	c.byKey[s.key] = s
	if c.byMetric[s.metric] == nil {
		c.byMetric[s.metric] = map[*series]struct{}{}
	}
	c.byMetric[s.metric][s] = struct{}{}
	s.cached = true
}

// note takes the readings of a batch in as the newest ones.
func (c *seriesCache) note(batch []Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		s, at := batch[i].Ref.s, batch[i].At.UnixMilli()
		if !s.cached {
			if c.byKey[s.key] != nil {
				s = c.byKey[s.key]
			} else {
				c.insert(s)
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
	defer c.mu.Unlock()
	for key, s := range c.byKey {
		if s.at >= before {
			continue
		}
		delete(c.byKey, key)
		delete(c.byMetric[s.metric], s)
		if len(c.byMetric[s.metric]) == 0 {
			delete(c.byMetric, s.metric)
		}
		s.cached = false
	}
}

// Latest answers the newest reading of every series of the metrics, by
// resource, as long as it is not older than maxAge. It reads memory only. The
// label maps are shared: do not write to them.
func (db *DB) Latest(_ context.Context, metrics []string, maxAge time.Duration) (map[string][]ops.Series, error) {
	oldest := time.Now().Add(-maxAge).UnixMilli()
	all := map[string][]ops.Series{}
	c := &db.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, metric := range slices.Compact(slices.Sorted(slices.Values(metrics))) {
		for s := range c.byMetric[metric] {
			if !s.seen || s.at < oldest {
				continue
			}
			point := ops.Point{At: time.UnixMilli(s.at), Value: s.value}
			all[s.resource] = append(all[s.resource], ops.Series{Metric: metric, Labels: s.own, Points: []ops.Point{point}})
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
	if len(list) < 2 {
		return
	}
	slices.SortFunc(list, func(a, b ops.Series) int {
		if a.Metric != b.Metric {
			return strings.Compare(a.Metric, b.Metric)
		}
		return compareLabels(a.Labels, b.Labels)
	})
}

func compareLabels(a, b map[string]string) int {
	if len(a) == 0 && len(b) == 0 {
		return 0
	}
	return labels.Compare(labels.FromMap(a), labels.FromMap(b))
}
