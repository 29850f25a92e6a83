package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// rollupStep is the span of one roll-up. A roll-up carries the time at which
// its span ends and covers what lies after the end of the span before: it
// equals avg_over_time(metric[5m]) and its kin at that time.
const rollupStep = 5 * time.Minute

// The names of roll-ups are the metric's with one of these behind it.
const (
	avgPart   = ":avg_5m"
	minPart   = ":min_5m"
	maxPart   = ":max_5m"
	countPart = ":count_5m"
)

const (
	// rollupSpan is how much is read at once when much is missing.
	rollupSpan = time.Hour
	// rollupBatch is how many roll-ups are written at once.
	rollupBatch = 20_000
	// rollupPoint is the series whose newest sample says up to when roll-ups
	// are complete. It is written last, so after a crash the span that was
	// under way is done again; what of it is there already is refused as out
	// of order or is the same.
	rollupPoint = "reeve_rollup_complete"
)

// isRollup tells the names of roll-ups.
func isRollup(metric string) bool {
	for _, part := range [...]string{avgPart, minPart, maxPart, countPart} {
		if strings.HasSuffix(metric, part) {
			return true
		}
	}
	return metric == rollupPoint
}

// Rollup makes the roll-ups that are missing up to the time until which late
// samples are waited for. It goes on where it stopped, also after a crash.
func (db *DB) Rollup(ctx context.Context) error {
	e, ok := db.back.(*embedded)
	if !ok {
		return nil
	}
	return e.rollUp(ctx, time.Now())
}

func (e *embedded) rollUp(ctx context.Context, now time.Time) error {
	e.rollLock.Lock()
	defer e.rollLock.Unlock()
	for ctx.Err() == nil {
		done, err := e.rollSpan(ctx, now)
		if err != nil || done {
			return err
		}
	}
	return ctx.Err()
}

// rollSpan makes the next span of roll-ups; done says that it was the last.
func (e *embedded) rollSpan(ctx context.Context, now time.Time) (done bool, err error) {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.usable() != nil || e.writable() != nil {
		return true, nil // Nothing to do until there is room; the state says why.
	}
	oldest := oldestOf(e.raw)
	if oldest == math.MaxInt64 {
		return true, nil
	}
	rolled, _, err := e.rolledUpTo(ctx)
	if err != nil {
		return true, err
	}
	// How late a sample may be counts from the newest one, so an estate that
	// fell silent may still send what is older than the wall clock allows.
	newest := min(now.UnixMilli(), newestOf(e.raw))
	target := floor(newest-outOfOrder.Milliseconds(), rollupStep.Milliseconds())
	// What is older than raw samples are kept cannot be made any more.
	kept := now.Add(-e.db.opts.Retention).UnixMilli()
	from := max(rolled, floor(max(oldest-1, kept), rollupStep.Milliseconds()))
	to := min(from+rollupSpan.Milliseconds(), target)
	if from >= to {
		return true, nil
	}
	w := rollupWriter{e: e, ctx: ctx, steps: map[int64]*tally{}}
	if err := w.span(window{from + 1, to}); err != nil {
		return true, err
	}
	return to >= target, nil
}

// rollupWriter writes the roll-ups of a span series by series.
type rollupWriter struct {
	e     *embedded
	ctx   context.Context
	app   storage.Appender
	wrote int
	steps map[int64]*tally
}

func (w *rollupWriter) span(span window) error {
	w.app = w.e.rollup.Appender(w.ctx)
	// Everything has a name; the matcher is there because one is needed.
	all := []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, labels.MetricName, "")}
	err := each(w.ctx, w.e.raw, span, all, w.series)
	if err == nil {
		err = w.put(labels.FromStrings(labels.MetricName, rollupPoint), span.to, 1)
	}
	if err != nil {
		return w.failed(errors.Join(err, w.app.Rollback()))
	}
	if err := w.app.Commit(); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *rollupWriter) failed(err error) error {
	if isFull(err) {
		return w.e.failed(err)
	}
	return fmt.Errorf("write roll-ups: %w", err)
}

func (w *rollupWriter) series(ls labels.Labels, it chunkenc.Iterator) error {
	clear(w.steps)
	step := rollupStep.Milliseconds()
	var order []int64
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind != chunkenc.ValFloat {
			continue
		}
		at, v := it.At()
		if value.IsStaleNaN(v) {
			continue
		}
		end := ceil(at, step)
		t, ok := w.steps[end]
		if !ok {
			t = newTally()
			w.steps[end] = t
			order = append(order, end)
		}
		t.add(v)
	}
	if len(order) == 0 {
		return nil
	}
	return w.write(ls, order)
}

func (w *rollupWriter) write(ls labels.Labels, order []int64) error {
	metric := ls.Get(labels.MetricName)
	if isRollup(metric) {
		return nil // A roll-up that was written to us from elsewhere.
	}
	b := labels.NewBuilder(ls)
	parts := []struct {
		name string
		of   func(*tally) float64
	}{
		{avgPart, (*tally).avg},
		{minPart, func(t *tally) float64 { return t.min }},
		{maxPart, func(t *tally) float64 { return t.max }},
		{countPart, func(t *tally) float64 { return t.count }},
	}
	for _, part := range parts {
		named := b.Set(labels.MetricName, metric+part.name).Labels()
		for _, end := range order {
			if err := w.put(named, end, part.of(w.steps[end])); err != nil {
				return err
			}
		}
	}
	if w.wrote < rollupBatch {
		return nil
	}
	w.wrote = 0
	if err := w.app.Commit(); err != nil {
		return err
	}
	w.app = w.e.rollup.Appender(w.ctx)
	return nil
}

func (w *rollupWriter) put(ls labels.Labels, at int64, v float64) error {
	w.wrote++
	if _, err := w.app.Append(0, ls, at, v); err != nil && !unwelcome(err) {
		return err
	}
	return nil
}

// rolledUpTo answers up to when roll-ups are complete; the gate must be held.
func (e *embedded) rolledUpTo(ctx context.Context) (point int64, ok bool, err error) {
	newest := newestOf(e.rollup)
	if newest == math.MinInt64 {
		return 0, false, nil
	}
	m := labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, rollupPoint)
	// The point is never far behind the newest roll-up: one span at most.
	w := window{newest - 2*rollupSpan.Milliseconds(), newest}
	err = each(ctx, e.rollup, w, []*labels.Matcher{m}, func(_ labels.Labels, it chunkenc.Iterator) error {
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			at, _ := it.At()
			point, ok = max(point, at), true
		}
		return nil
	})
	return point, ok, err
}
