package api

import (
	"context"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

type resourcesInput struct {
	Kind     []string          `query:"kind" doc:"Only these kinds."`
	Host     string            `query:"host" doc:"Only on the host with this name or ID."`
	Parent   string            `query:"parent" doc:"Only below the resource with this ID."`
	Text     string            `query:"q" doc:"Part of the name, or a whole ID."`
	Label    map[string]string `query:"label" doc:"NAME=VALUE; repeat it for several."`
	Presence []string          `query:"presence" doc:"present, absent, removed; default present and absent."`
	Sort     string            `query:"sort" doc:"name, kind, host or observed_at; a leading - reverses."`
	All      bool              `query:"all" doc:"The whole list without pages."`
	Limit    int               `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor   string            `query:"cursor"`
}

func (q resourcesInput) plainAll() bool {
	return q.All && q.Kind == nil && q.Host == "" && q.Parent == "" && q.Text == "" && q.Label == nil && q.Presence == nil && q.Sort == ""
}

func (s *Server) resources(ctx context.Context, q resourcesInput) (any, error) {
	if q.plainAll() {
		p, err := s.estate.look(ctx)
		if err != nil {
			return nil, err
		}
		return p.encoded()
	}
	after, err := parseCursor(q.Sort, q.Cursor)
	if err != nil {
		return nil, err
	}
	if err := amongAll("kind", "kind", q.Kind, kindNames()); err != nil {
		return nil, err
	}
	if err := amongAll("presence", "presence", q.Presence, []ops.Presence{ops.Present, ops.Absent, ops.Removed}); err != nil {
		return nil, err
	}
	if err := rest.Among("sort", "order", strings.TrimPrefix(q.Sort, "-"), []string{"", "name", "kind", "host", "observed_at"}); err != nil {
		return nil, err
	}
	if q.Presence == nil {
		q.Presence = []string{string(ops.Present), string(ops.Absent)}
	}
	items, next, err := s.store.Resources(ctx, store.ResourceFilter{Kinds: q.Kind, Host: q.Host, Parent: q.Parent, Text: q.Text,
		Labels: q.Label, Presence: q.Presence, Sort: q.Sort, After: after, Limit: q.Limit, All: q.All})
	return rest.ListOf(items, cursorOf(q.Sort, next)), err
}

// A ResourceDetail is a resource with what belongs to it.
type ResourceDetail struct {
	ops.Resource
	Children []ops.Resource `json:"children"`
	Metrics  []string       `json:"metrics" doc:"Names of the metrics that it has."`
	Problem  string         `json:"metrics_problem,omitempty" doc:"Why the metrics are not known: the store of samples does not answer."`
	Findings []ops.Finding  `json:"findings" doc:"The active ones, then the newest others."`
}

// EntityVersion is what If-Match is compared with.
func (d ResourceDetail) EntityVersion() int64 { return d.Resource.Version }

func (s *Server) resource(ctx context.Context, q rest.ByID) (ResourceDetail, error) {
	r, err := s.store.Resource(ctx, q.ID)
	if err != nil {
		return ResourceDetail{}, err
	}
	d := ResourceDetail{Resource: r}
	if d.Children, _, err = s.store.Resources(ctx, store.ResourceFilter{Parent: r.ID, Sort: "kind", Limit: 1000,
		Presence: []string{string(ops.Present), string(ops.Absent)}}); err != nil {
		return d, err
	}
	if d.Metrics, err = s.deps.Metrics.Names(ctx, r.ID); err != nil {
		// What is known of the resource is shown all the same.
		s.log.Warn("metrics of a resource are not known", "resource", r.ID, "err", err)
		if d.Problem, _ = ops.Shown(err); d.Problem == "" {
			d.Problem = "the metrics store does not answer"
		}
	}
	d.Metrics = rest.Full(d.Metrics)
	d.Findings, err = s.findingsOf(ctx, r.ID)
	return d, err
}

// findingsOf answers the active findings of a resource, then the newest
// others.
func (s *Server) findingsOf(ctx context.Context, resourceID string) ([]ops.Finding, error) {
	active, _, err := s.store.Findings(ctx, store.FindingFilter{Resource: resourceID, Active: true, Limit: 100})
	if err != nil {
		return nil, err
	}
	others, _, err := s.store.Findings(ctx, store.FindingFilter{Resource: resourceID, Limit: 20,
		States: []string{string(ops.FindingResolved), string(ops.FindingClosed)}})
	return append(active, others...), err
}

type seriesInput struct {
	ID     string    `path:"id"`
	Metric []string  `query:"metric" doc:"Names of metrics; repeat it for several."`
	From   time.Time `query:"from" doc:"Default an hour before to."`
	To     time.Time `query:"to" doc:"Default now."`
	Points int       `query:"points" doc:"At most this many of each series, up to 2000; default 300."`
}

// ChartSeries is the course of one series. Where it is rolled, a point is the
// average of a step, with the least and the most in it beside.
type ChartSeries struct {
	Metric string            `json:"metric"`
	Labels map[string]string `json:"labels,omitempty"`
	Points []ops.Point       `json:"points"`
	Min    []float64         `json:"min,omitempty" doc:"For each point."`
	Max    []float64         `json:"max,omitempty" doc:"For each point."`
	Rolled bool              `json:"rolled"`
}

// SeriesAnswer is the answer for a chart.
type SeriesAnswer struct {
	Series []ChartSeries `json:"series"`
}

const (
	defaultPoints = 300
	maxPoints     = 2000
	maxMetrics    = 40
)

func (s *Server) series(ctx context.Context, q seriesInput) (SeriesAnswer, error) {
	if q.To.IsZero() {
		q.To = s.now()
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-time.Hour)
	}
	if q.Points == 0 {
		q.Points = defaultPoints
	}
	switch {
	case !q.From.Before(q.To):
		return SeriesAnswer{}, rest.Invalid("from", "from must be before to")
	case q.Points > maxPoints:
		return SeriesAnswer{}, rest.Invalid("points", "points must be at most %d", maxPoints)
	case len(q.Metric) == 0 || len(q.Metric) > maxMetrics:
		return SeriesAnswer{}, rest.Invalid("metric", "name at least one metric and at most %d", maxMetrics)
	}
	for _, m := range q.Metric {
		if !metricName(m) {
			return SeriesAnswer{}, rest.Invalid("metric", "%q is not the name of a metric", rest.Short(m))
		}
	}
	if _, err := s.store.Resource(ctx, q.ID); err != nil {
		return SeriesAnswer{}, err
	}
	all, err := s.deps.Metrics.Range(ctx, q.ID, q.Metric, q.From, q.To, q.Points)
	for i := range all {
		all[i] = plottable(all[i])
	}
	return SeriesAnswer{rest.Full(all)}, err
}

// metricName keeps what is handed on a plain name: it becomes part of a query.
func metricName(m string) bool {
	for i, c := range m {
		letter := c == '_' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return m != "" && len(m) <= 128
}

// plottable leaves out points that JSON has no form for.
func plottable(s ChartSeries) ChartSeries {
	out := s
	out.Points, out.Min, out.Max = []ops.Point{}, nil, nil
	for i, p := range s.Points {
		bounded := i < len(s.Min) && i < len(s.Max)
		if !finite(p.Value) || bounded && (!finite(s.Min[i]) || !finite(s.Max[i])) {
			continue
		}
		out.Points = append(out.Points, p)
		if bounded {
			out.Min, out.Max = append(out.Min, s.Min[i]), append(out.Max, s.Max[i])
		}
	}
	return out
}
