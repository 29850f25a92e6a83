package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"reeve/internal/ops"
)

// A Series is a series of an answer of the Prometheus API: of one value, or of
// several over time.
type Series struct {
	Metric map[string]string `json:"metric"`
	Value  promPoint         `json:"value"`
	Values []promPoint       `json:"values"`
}

// Name answers the name of the metric, "" where an expression made the series.
func (x Series) Name() string { return x.Metric["__name__"] }

// Last answers the newest reading; ok is false where there is none.
func (x Series) Last() (p ops.Point, ok bool) {
	if len(x.Values) > 0 {
		return ops.Point(x.Values[len(x.Values)-1]), true
	}
	return ops.Point(x.Value), !x.Value.At.IsZero()
}

// Points answers the readings over time.
func (x Series) Points() []ops.Point {
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

func (a promAnswer) series() ([]Series, error) {
	switch a.Data.Type {
	case "scalar":
		var p promPoint
		err := json.Unmarshal(a.Data.Result, &p)
		return []Series{{Value: p}}, err
	case "string":
		return nil, misuse("the expression is a text, not readings")
	}
	var all []Series
	err := json.Unmarshal(a.Data.Result, &all)
	return all, err
}

// Readings answer an expression: its series, the answer as it came, and what it
// warns of.
type Readings struct {
	Series   []Series
	Text     json.RawMessage
	Warnings []string
}

// A Window is the time that a course is drawn over, and the distance of its
// points.
type Window struct {
	From, To time.Time
	Step     time.Duration
}

// Instant asks for the values of an expression at a time; now where it is zero.
func (c *Client) Instant(ctx context.Context, expr string, at time.Time) (Readings, error) {
	q := url.Values{"query": {expr}}
	if !at.IsZero() {
		q.Set("time", seconds(at))
	}
	return c.readings(ctx, "/prometheus/api/v1/query?"+q.Encode())
}

// Range asks for the course of an expression.
func (c *Client) Range(ctx context.Context, expr string, w Window) (Readings, error) {
	q := url.Values{"query": {expr}, "start": {seconds(w.From)}, "end": {seconds(w.To)}, "step": {seconds(time.UnixMilli(w.Step.Milliseconds()))}}
	return c.readings(ctx, "/prometheus/api/v1/query_range?"+q.Encode())
}

func (c *Client) readings(ctx context.Context, path string) (Readings, error) {
	var a promAnswer
	text, err := c.Fetch(ctx, path, &a)
	if err != nil {
		return Readings{}, err
	}
	all, err := a.series()
	return Readings{all, text, a.Warnings}, err
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// Owners answers how to name the resource of each series.
func (c *Client) Owners(ctx context.Context, all []Series) (func(Series) string, error) {
	byID := map[string]ops.Resource{}
	if slices.ContainsFunc(all, func(x Series) bool { return x.Metric["resource"] != "" || x.Metric["host"] != "" }) {
		var l struct{ Items []ops.Resource }
		if err := c.Get(ctx, "/api/v1/resources?all=true", &l); err != nil {
			return nil, err
		}
		for _, r := range l.Items {
			byID[r.ID] = r
			if r.Kind == ops.KindHost {
				byID[r.Key.Host] = r
			}
		}
	}
	return func(x Series) string {
		r, known := byID[x.Metric["resource"]]
		if !known {
			r = byID[x.Metric["host"]]
			return cmp.Or(x.Metric["resource"], r.Name, x.Metric["host"])
		}
		if r.Kind == ops.KindHost {
			return r.Name
		}
		return r.Name + "@" + r.HostName
	}, nil
}
