package tsdb

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func quoteMeta(text string) string { return regexp.QuoteMeta(text) }

// scan implements backend.
func (e *embedded) scan(ctx context.Context, sel selection, yield func(found) error) error {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if err := e.usable(); err != nil {
		return err
	}
	m, err := sel.named()
	if err != nil {
		return err
	}
	// To match a label that nearly every series has costs more than to look.
	ms := []*labels.Matcher{m}
	if m == nil {
		ms[0] = ofResources
	}
	var points []CoursePoint
	return each(ctx, e.raw, window{sel.from.UnixMilli(), sel.to.UnixMilli()}, ms, func(ls labels.Labels, it chunkenc.Iterator) error {
		if ls.Get(ResourceLabel) == "" {
			return nil
		}
		points = points[:0]
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			if kind != chunkenc.ValFloat {
				continue
			}
			at, v := it.At()
			if !value.IsStaleNaN(v) {
				points = sel.add(points, CoursePoint{at, v})
			}
		}
		if len(points) == 0 {
			return nil
		}
		return yield(found{labels: ls, points: points})
	})
}

// window is a span of time in milliseconds, both ends included.
type window struct{ from, to int64 }

const (
	// yieldEvery is after how many series others get the core.
	yieldEvery = 32
	// manySeries is after how many series what was read is let go of.
	manySeries = 4096
)

// each reads one series of a database after the other; the gate must be held.
func each(ctx context.Context, one *promtsdb.DB, w window, ms []*labels.Matcher, read func(labels.Labels, chunkenc.Iterator) error) (err error) {
	held := heldBlocks{one: one, span: w, before: one.Blocks()}
	q, err := one.Querier(w.from, w.to)
	if err != nil {
		return fmt.Errorf("read the metrics store: %w", err)
	}
	defer q.Close()
	hints := &storage.SelectHints{Start: w.from, End: w.to}
	set := q.Select(ctx, false, hints, ms...)
	var it chunkenc.Iterator
	for n := 1; set.Next(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n%yieldEvery == 0 {
			runtime.Gosched()
		}
		if n%manySeries == 0 {
			held.release()
		}
		s := set.At()
		it = s.Iterator(it)
		if err := read(s.Labels(), it); err != nil {
			return err
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("read a series of the metrics store: %w", err)
		}
	}
	if err := set.Err(); err != nil {
		return fmt.Errorf("read the metrics store: %w", err)
	}
	return nil
}

// recallWindow is how far back readings count as newest after a start.
const recallWindow = 10 * time.Minute

// recall fills the cache from the database, so that a restart does not make
// the estate look unknown.
func (e *embedded) recall(ctx context.Context, now time.Time) error {
	sel := selection{from: now.Add(-recallWindow), to: now.Add(e.db.opts.ahead)}
	alike := alikeLabels{}
	return e.scan(ctx, sel, func(f found) error {
		last := f.points[len(f.points)-1]
		own := alike.of(f.labels)
		// The labels are the database's own: nothing is kept twice.
		ref := e.db.ref(f.labels.Get(HostLabel), f.labels.Get(ResourceLabel), f.labels.Get(labels.MetricName), own, func() labels.Labels { return f.labels })
		e.db.cache.note([]Sample{{Ref: ref, At: time.UnixMilli(last.At), Value: last.Value}})
		return nil
	})
}

// alikeLabels shares the labels that series of many hosts have alike.
type alikeLabels map[string]map[string]string

// of answers what distinguishes a series among those of its resource.
func (a alikeLabels) of(ls labels.Labels) map[string]string {
	var key []byte
	eachOwn(ls, func(l labels.Label) {
		key = strconv.AppendQuote(strconv.AppendQuote(key, l.Name), l.Value)
	})
	own, ok := a[string(key)]
	if !ok {
		own = ownLabels(ls)
		a[string(key)] = own
	}
	return own
}
