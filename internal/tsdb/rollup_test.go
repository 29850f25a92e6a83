package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"reeve/internal/ops"
)

// reading is a sample of a generated series.
type reading struct {
	at time.Time
	v  float64
}

// rollupsOf computes the roll-ups of readings the slow and plain way.
func rollupsOf(all []reading, until time.Time) map[string]map[int64]float64 {
	spans := map[int64][]float64{}
	for _, r := range all {
		end := r.at.Truncate(rollupStep)
		if !end.Equal(r.at) {
			end = end.Add(rollupStep)
		}
		if !end.After(until) {
			spans[end.UnixMilli()] = append(spans[end.UnixMilli()], r.v)
		}
	}
	want := map[string]map[int64]float64{avgPart: {}, minPart: {}, maxPart: {}, countPart: {}}
	for end, vs := range spans {
		sum := 0.0
		for _, v := range vs {
			sum += v
		}
		want[avgPart][end] = sum / float64(len(vs))
		want[minPart][end] = slices.Min(vs)
		want[maxPart][end] = slices.Max(vs)
		want[countPart][end] = float64(len(vs))
	}
	return want
}

// stored reads every sample of a metric.
func stored(t interface{ Fatal(...any) }, db *DB, metric string, from, to time.Time) map[int64]float64 {
	list, err := db.Query(context.Background(), fmt.Sprintf("{__name__=%q}[%ds]", metric, int(to.Sub(from).Seconds())), to)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]float64{}
	for _, s := range list {
		for _, p := range s.Points {
			got[p.At.UnixMilli()] = p.Value
		}
	}
	return got
}

var near = cmp.Options{cmpopts.EquateApprox(1e-9, 1e-9), cmpopts.EquateNaNs(), cmp.AllowUnexported(Course{})}

func TestRollupsEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "db")
		if err != nil {
			rt.Fatal(err)
		}
		db, err := Open(t.Context(), slog.New(slog.DiscardHandler), Options{Dir: dir, BallastSize: 1 << 20, rollPartly: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer db.Close()
		end := time.Now().Truncate(rollupStep).Add(-30 * time.Minute)
		start := end.Add(-4 * time.Hour)
		n := rapid.IntRange(1, 3).Draw(rt, "series")
		truth := make([]map[int64]reading, n)
		for i := range truth {
			truth[i] = map[int64]reading{}
			at := start
			for at.Before(end) {
				step := rapid.SampledFrom([]int{10_000, 60_000, 299_999, 300_000, 1_300_000}).Draw(rt, "step")
				at = at.Add(time.Duration(step) * time.Millisecond)
				truth[i][at.UnixMilli()] = reading{at, rapid.Float64Range(-1e6, 1e6).Draw(rt, "value")}
			}
		}
		appendInOrder(rt, db, truth)
		// Whatever pass follows whatever other, the outcome is the same.
		passes := rapid.IntRange(1, 4).Draw(rt, "passes")
		for p := range passes {
			at := time.Now().Add(-time.Duration(passes-1-p) * 37 * time.Minute)
			if err := db.back.(*embedded).rollUp(t.Context(), at); err != nil {
				rt.Fatal(err)
			}
		}
		newest := time.UnixMilli(newestOf(db.back.(*embedded).raw))
		until := newest.Add(-outOfOrder).Truncate(rollupStep)
		for i := range truth {
			var all []reading
			for _, r := range truth[i] {
				all = append(all, r)
			}
			for part, want := range rollupsOf(all, until) {
				got := stored(rt, db, fmt.Sprintf("m%d%s", i, part), start.Add(-time.Hour), time.Now())
				if d := cmp.Diff(want, got, near); d != "" {
					rt.Fatalf("m%d%s: %s", i, part, d)
				}
			}
		}
	})
}

// appendInOrder appends the samples of all series as time brings them.
func appendInOrder(t interface{ Fatal(...any) }, db *DB, truth []map[int64]reading) {
	var batch []Sample
	for i, series := range truth {
		ref := db.Ref("h", "r", fmt.Sprintf("m%d", i), nil)
		for _, r := range series {
			batch = append(batch, Sample{Ref: ref, At: r.at, Value: r.v})
		}
	}
	slices.SortStableFunc(batch, func(a, b Sample) int { return a.At.Compare(b.At) })
	for chunk := range slices.Chunk(batch, 50) {
		if err := db.Append(context.Background(), chunk); err != nil {
			t.Fatal(err)
		}
	}
}

