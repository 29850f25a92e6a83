package tsdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"reeve/internal/ops"
)

// maxAnswer bounds what is read of one answer of an external store.
const maxAnswer = 64 << 20

// external keeps samples in a Prometheus-compatible store elsewhere.
type external struct {
	db     *DB
	base   *url.URL
	write  string
	client *http.Client
	api    promapi.API
	queue  queue
	ship   sync.Mutex // one sender at a time, so that order is kept
}

func openExternal(db *DB) (*external, error) {
	base, err := url.Parse(db.opts.URL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, ops.Errorf(ops.Invalid, "The URL of the metrics store must begin with http:// or https:// and name a host.")
	}
	write := db.opts.WriteURL
	if write == "" {
		write = base.JoinPath("api/v1/write").String()
	}
	transport := greeting{headers: db.opts.Headers, base: base, next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   4,
	}}
	client, err := api.NewClient(api.Config{Address: strings.TrimSuffix(db.opts.URL, "/"), RoundTripper: bounded{transport}})
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "The URL of the metrics store cannot be used.")
	}
	x := &external{
		db: db, base: base, write: write, api: promapi.NewAPI(client),
		client: &http.Client{Transport: transport, Timeout: time.Minute},
	}
	x.queue.limit = db.opts.QueueSamples
	return x, nil
}

// bounded fails the reading of an answer that is too large.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	}
	return answer, err
}

// greeting adds what an external store wants to know of us.
type greeting struct {
	headers map[string]string
	base    *url.URL
	next    *http.Transport
}

func (g greeting) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if user := g.base.User; user != nil && r.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	for name, v := range g.headers {
		r.Header.Set(name, v)
	}
	return g.next.RoundTrip(r)
}

// CloseIdleConnections lets http.Client close what is idle.
func (g greeting) CloseIdleConnections() { g.next.CloseIdleConnections() }

// append implements backend: samples wait for Ship.
func (x *external) append(_ context.Context, batch []Sample) (int, error) {
	if lost := x.queue.put(batch); lost > 0 {
		x.db.dropped.Add(int64(lost))
		x.db.setProblem("queue", fmt.Sprintf("the external metrics store takes samples slower than they come: the queue of %d is full and the oldest are dropped", x.queue.limit))
	}
	return 0, nil
}

// scan implements backend: a range selector answers samples as they came.
func (x *external) scan(ctx context.Context, sel selection, yield func(found) error) error {
	ms, err := sel.matchers()
	if err != nil {
		return err
	}
	span := max(sel.to.Sub(sel.from), time.Millisecond)
	expr := selector(ms) + "[" + model.Duration(span).String() + "]"
	answer, _, _, err := x.api.Query(ctx, expr, sel.to)
	if err != nil {
		return x.explain(err)
	}
	matrix, ok := answer.(model.Matrix)
	if !ok {
		return ops.Errorf(ops.Unavailable, "The external metrics store answered a %s where samples were asked for.", answer.Type())
	}
	var points []CoursePoint
	for _, stream := range matrix {
		points = points[:0]
		for _, p := range stream.Values {
			points = sel.add(points, CoursePoint{int64(p.Timestamp), float64(p.Value)})
		}
		f := found{labels: fromMetric(stream.Metric), points: points}
		if len(f.points) == 0 {
			continue
		}
		if err := yield(f); err != nil {
			return err
		}
	}
	return nil
}

// eval implements backend.
func (x *external) eval(ctx context.Context, q Query) ([]ops.Series, error) {
	var answer model.Value
	var err error
	if q.Step == 0 {
		answer, _, _, err = x.api.Query(ctx, q.Expr, q.To)
	} else {
		answer, _, _, err = x.api.QueryRange(ctx, q.Expr, promapi.Range{Start: q.From, End: q.To, Step: q.Step})
	}
	if err != nil {
		return nil, x.explain(err)
	}
	return fromModel(answer), nil
}

