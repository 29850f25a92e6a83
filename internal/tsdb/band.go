package tsdb

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"reeve/internal/ops"
)

// A BandQuery asks for the course of a metric for a chart.
type BandQuery struct {
	// Selector is a PromQL series selector with a metric name, as
	// disk_busy_ratio{resource="res_1"}.
	Selector  string
	From, To  time.Time
	MaxPoints int // of one series; zero means 500
	MaxSeries int // zero means 200; more is an error
}

// A Band is the course of one series in steps.
type Band struct {
	Metric string            `json:"metric"`
	Labels map[string]string `json:"labels,omitempty" doc:"Host and resource included."`
	StepMS int64             `json:"step_ms"`
	Points []BandPoint       `json:"points"`
}

// A BandPoint is what a series did within one step, which ends at At.
type BandPoint struct {
	At  time.Time `json:"at"`
	Avg float64   `json:"avg"`
	Min float64   `json:"min"`
	Max float64   `json:"max"`
}

// The limits of a BandQuery.
const (
	defaultBandPoints = 500
	defaultBandSeries = 200
	longRange         = 7 * 24 * time.Hour
)

// bandSteps are the steps that charts use: round ones, so that a chart that
// moves on keeps its steps.
var bandSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// Range answers the course of a metric in at most MaxPoints steps, each with
// average, minimum and maximum. What lies before the raw samples, and long
// ranges in long steps, come from roll-ups.
func (db *DB) Range(ctx context.Context, q BandQuery) ([]Band, error) {
	if q.MaxPoints <= 0 {
		q.MaxPoints = defaultBandPoints
	}
	if q.MaxSeries <= 0 {
		q.MaxSeries = defaultBandSeries
	}
	if !q.From.Before(q.To) || q.MaxPoints > maxPoints {
		return nil, ops.Errorf(ops.Invalid, "The range must begin before it ends and have at most %d points.", maxPoints)
	}
	all, err := db.back.bands(ctx, q)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Band) int {
		if a.Metric != b.Metric {
			return strings.Compare(a.Metric, b.Metric)
		}
		return compareLabels(a.Labels, b.Labels)
	})
	return all, nil
}

// step answers the smallest round step that keeps a range within its points.
func (q BandQuery) step() time.Duration {
	least := q.To.Sub(q.From) / time.Duration(q.MaxPoints)
	for _, step := range bandSteps {
		if step >= least {
			return step
		}
	}
	day := 24 * time.Hour
	return (least + day - 1) / day * day
}

// parse answers the matchers of the selector and the metric they name.
func (q BandQuery) parse() (metric string, rest []*labels.Matcher, err error) {
	ms, err := parser.NewParser(parser.Options{}).ParseMetricSelector(q.Selector)
	if err != nil {
		return "", nil, ops.Errorf(ops.Invalid, "The selector cannot be read: %v", err)
	}
	for _, m := range ms {
		if m.Name == labels.MetricName && m.Type == labels.MatchEqual && metric == "" {
			metric = m.Value
			continue
		}
		rest = append(rest, m)
	}
	if metric == "" {
		return "", nil, ops.Errorf(ops.Invalid, "The selector must name a metric.")
	}
	return metric, rest, nil
}

