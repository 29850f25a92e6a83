package tsdb

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// A History is what some metrics were over a span of time that ends now, for
// those who look at it again and again: only what came since is read. It is
// for one goroutine at a time.
type History struct {
	db      *DB
	metrics []string
	span    time.Duration
	step    time.Duration

	read    time.Time // up to here; zero is not at all
	late    int64     // how many appends with late samples there were then
	courses map[string][]*Course
	kept    map[uint64]*keptCourse // by the hash of their labels
}

type keptCourse struct {
	Course
	labels labels.Labels
	next   *keptCourse // of the same hash
}

// History answers the history of the raw samples of metrics; nothing is read
// yet. Of each step only the newest sample counts; of zero all do.
func (db *DB) History(metrics []string, span, step time.Duration) *History {
	return &History{db: db, metrics: metrics, span: span, step: step, courses: map[string][]*Course{}, kept: map[uint64]*keptCourse{}}
}

// Of answers the courses of a resource by metric and labels, until Renew is
// called again.
func (h *History) Of(resource string) []*Course { return h.courses[resource] }

// Renew reads what is missing up to now, and everything when it is not known
// what that is. After an error, what is there stands.
func (h *History) Renew(ctx context.Context, now time.Time) error {
	if len(h.metrics) == 0 {
		return nil
	}
	now = now.Round(0) // Times of samples are those of the wall.
	late, back := h.db.late.since(h.late)
	oldest := now.Add(-h.span)
	sel := selection{metrics: h.metrics, from: oldest, to: now, step: h.step}
	next := h
	// Who writes to another store is not known.
	if theirs := h.db.opts.URL != ""; theirs || h.read.IsZero() || now.Before(h.read) || back == math.MinInt64 {
		next = h.db.History(h.metrics, h.span, h.step)
	} else {
		// Twice, because a sample may take a while to be written.
		back = max(min(back, h.read.Add(-2*lateAfter).UnixMilli()), oldest.UnixMilli())
		sel.from = time.UnixMilli(floor(back, max(h.step.Milliseconds(), 1)))
	}
	err := h.db.back.scan(ctx, sel, func(f found) error { next.take(f, sel.from.UnixMilli()); return nil })
	if err == nil {
		next.read, next.late = now, late
		*h = *next
	}
	h.forget(oldest.UnixMilli())
	return err
}

// take puts the points of a series from from on in place of those it has.
func (h *History) take(f found, from int64) {
	hash := f.labels.Hash()
	c := h.kept[hash]
	for c != nil && !labels.Equal(c.labels, f.labels) {
		c = c.next
	}
	if c == nil {
		c = h.begin(hash, f.labels)
	}
	n := c.before(from)
	if need := n + len(f.points); cap(c.Points) < need {
		// A little more than now: the next points come soon.
		c.Points = append(make([]CoursePoint, 0, need+need/8+1), c.Points[:n]...)
	}
	c.Points = append(c.Points[:n], f.points...)
}

// begin begins a course. What the cache knows of the series is not kept twice.
func (h *History) begin(hash uint64, ls labels.Labels) *keptCourse {
	c := &keptCourse{labels: ls, Course: Course{Metric: ls.Get(labels.MetricName), Labels: ownLabels(ls), host: ls.Get(HostLabel)}, next: h.kept[hash]}
	resource := ls.Get(ResourceLabel)
	if s := h.db.cache.known(c.host, resource, c.Metric, c.Labels); s != nil && labels.Equal(s.labels, ls) {
		c.labels, c.Metric, c.Labels, c.host, resource = s.labels, s.metric, s.own, s.host, s.resource
	}
	h.kept[hash] = c
	list := h.courses[resource]
	at, _ := slices.BinarySearchFunc(list, &c.Course, func(a, b *Course) int {
		return cmp.Or(compareSeries(a.Metric, a.Labels, b.Metric, b.Labels), strings.Compare(a.host, b.host))
	})
	h.courses[resource] = slices.Insert(list, at, &c.Course)
	return c
}

// forget forgets what is older than oldest.
func (h *History) forget(oldest int64) {
	n := 0
	for resource, list := range h.courses {
		if n++; n%yieldEvery == 0 {
			runtime.Gosched()
		}
		left := slices.DeleteFunc(list, func(c *Course) bool {
			if old := c.before(oldest); old > 0 {
				c.Points = append(c.Points[:0], c.Points[old:]...)
			}
			return len(c.Points) == 0
		})
		if len(left) == 0 {
			delete(h.courses, resource)
		} else {
			h.courses[resource] = left
		}
	}
	for hash, first := range h.kept {
		if left := first.lasting(); left == nil {
			delete(h.kept, hash)
		} else {
			h.kept[hash] = left
		}
	}
}

// lasting answers those of one hash that have points.
func (c *keptCourse) lasting() *keptCourse {
	if c == nil {
		return nil
	}
	c.next = c.next.lasting()
	if len(c.Points) == 0 {
		return c.next
	}
	return c
}
