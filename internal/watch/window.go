package watch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	readTimeout = 10 * time.Second
	silentFor   = 15 * time.Second
)

// A window is what one detector with history last read.
type window struct {
	at      time.Time
	courses map[string][]course
	events  map[string][]ops.Event
}

// A course is a series as a window keeps it until the next read: of a thousand
// hosts there are a million points, which take half of the room without what
// time.Time knows of clocks.
type course struct {
	metric string
	labels map[string]string
	points []point
}

type point struct {
	at    int64 // unix ms
	value float64
}

func coursesOf(all []ops.Series) []course {
	kept := make([]course, len(all))
	for i, s := range all {
		kept[i] = course{s.Metric, s.Labels, make([]point, len(s.Points))}
		for j, p := range s.Points {
			kept[i].points[j] = point{p.At.UnixMilli(), p.Value}
		}
	}
	return kept
}

func seriesOf(all []course) []ops.Series {
	if len(all) == 0 {
		return nil
	}
	series := make([]ops.Series, len(all))
	for i, c := range all {
		series[i] = ops.Series{Metric: c.metric, Labels: c.labels, Points: make([]ops.Point, len(c.points))}
		for j, p := range c.points {
			series[i].Points[j] = ops.Point{At: time.UnixMilli(p.at), Value: p.value}
		}
	}
	return series
}

// readings is what a pass knows of samples and events.
type readings struct {
	latest map[string][]ops.Series
	byDef  map[string]window
}

// rest answers how long a detector's history may stay unread: a detector
// that looks at hours need not read them every few seconds. Events are always
// looked at.
func rest(d detect.Definition) time.Duration {
	if len(d.Metrics) == 0 {
		return 0
	}
	return min(d.Window/60, 5*time.Minute)
}

// read reads what the detectors need: the newest readings from memory, and
// for those with a window its samples and events.
func (w *Watch) read(ctx context.Context, now time.Time) (readings, error) {
	r := readings{byDef: map[string]window{}}
	var metrics []string
	for _, d := range w.defs {
		if d.Window == 0 {
			metrics = append(metrics, d.Metrics...)
		}
	}
	var err error
	if r.latest, err = w.metrics.Latest(ctx, metrics, detect.Stale); err != nil {
		return r, fmt.Errorf("read newest samples: %w", err)
	}
	for _, d := range w.defs {
		if d.Window == 0 {
			continue
		}
		if r.byDef[d.Name], err = w.readWindow(ctx, d, now); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (w *Watch) readWindow(ctx context.Context, d detect.Definition, now time.Time) (window, error) {
	x := w.windows[d.Name]
	if x.at.IsZero() || now.Sub(x.at) >= rest(d) || now.Before(x.at) {
		if err := w.renew(ctx, d, now, &x); err != nil {
			return x, err
		}
	}
	if len(d.Events) > 0 {
		events, err := w.readEvents(ctx, d, now)
		if err != nil {
			return x, err
		}
		x.events = events
	}
	w.windows[d.Name] = x
	return x, nil
}

// renew reads the samples of a window. A metrics store that does not answer
// must not keep everything else from being judged: what was read last stands,
// and detectors see by its times when it is too old. It is not asked again for
// a while, because each question may take as long as it is given.
func (w *Watch) renew(ctx context.Context, d detect.Definition, now time.Time, x *window) error {
	if now.Before(w.silentUntil) || len(d.Metrics) == 0 {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	series, err := w.metrics.Recent(asking, d.Metrics, now.Add(-d.Window), now, d.Step)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("read samples of %s: %w", d.Name, ctx.Err())
	case err != nil:
		w.silentUntil = now.Add(silentFor)
		w.log.Warn("samples cannot be read; what was read last stands", "condition", d.Name, "err", err)
		return nil
	}
	x.at, x.courses = now, make(map[string][]course, len(series))
	for resource, of := range series {
		x.courses[resource] = coursesOf(of)
		delete(series, resource)
	}
	return nil
}

func (w *Watch) readEvents(ctx context.Context, d detect.Definition, now time.Time) (map[string][]ops.Event, error) {
	types := make([]string, len(d.Events))
	for i, t := range d.Events {
		types[i] = string(t)
	}
	all, err := w.store.EventsSince(ctx, types, now.Add(-d.Window))
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", d.Name, err)
	}
	return byResource(all), nil
}

func byResource(all []store.StoredEvent) map[string][]ops.Event {
	m := map[string][]ops.Event{}
	for _, e := range all {
		m[e.ResourceID] = append(m[e.ResourceID], e.Event)
	}
	return m
}

// series answers the series of a definition's metrics of one resource.
func (r readings) series(d detect.Definition, id string) []ops.Series {
	if d.Window > 0 {
		return seriesOf(r.byDef[d.Name].courses[id])
	}
	var mine []ops.Series
	for _, s := range r.latest[id] {
		if slices.Contains(d.Metrics, s.Metric) {
			mine = append(mine, s)
		}
	}
	return mine
}
