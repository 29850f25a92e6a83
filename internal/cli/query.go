package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/config"
	"reeve/internal/ops"
)

// A promSeries is a series of an answer of the Prometheus API.
type promSeries struct {
	Metric map[string]string `json:"metric"`
	Value  promPoint         `json:"value"`
	Values []promPoint       `json:"values"`
}

func (x promSeries) metric() string            { return x.Metric["__name__"] }
func (x promSeries) labels() map[string]string { return x.Metric }

func (x promSeries) last() (ops.Point, bool) {
	if len(x.Values) > 0 {
		return ops.Point(x.Values[len(x.Values)-1]), true
	}
	return ops.Point(x.Value), !x.Value.At.IsZero()
}

func (x promSeries) points() []ops.Point {
	all := make([]ops.Point, len(x.Values))
	for i, p := range x.Values {
		all[i] = ops.Point(p)
	}
	return all
}

// A promPoint is written as [seconds, "value"].
type promPoint ops.Point

// UnmarshalJSON reads the pair.
func (p *promPoint) UnmarshalJSON(text []byte) error {
	var at float64
	var value string
	pair := []any{&at, &value}
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || len(pair) != 2 {
		return fmt.Errorf("%s is not a reading", text)
	}
	p.At, p.Value = time.UnixMilli(int64(at*1000)).UTC(), v
	return nil
}

type promAnswer struct {
	Data struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
	Warnings []string `json:"warnings"`
}

func (a promAnswer) series() ([]promSeries, error) {
	switch a.Data.Type {
	case "scalar":
		var p promPoint
		err := json.Unmarshal(a.Data.Result, &p)
		return []promSeries{{Value: p}}, err
	case "string":
		return nil, wrongUse("the expression is a text, not readings")
	}
	var all []promSeries
	err := json.Unmarshal(a.Data.Result, &all)
	return all, err
}

func (s *session) queryVerb() *cobra.Command {
	var over, step, at string
	c := &cobra.Command{
		Use: "query PROMQL", Short: "Ask for metrics with PromQL: the values now, or their course drawn in the terminal",
		Example: "  reeve query cpu_busy_ratio\n  reeve query cpu_busy_ratio --range 6h\n  reeve query 'topk(5, container_memory_bytes)'\n  reeve query 'avg by (host) (cpu_busy_ratio)' --range 7d -o json",
		Args:    takes(1, 1, "one PromQL expression, in quotes"),
		RunE: func(c *cobra.Command, args []string) error {
			end := time.Now()
			if at != "" {
				var err error
				if end, err = parseUntil(at, time.Now()); err != nil {
					return err
				}
			}
			if over == "" {
				if step != "" {
					return usageError{"--step goes with --range", c.CommandPath()}
				}
				return s.queryNow(c.Context(), args[0], end)
			}
			d, err := config.ParseDuration(over)
			if err != nil || d <= 0 {
				return usageError{fmt.Sprintf("--range %q is not a time span; write it as 90m, 6h or 7d", over), c.CommandPath()}
			}
			w := window{from: end.Add(-d), to: end, step: s.stepOf(d)}
			if step != "" {
				if w.step, err = config.ParseDuration(step); err != nil || w.step <= 0 {
					return usageError{fmt.Sprintf("--step %q is not a time span; write it as 30s or 5m", step), c.CommandPath()}
				}
			}
			return s.queryRange(c.Context(), args[0], w)
		},
	}
	c.Flags().StringVar(&over, "range", "", "draw the course over this span until now: 90m, 6h, 7d")
	c.Flags().StringVar(&step, "step", "", "distance of two points; default what the terminal can show")
	c.Flags().StringVar(&at, "at", "", "ask as of this time instead of now: 2026-01-31T08:30:00Z")
	return c
}

type window struct {
	from, to time.Time
	step     time.Duration
}

// stepOf answers the step with which a span fills the width of a chart.
func (s *session) stepOf(d time.Duration) time.Duration {
	width := s.page.width
	if width == 0 {
		width = chartColumns
	}
	return max(d/time.Duration(2*min(width, maxChartColumns)), time.Second).Round(time.Second)
}

