package watch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

const (
	readTimeout = 10 * time.Second
	silentFor   = 15 * time.Second
)

// A window is what one detector with history last read.
type window struct {
	at     time.Time
	past   *tsdb.History
	events map[string][]ops.Event
}

// readings is what a pass knows of samples and events.
type readings struct {
	latest map[string][]ops.Series
	byDef  map[string]window
	room   *room
}

// room is where the series of one subject are while it is judged.
type room struct {
	series []ops.Series
	points []ops.Point
}

// fill answers courses as series, until it is filled again.
func (r *room) fill(courses []*tsdb.Course) []ops.Series {
	r.series, r.points = r.series[:0], r.points[:0]
	n := 0
	for _, c := range courses {
		n += len(c.Points)
	}
	r.points = slices.Grow(r.points, n) // so that it does not move below
	for _, c := range courses {
		from := len(r.points)
		r.points = c.AppendTo(r.points)
		r.series = append(r.series, ops.Series{Metric: c.Metric, Labels: c.Labels, Points: slices.Clip(r.points[from:])})
	}
	return r.series
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
	r := readings{byDef: map[string]window{}, room: &room{}}
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
	x, ok := w.windows[d.Name]
	if !ok {
		x.past = w.metrics.History(d.Metrics, d.Window, d.Step)
	}
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
	err := x.past.Renew(asking, now)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("read samples of %s: %w", d.Name, ctx.Err())
	case err != nil:
		w.silentUntil = now.Add(silentFor)
		w.log.Warn("samples cannot be read; what was read last stands", "condition", d.Name, "err", err)
		return nil
	}
	x.at = now
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

// series answers the series of a definition's metrics of one resource, until
// the next are asked for.
func (r readings) series(d detect.Definition, id string) []ops.Series {
	if d.Window > 0 {
		return r.room.fill(r.byDef[d.Name].past.Of(id))
	}
	r.room.series = r.room.series[:0]
	for _, s := range r.latest[id] {
		if slices.Contains(d.Metrics, s.Metric) {
			r.room.series = append(r.room.series, s)
		}
	}
	return r.room.series
}