// fill appends a sample of f every step in [from, to).
func fill(t testing.TB, db *DB, ref Ref, from, to time.Time, step time.Duration, f func(time.Time) float64) (all []reading) {
	t.Helper()
	var batch []Sample
	for at := from; at.Before(to); at = at.Add(step) {
		all = append(all, reading{at, f(at)})
		batch = append(batch, Sample{Ref: ref, At: at, Value: f(at)})
	}
	if err := db.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Rejected > 0 {
		t.Fatalf("%d samples were rejected", s.Rejected)
	}
	return all
}

func wave(at time.Time) float64 { return math.Sin(float64(at.Unix()) / 3000) }

func TestRollupGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	at := midStep()
	from := at.Add(-10 * time.Hour)
	all := fill(t, db, db.Ref("h", "r", "m", nil), from, at, 15*time.Second, wave)
	if err := db.back.(*embedded).rollUp(t.Context(), at.Add(-5*time.Hour)); err != nil {
		t.Fatal(err)
	}
	first := db.Stats().RolledUp
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	if got := db.Stats().RolledUp; !got.Equal(first) || first.IsZero() {
		t.Fatalf("rolled up to %s before, %s after", first, got)
	}
	for range 2 {
		if err := db.Rollup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for part, want := range rollupsOf(all, at.Add(-outOfOrder)) {
		if d := cmp.Diff(want, stored(t, db, "m"+part, from.Add(-time.Hour), at), near); d != "" {
			t.Errorf("%s: %s", part, d)
		}
	}
}

// midStep answers a time just past in the middle of a step: the last sample of
// a grid lies up to its period before the time the grid was made for, and at
// the edge of a step that would be another step.
func midStep() time.Time { return now().Truncate(rollupStep).Add(-rollupStep / 2) }

// half makes the roll-ups of a span as far as they are when a crash comes
// before the last block.
func half(t *testing.T, e *embedded, span window) {
	t.Helper()
	w := rollupWriter{block: blockWriter{e: e, ctx: t.Context(), from: span.from}, steps: map[int64]*tally{}}
	ms, err := selection{metrics: []string{"m"}}.matchers()
	if err != nil {
		t.Fatal(err)
	}
	if err := each(t.Context(), e.raw, span, ms, w.series); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.block.write(), e.takeIn([]window{span})); err != nil {
		t.Fatal(err)
	}
}

// TestHalfARollupIsDoneAgain also after a silence, in which nothing says how
// far roll-ups are complete.
func TestHalfARollupIsDoneAgain(t *testing.T) {
	db := open(t, t.TempDir())
	at := midStep()
	from := at.Add(-16 * time.Hour)
	ref, e := db.Ref("h", "r", "m", nil), db.back.(*embedded)
	all := fill(t, db, ref, from, from.Add(6*time.Hour), 15*time.Second, wave)
	span := func(from time.Time) window {
		start := from.Truncate(rollupStep).UnixMilli()
		return window{start + 1, start + time.Hour.Milliseconds()}
	}
	half(t, e, span(from))
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := db.Stats().RolledUp
	later := at.Add(-3 * time.Hour)
	all = append(all, fill(t, db, ref, later, at, 15*time.Second, wave)...)
	half(t, e, span(later))
	if rolled := db.Stats().RolledUp; !rolled.Equal(before) || before.IsZero() {
		t.Errorf("rolled up to %s before the crash, %s after", before, rolled)
	}
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	for part, want := range rollupsOf(all, at.Add(-outOfOrder)) {
		if d := cmp.Diff(want, stored(t, db, "m"+part, from.Add(-time.Hour), at), near); d != "" {
			t.Errorf("%s: %s", part, d)
		}
	}
}

func TestRollupEqualsPromQL(t *testing.T) {
	db := open(t, t.TempDir())
	at := midStep()
	fill(t, db, db.Ref("h", "r", "m", nil), at.Add(-5*time.Hour), at, 13*time.Second, wave)
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	until := at.Add(-outOfOrder).Truncate(rollupStep)
	for part, function := range map[string]string{avgPart: "avg", minPart: "min", maxPart: "max", countPart: "count"} {
		differ := fmt.Sprintf("abs({__name__=%q} - on() %s_over_time(m[5m])) > 1e-9", "m"+part, function)
		got, err := db.Series(t.Context(), differ, until.Add(-3*time.Hour), until, rollupStep)
		if err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v", part, got, err)
		}
		n, err := db.Query(t.Context(), fmt.Sprintf("count_over_time({__name__=%q}[3h])", "m"+part), until)
		if err != nil || len(n) != 1 || n[0].Points[0].Value != 36 {
			t.Errorf("%s: %v roll-ups in three hours, %v", part, n, err)
		}
	}
}

