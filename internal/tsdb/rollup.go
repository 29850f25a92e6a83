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
	promtsdb "github.com/prometheus/prometheus/tsdb"
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
	// rollupBatch is how many roll-ups are committed at once.
	rollupBatch = 20_000
	// rollupSeries is how many series of roll-ups one block is made of.
	rollupSeries = 16_000
	// rollupPoint is the series whose newest sample says up to when roll-ups
	// are complete. It is in the last block of a span, so after a crash the
	// span that was under way is done again; what of it is there already is
	// the same.
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
	spans, err := e.missingRollups(ctx, now)
	if err != nil || len(spans) == 0 {
		return err
	}
	for i, span := range spans {
		if err = e.rollSpan(ctx, span, i == len(spans)-1); err != nil {
			break
		}
	}
	return errors.Join(err, e.takeIn(spans))
}

// missingRollups answers the spans of roll-ups that are missing, each of a
// block. A block is made when all of it can be.
func (e *embedded) missingRollups(ctx context.Context, now time.Time) (spans []window, err error) {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.usable() != nil || e.writable() != nil {
		return nil, nil // Nothing to do until there is room; the state says why.
	}
	oldest := oldestOf(e.raw)
	if oldest == math.MaxInt64 {
		return nil, nil
	}
	rolled, _, err := e.rolledUpTo(ctx)
	if err != nil {
		return nil, err
	}
	step, block := rollupStep.Milliseconds(), rollupBlock.Milliseconds()
	// How late a sample may be counts from the newest one, so an estate that
	// fell silent may still send what is older than the wall clock allows.
	newest := min(now.UnixMilli(), newestOf(e.raw))
	target := floor(newest-outOfOrder.Milliseconds(), step)
	// What is older than raw samples are kept cannot be made any more.
	kept := now.Add(-e.db.opts.Retention).UnixMilli()
	for from := max(rolled, floor(max(oldest-1, kept), step)); from < target; {
		// A block has the roll-ups that end in it.
		to := floor(from+step, block) + block - step
		if to > target {
			if !e.db.opts.rollPartly {
				break
			}
			to = target
		}
		spans = append(spans, window{from + 1, to})
		from = to
	}
	return spans, nil
}

// rollSpan makes the roll-ups of a span. The last of several says how far they
// are complete, the others only when they hold any.
func (e *embedded) rollSpan(ctx context.Context, span window, last bool) error {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if err := e.writable(); err != nil {
		return err
	}
	w := rollupWriter{block: blockWriter{e: e, ctx: ctx, from: span.from - 1 + rollupStep.Milliseconds()}, steps: map[int64]*tally{}}
	// Everything has a name; the matcher is there because one is needed.
	all := []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, labels.MetricName, "")}
	err := each(ctx, e.raw, span, all, w.series)
	if err == nil && (last || w.any) {
		err = w.block.put(labels.FromStrings(labels.MetricName, rollupPoint), []int64{span.to}, func(int) float64 { return 1 })
	}
	if err == nil {
		err = w.block.write()
	} else {
		err = errors.Join(err, w.block.end())
	}
	return e.unwritten(err)
}

// unwritten explains why roll-ups could not be written.
func (e *embedded) unwritten(err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return e.failed(err)
	}
	return fmt.Errorf("write roll-ups: %w", err)
}

// takeIn lets the database see the blocks that were written for spans. What is
// in its head, where earlier versions kept roll-ups, becomes a block as well.
func (e *embedded) takeIn(spans []window) error {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if err := e.usable(); err != nil {
		return err
	}
	head := e.rollup.Head()
	from, to := min(spans[0].from, head.MinTime()), max(spans[len(spans)-1].to, head.MaxTime())
	return e.unwritten(e.rollup.CompactHead(promtsdb.NewRangeHead(head, from, to)))
}

// rollupWriter writes the roll-ups of a span series by series.
type rollupWriter struct {
	block blockWriter
	any   bool
	steps map[int64]*tally
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
	w.any = true
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
		if err := w.block.put(named, order, func(i int) float64 { return part.of(w.steps[order[i]]) }); err != nil {
			return err
		}
	}
	if w.block.full() {
		return w.block.write()
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
	// The point is one span behind the newest roll-up at most, unless a crash
	// came while the first span after a long silence was made.
	for _, from := range [...]int64{newest - 2*rollupBlock.Milliseconds(), oldestOf(e.rollup)} {
		err = each(ctx, e.rollup, window{from, newest}, []*labels.Matcher{m}, func(_ labels.Labels, it chunkenc.Iterator) error {
			for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
				at, _ := it.At()
				point, ok = max(point, at), true
			}
			return nil
		})
		if ok || err != nil {
			break
		}
	}
	return point, ok, err
}
