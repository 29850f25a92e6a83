package tsdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"reeve/internal/ops"
)

// What one query may take. A query that needs more is answered with an error,
// as Prometheus does.
const (
	maxQueries    = 4
	maxSamples    = 10_000_000
	queryTimeout  = 30 * time.Second
	lookback      = 5 * time.Minute
	maxPoints     = 11_000 // of one series of a range query
	defaultMinute = int64(time.Minute / time.Millisecond)
)

// A Query is a PromQL expression with its time: at To when Step is zero, else
// at every Step from From to To.
type Query struct {
	Expr     string
	From, To time.Time
	Step     time.Duration
}

// Series evaluates a PromQL expression from from to to at every step; a step
// of zero means once, at to. The labels of the answer include host and
// resource.
func (db *DB) Series(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]ops.Series, error) {
	if step == 0 {
		from = to
	}
	if step < 0 || to.Before(from) || (step > 0 && to.Sub(from)/step > maxPoints) {
		return nil, ops.Errorf(ops.Invalid, "The time range has no points or more than %d; choose a longer step.", maxPoints)
	}
	return db.back.eval(ctx, Query{Expr: expr, From: from, To: to, Step: step})
}

// Query evaluates a PromQL expression once.
func (db *DB) Query(ctx context.Context, expr string, at time.Time) ([]ops.Series, error) {
	return db.Series(ctx, expr, at, at, 0)
}

// selection says which raw series of resources to read. No metrics means all.
type selection struct {
	metrics  []string
	from, to time.Time
	step     time.Duration // of which only the newest sample counts; zero for all
}

// add adds a point to those of a series, the oldest first.
func (s selection) add(points []CoursePoint, p CoursePoint) []CoursePoint {
	if n, step := len(points), s.step.Milliseconds(); n > 0 && step > 0 && floor(points[n-1].At, step) == floor(p.At, step) {
		points[n-1] = p
		return points
	}
	return append(points, p)
}

// found is a series that a selection found. Its points are for the moment.
type found struct {
	labels labels.Labels
	points []CoursePoint
}

// ofResources matches every series of a resource, and none that others wrote.
var ofResources = labels.MustNewMatcher(labels.MatchNotEqual, ResourceLabel, "")

func (s selection) matchers() ([]*labels.Matcher, error) {
	m, err := s.named()
	if err != nil || m == nil {
		return []*labels.Matcher{ofResources}, err
	}
	return []*labels.Matcher{ofResources, m}, nil
}

// named matches the metrics; nil stands for all.
func (s selection) named() (*labels.Matcher, error) {
	switch len(s.metrics) {
	case 0:
		return nil, nil
	case 1:
		return labels.NewMatcher(labels.MatchEqual, labels.MetricName, s.metrics[0])
	default:
		quoted := make([]string, len(s.metrics))
		for i, metric := range s.metrics {
			quoted[i] = quoteMeta(metric)
		}
		m, err := labels.NewMatcher(labels.MatchRegexp, labels.MetricName, strings.Join(quoted, "|"))
		if err != nil {
			return nil, fmt.Errorf("match metrics: %w", err)
		}
		return m, nil
	}
}

// ownLabels answers what distinguishes a series among those of its resource.
func ownLabels(ls labels.Labels) map[string]string {
	var own map[string]string
	eachOwn(ls, func(l labels.Label) {
		if own == nil {
			own = map[string]string{}
		}
		own[l.Name] = l.Value
	})
	return own
}

func eachOwn(ls labels.Labels, f func(labels.Label)) {
	ls.Range(func(l labels.Label) {
		switch l.Name {
		case labels.MetricName, HostLabel, ResourceLabel:
		default:
			f(l)
		}
	})
}

func (e *embedded) newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:               maxSamples,
		Timeout:                  queryTimeout,
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return defaultMinute },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
}