func TestRangeReadsRollupsLikeRawSamples(t *testing.T) {
	db := open(t, t.TempDir())
	at := now().Truncate(time.Hour)
	from := at.Add(-9 * 24 * time.Hour)
	ref := db.Ref("h", "r", "m", map[string]string{"mode": "user"})
	all := fill(t, db, ref, from, at, time.Minute, wave)
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []BandQuery{
		{Selector: `m{resource="r"}`, From: at.Add(-6 * time.Hour), To: at, MaxPoints: 100},              // raw
		{Selector: `m{mode="user"}`, From: from.Add(-time.Minute), To: at, MaxPoints: 250},               // roll-ups, then raw
		{Selector: `m`, From: from.Add(24 * time.Hour), To: at.Add(-24 * time.Hour), MaxPoints: 500},     // raw, long steps
		{Selector: `{__name__="m",host="h"}`, From: at.Add(-8 * 24 * time.Hour), To: at, MaxPoints: 500}, // roll-ups
		{Selector: `m`, From: at.Add(-8 * 24 * time.Hour).Add(7 * time.Minute), To: at, MaxPoints: 9},    // whole days
	} {
		got, err := db.Range(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		// A roll-up belongs to the range when it ends in it; then what it
		// rolled up does, also from before.
		begin := q.From
		if q.step() >= rollupStep && q.To.Sub(q.From) > longRange {
			begin = ceilTime(q.From, rollupStep).Add(-rollupStep + time.Millisecond)
		}
		want := []Band{{Metric: "m", Labels: map[string]string{"host": "h", "resource": "r", "mode": "user"}, StepMS: q.step().Milliseconds(), Points: bandOf(all, begin, q.To, q.step())}}
		if d := cmp.Diff(want, got, near); d != "" {
			t.Errorf("%v: %s", q, d)
		}
	}
}

func ceilTime(t time.Time, step time.Duration) time.Time {
	return time.UnixMilli(ceil(t.UnixMilli(), step.Milliseconds()))
}

func bandOf(all []reading, from, to time.Time, step time.Duration) (points []BandPoint) {
	steps := map[int64][]float64{}
	for _, r := range all {
		if !r.at.Before(from) && !r.at.After(to) {
			end := ceilTime(r.at, step).UnixMilli()
			steps[end] = append(steps[end], r.v)
		}
	}
	for end, vs := range steps {
		sum := 0.0
		for _, v := range vs {
			sum += v
		}
		points = append(points, BandPoint{At: time.UnixMilli(end), Avg: sum / float64(len(vs)), Min: slices.Min(vs), Max: slices.Max(vs)})
	}
	slices.SortFunc(points, func(a, b BandPoint) int { return a.At.Compare(b.At) })
	return points
}

func TestRangeBeforeRawSamplesReadsRollups(t *testing.T) {
	dir := t.TempDir()
	// With so short a retention blocks stay of two hours: those of a longer one
	// are merged, by the time of day into one that outlasts the next opening.
	db := open(t, dir, func(o *Options) { o.Retention = 20 * time.Hour })
	at := midStep()
	from := at.Add(-14 * time.Hour)
	all := fill(t, db, db.Ref("h", "r", "m", nil), from, at, time.Minute, wave)
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := db.back.(*embedded)
	if err := e.raw.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// Opened with a shorter retention, the raw blocks go and roll-ups stay.
	db = open(t, dir, func(o *Options) { o.Retention = 5 * time.Hour })
	// Blocks are of two hours, the newest is up to three hours old, and
	// retention counts from it: ten hours may be left, whatever time it is.
	oldest := db.Stats().Oldest
	if oldest.Before(at.Add(-11 * time.Hour)) {
		t.Fatalf("raw samples from %s are still there", at.Sub(oldest))
	}
	got, err := db.Range(t.Context(), BandQuery{Selector: "m", From: from.Add(-time.Minute), To: at, MaxPoints: 200})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	want := bandOf(all, from, at, 5*time.Minute)
	if d := cmp.Diff(want, got[0].Points, near); d != "" {
		t.Error(d)
	}
}

func TestRangeRefusesTooMuch(t *testing.T) {
	db := open(t, t.TempDir())
	at := midStep()
	for i := range 5 {
		put(t, db, db.Ref("h", fmt.Sprint("r", i), "m", nil), at, 1)
	}
	for _, q := range []BandQuery{
		{Selector: "m", From: at.Add(-time.Hour), To: at, MaxSeries: 4},
		{Selector: `{host="h"}`, From: at.Add(-time.Hour), To: at},
		{Selector: `sum(m)`, From: at.Add(-time.Hour), To: at},
		{Selector: `m`, From: at, To: at},
	} {
		if got, err := db.Range(t.Context(), q); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%v: %v, %v", q, got, err)
		}
	}
}