// instant asks for the values at a time; now where it is zero.
func (s *session) instant(ctx context.Context, expr string, at time.Time) ([]promSeries, promReply, error) {
	q := url.Values{"query": {expr}}
	if !at.IsZero() {
		q.Set("time", seconds(at))
	}
	return s.prometheus(ctx, "/prometheus/api/v1/query?"+q.Encode())
}

// A promReply is an answer as it came, and what it warns of.
type promReply struct {
	text     json.RawMessage
	warnings []string
}

func (s *session) prometheus(ctx context.Context, path string) ([]promSeries, promReply, error) {
	var a promAnswer
	text, err := s.fetch(ctx, path, &a)
	if err != nil {
		return nil, promReply{}, err
	}
	all, err := a.series()
	return all, promReply{text, a.Warnings}, err
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (s *session) queryNow(ctx context.Context, expr string, at time.Time) error {
	all, reply, err := s.instant(ctx, expr, at)
	if err != nil || s.json() {
		return s.documentOr(reply.text, err)
	}
	if len(all) == 0 {
		s.page.line("no series: nothing matches, or there was no reading in the last 5 minutes")
		return nil
	}
	owner, err := s.owners(ctx, all)
	if err != nil {
		return err
	}
	t := s.page.table("RESOURCE", "SERIES", ">VALUE", ">AT")
	for _, x := range all {
		p, ok := x.last()
		if !ok {
			continue
		}
		t.add(of(owner(x)), of(seriesName(x.metric(), x.Metric, ownerLabels...)), of(reading(x.metric(), p.Value)), of(p.At.Local().Format("15:04:05")))
	}
	t.print()
	s.warn(reply)
	return nil
}

func (s *session) warn(r promReply) {
	for _, w := range r.warnings {
		s.page.line("note: %s", safe(w))
	}
}

// ownerLabels are shown as the resource's name.
var ownerLabels = []string{"host", "resource"}

// owners answers how to name the resource of a series.
func (s *session) owners(ctx context.Context, all []promSeries) (func(promSeries) string, error) {
	byID := map[string]ops.Resource{}
	if slices.ContainsFunc(all, func(x promSeries) bool { return x.Metric["resource"] != "" || x.Metric["host"] != "" }) {
		var l struct{ Items []ops.Resource }
		if err := s.get(ctx, "/api/v1/resources?all=true", &l); err != nil {
			return nil, err
		}
		for _, r := range l.Items {
			byID[r.ID] = r
			if r.Kind == ops.KindHost {
				byID[r.Key.Host] = r
			}
		}
	}
	return func(x promSeries) string {
		r, known := byID[x.Metric["resource"]]
		if !known {
			r = byID[x.Metric["host"]]
			return first(x.Metric["resource"], r.Name, x.Metric["host"])
		}
		if r.Kind == ops.KindHost {
			return r.Name
		}
		return r.Name + "@" + r.HostName
	}, nil
}

func (s *session) queryRange(ctx context.Context, expr string, w window) error {
	q := url.Values{"query": {expr}, "start": {seconds(w.from)}, "end": {seconds(w.to)}, "step": {seconds(time.UnixMilli(w.step.Milliseconds()))}}
	all, reply, err := s.prometheus(ctx, "/prometheus/api/v1/query_range?"+q.Encode())
	if err != nil || s.json() {
		return s.documentOr(reply.text, err)
	}
	if len(all) == 0 {
		s.page.line("no series: nothing matches in this time")
		return nil
	}
	owner, err := s.owners(ctx, all)
	if err != nil {
		return err
	}
	var lines []chartLine
	for _, x := range all {
		name := seriesName(x.metric(), x.Metric, ownerLabels...)
		if o := owner(x); o != "" {
			name += "  " + o
		}
		lines = append(lines, chartLine{name, x.metric(), x.points()})
	}
	s.page.charts(lines, w.from, w.to)
	s.page.line("")
	s.summaries(lines)
	s.warn(reply)
	return nil
}

func (s *session) summaries(lines []chartLine) {
	t := s.page.table("SERIES", ">LAST", ">LEAST", ">MEAN", ">MOST")
	for _, l := range lines {
		last, low, mean, high, ok := l.summary()
		if !ok {
			continue
		}
		t.add(of(l.name), of(reading(l.metric, last)), of(reading(l.metric, low)), of(reading(l.metric, mean)), of(reading(l.metric, high)))
	}
	t.print()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