// run evaluates a query and hands the result to use, which must not keep it:
// its memory is used again.
func (e *embedded) run(ctx context.Context, q Query, opts promql.QueryOpts, use func(*promql.Result) error) error {
	select {
	case e.queries <- struct{}{}:
		defer func() { <-e.queries }()
	case <-ctx.Done():
		return promql.ErrQueryCanceled("query queue")
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	if err := e.usable(); err != nil {
		return err
	}
	query, err := e.prepare(ctx, q, opts)
	if err != nil {
		return badQuery{err}
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return result.Err
	}
	return use(result)
}

// badQuery is an error of the expression, not of its evaluation.
type badQuery struct{ error }

func (b badQuery) Unwrap() error { return b.error }

func (e *embedded) prepare(ctx context.Context, q Query, opts promql.QueryOpts) (promql.Query, error) {
	if q.Step == 0 {
		return e.engine().NewInstantQuery(ctx, both{e}, opts, q.Expr, q.To)
	}
	return e.engine().NewRangeQuery(ctx, both{e}, opts, q.Expr, q.From, q.To, q.Step)
}

// eval implements backend.
func (e *embedded) eval(ctx context.Context, q Query) ([]ops.Series, error) {
	var all []ops.Series
	err := e.run(ctx, q, nil, func(r *promql.Result) error {
		all = fromValue(r.Value, q.To)
		return nil
	})
	if bad, ok := errors.AsType[badQuery](err); ok {
		return nil, ops.Errorf(ops.Invalid, "The query cannot be read: %v", bad.error)
	}
	return all, explain(err)
}

// explain classes what went wrong with a query for people.
func explain(err error) error {
	if err == nil || ops.KindOf(err) != ops.Internal {
		return err
	}
	var late promql.ErrQueryTimeout
	var big promql.ErrTooManySamples
	switch {
	case errors.As(err, &late):
		return ops.Because(ops.Unavailable, err, "The query took longer than %v.", queryTimeout)
	case errors.As(err, &big):
		return ops.Because(ops.Invalid, err, "The query needs more than %d samples at once; ask for less.", maxSamples)
	}
	return fmt.Errorf("evaluate query: %w", err)
}

// fromValue turns a PromQL value into series of plain numbers; histograms are
// left out.
func fromValue(v parser.Value, at time.Time) []ops.Series {
	switch v := v.(type) {
	case promql.Scalar:
		return []ops.Series{{Points: []ops.Point{{At: time.UnixMilli(v.T), Value: v.V}}}}
	case promql.Vector:
		all := make([]ops.Series, 0, len(v))
		for _, s := range v {
			if s.H == nil {
				all = append(all, named(s.Metric, []ops.Point{{At: at, Value: s.F}}))
			}
		}
		return all
	case promql.Matrix:
		all := make([]ops.Series, 0, len(v))
		for _, s := range v {
			points := make([]ops.Point, len(s.Floats))
			for i, p := range s.Floats {
				points[i] = ops.Point{At: time.UnixMilli(p.T), Value: p.F}
			}
			all = append(all, named(s.Metric, points))
		}
		return all
	}
	return nil
}

func named(ls labels.Labels, points []ops.Point) ops.Series {
	all := ls.Map()
	metric := all[labels.MetricName]
	delete(all, labels.MetricName)
	return ops.Series{Metric: metric, Labels: all, Points: points}
}

// both reads raw samples and roll-ups as one database.
type both struct{ e *embedded }

func (b both) Querier(from, to int64) (storage.Querier, error) {
	raw, err := b.e.raw.Querier(from, to)
	if err != nil {
		return nil, fmt.Errorf("read raw samples: %w", err)
	}
	rollup, err := b.e.rollup.Querier(from, to)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read roll-ups: %w", err), raw.Close())
	}
	merged := storage.NewMergeQuerier([]storage.Querier{raw, rollup}, nil, storage.ChainedSeriesMerge)
	return bothQuerier{Querier: merged, raw: raw}, nil
}

// bothQuerier leaves the roll-ups alone where the name of the metric says that
// it is none.
type bothQuerier struct {
	storage.Querier
	raw storage.Querier
}

func (b bothQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	for _, m := range ms {
		if m.Name != labels.MetricName || m.Type != labels.MatchEqual {
			continue
		}
		if !isRollup(m.Value) {
			return b.raw.Select(ctx, sorted, hints, ms...)
		}
	}
	return b.Querier.Select(ctx, sorted, hints, ms...)
}