// bands implements backend.
func (e *embedded) bands(ctx context.Context, q BandQuery) ([]Band, error) {
	metric, rest, err := q.parse()
	if err != nil {
		return nil, err
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	if err := e.usable(); err != nil {
		return nil, err
	}
	step := q.step()
	b := bander{
		e: e, metric: metric, rest: rest, limit: q.MaxSeries, step: step.Milliseconds(),
		from: q.From.UnixMilli(), to: q.To.UnixMilli(), series: map[string]*course{},
	}
	raw, err := b.split(ctx, step >= rollupStep && q.To.Sub(q.From) > longRange)
	if err != nil {
		return nil, err
	}
	if raw > b.from {
		if err := b.readRollups(ctx, window{b.from, raw - 1}); err != nil {
			return nil, err
		}
	}
	if raw <= b.to {
		if err := b.readRaw(ctx, window{raw, b.to}); err != nil {
			return nil, err
		}
	}
	return b.answer(), nil
}

// bander gathers the steps of a BandQuery.
type bander struct {
	e        *embedded
	metric   string
	rest     []*labels.Matcher
	limit    int
	step     int64
	from, to int64
	series   map[string]*course
}

// course is a series under way: its steps by their end.
type course struct {
	labels labels.Labels
	steps  map[int64]*tally
}

// split answers from when on raw samples are read: from the start, unless
// they do not reach back that far or roll-ups are good enough.
func (b *bander) split(ctx context.Context, long bool) (int64, error) {
	rolled, ok, err := b.e.rolledUpTo(ctx)
	if err != nil || !ok {
		return b.from, err
	}
	oldest := oldestOf(b.e.raw)
	if long || oldest == math.MaxInt64 {
		return min(max(b.from, rolled+1), b.to+1), nil
	}
	if b.from >= oldest {
		return b.from, nil
	}
	// A roll-up ends where its five minutes end; the first one that raw
	// samples cover whole is the place to change over.
	next := ceil(oldest, rollupStep.Milliseconds()) + rollupStep.Milliseconds()
	return min(max(b.from, min(next, rolled)+1), b.to+1), nil
}

func (b *bander) readRaw(ctx context.Context, w window) error {
	ms := append([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, b.metric)}, b.rest...)
	return each(ctx, b.e.raw, w, ms, func(ls labels.Labels, it chunkenc.Iterator) error {
		c, err := b.course(nameless(ls))
		if err != nil {
			return err
		}
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if kind != chunkenc.ValFloat {
				continue
			}
			if at, v := it.At(); !value.IsStaleNaN(v) {
				c.at(ceil(at, b.step)).add(v)
			}
		}
		return nil
	})
}

// readRollups reads the four roll-ups of the metric, one after the other.
// Counts come first, since averages are weighed with them.
func (b *bander) readRollups(ctx context.Context, w window) error {
	counts := map[string]map[int64]float64{}
	read := func(part string, take func(c *course, key string, at int64, v float64)) error {
		ms := append([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, b.metric+part)}, b.rest...)
		return each(ctx, b.e.rollup, w, ms, func(ls labels.Labels, it chunkenc.Iterator) error {
			own := nameless(ls)
			c, err := b.course(own)
			if err != nil {
				return err
			}
			key := own.String()
			for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
				at, v := it.At()
				take(c, key, at, v)
			}
			return nil
		})
	}
	steps := []struct {
		part string
		take func(c *course, key string, at int64, v float64)
	}{
		{countPart, func(_ *course, key string, at int64, v float64) {
			if counts[key] == nil {
				counts[key] = map[int64]float64{}
			}
			counts[key][at] = v
		}},
		{avgPart, func(c *course, key string, at int64, v float64) {
			c.at(ceil(at, b.step)).addMany(v, counts[key][at])
		}},
		{minPart, func(c *course, _ string, at int64, v float64) { c.at(ceil(at, b.step)).lower(v) }},
		{maxPart, func(c *course, _ string, at int64, v float64) { c.at(ceil(at, b.step)).raise(v) }},
	}
	for _, s := range steps {
		if err := read(s.part, s.take); err != nil {
			return err
		}
	}
	return nil
}

func nameless(ls labels.Labels) labels.Labels {
	return labels.NewBuilder(ls).Del(labels.MetricName).Labels()
}

func (b *bander) course(own labels.Labels) (*course, error) {
	key := own.String()
	if c, ok := b.series[key]; ok {
		return c, nil
	}
	if len(b.series) >= b.limit {
		return nil, tooManySeries(b.limit)
	}
	c := &course{labels: own, steps: map[int64]*tally{}}
	b.series[key] = c
	return c, nil
}

func tooManySeries(limit int) error {
	return ops.Errorf(ops.Invalid, "The selector matches more than %d series; narrow it.", limit)
}

func (c *course) at(end int64) *tally {
	t, ok := c.steps[end]
	if !ok {
		t = newTally()
		c.steps[end] = t
	}
	return t
}

func (b *bander) answer() []Band {
	all := make([]Band, 0, len(b.series))
	for _, c := range b.series {
		band := Band{Metric: b.metric, Labels: c.labels.Map(), StepMS: b.step}
		for end, t := range c.steps {
			if t.count > 0 {
				band.Points = append(band.Points, BandPoint{At: time.UnixMilli(end), Avg: t.avg(), Min: t.min, Max: t.max})
			}
		}
		if len(band.Points) == 0 {
			continue
		}
		slices.SortFunc(band.Points, func(x, y BandPoint) int { return x.At.Compare(y.At) })
		all = append(all, band)
	}
	return all
}