// bands implements backend: the store computes each part of the band.
func (x *external) bands(ctx context.Context, q BandQuery) ([]Band, error) {
	metric, _, err := q.parse()
	if err != nil {
		return nil, err
	}
	step := q.step()
	g := gathering{metric: metric, step: step.Milliseconds(), bands: map[model.Fingerprint]*Band{}}
	ends := promapi.Range{
		Start: time.UnixMilli(ceil(q.From.UnixMilli(), g.step)),
		End:   time.UnixMilli(ceil(q.To.UnixMilli(), g.step)),
		Step:  step,
	}
	parts := []struct {
		function string
		put      func(*BandPoint, float64)
	}{
		{"avg_over_time", func(p *BandPoint, v float64) { p.Avg = v }},
		{"min_over_time", func(p *BandPoint, v float64) { p.Min = v }},
		{"max_over_time", func(p *BandPoint, v float64) { p.Max = v }},
	}
	for _, part := range parts {
		expr := fmt.Sprintf("%s(%s[%s])", part.function, q.Selector, model.Duration(step))
		answer, _, _, err := x.api.QueryRange(ctx, expr, ends)
		if err != nil {
			return nil, x.explain(err)
		}
		matrix, _ := answer.(model.Matrix)
		if len(matrix) > q.MaxSeries {
			return nil, tooManySeries(q.MaxSeries)
		}
		for _, stream := range matrix {
			g.add(stream, part.put)
		}
	}
	return g.list(), nil
}

// gathering puts the parts of bands together that a store answers one by one.
type gathering struct {
	metric string
	step   int64
	bands  map[model.Fingerprint]*Band
}

func (g *gathering) add(stream *model.SampleStream, put func(*BandPoint, float64)) {
	delete(stream.Metric, model.MetricNameLabel)
	key := stream.Metric.Fingerprint()
	band, ok := g.bands[key]
	if !ok {
		band = &Band{Metric: g.metric, Labels: toMap(stream.Metric), StepMS: g.step, Points: make([]BandPoint, len(stream.Values))}
		for i, v := range stream.Values {
			band.Points[i].At = v.Timestamp.Time()
		}
		g.bands[key] = band
	}
	// Both are in the order of time. A sample that came between two requests
	// makes a point that only later parts have; it is left out.
	i := 0
	for _, v := range stream.Values {
		for i < len(band.Points) && band.Points[i].At.Before(v.Timestamp.Time()) {
			i++
		}
		if i < len(band.Points) && band.Points[i].At.Equal(v.Timestamp.Time()) {
			put(&band.Points[i], float64(v.Value))
		}
	}
}

func (g *gathering) list() []Band {
	all := make([]Band, 0, len(g.bands))
	for _, band := range g.bands {
		all = append(all, *band)
	}
	return all
}

func (x *external) close() error {
	x.client.CloseIdleConnections()
	return nil
}

// explain classes an error of the external store.
func (x *external) explain(err error) error {
	var answer *promapi.Error
	if errors.As(err, &answer) && (answer.Type == promapi.ErrBadData || answer.Type == promapi.ErrExec) {
		return ops.Because(ops.Invalid, err, "The external metrics store refused the query: %s", answer.Msg)
	}
	return ops.Because(ops.Unavailable, err, "The external metrics store at %s does not answer as it should.", x.base.Redacted())
}

func selector(ms []*labels.Matcher) string {
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = m.String()
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func fromMetric(m model.Metric) labels.Labels { return labels.FromMap(toMap(m)) }

func toMap(m model.Metric) map[string]string {
	all := make(map[string]string, len(m))
	for name, v := range m {
		all[string(name)] = string(v)
	}
	return all
}

func toPoints(pairs []model.SamplePair) []ops.Point {
	points := make([]ops.Point, len(pairs))
	for i, p := range pairs {
		points[i] = ops.Point{At: p.Timestamp.Time(), Value: float64(p.Value)}
	}
	return points
}

func fromModel(v model.Value) []ops.Series {
	switch v := v.(type) {
	case *model.Scalar:
		return []ops.Series{{Points: toPoints([]model.SamplePair{{Timestamp: v.Timestamp, Value: v.Value}})}}
	case model.Vector:
		all := make([]ops.Series, 0, len(v))
		for _, s := range v {
			if s.Histogram == nil {
				all = append(all, named(fromMetric(s.Metric), toPoints([]model.SamplePair{{Timestamp: s.Timestamp, Value: s.Value}})))
			}
		}
		return all
	case model.Matrix:
		all := make([]ops.Series, 0, len(v))
		for _, s := range v {
			all = append(all, named(fromMetric(s.Metric), toPoints(s.Values)))
		}
		return all
	}
	return nil
}
