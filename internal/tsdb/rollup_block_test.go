package tsdb

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
)

// many appends one sample in the middle of each step in [from, to) to n
// series: the number of the series.
func many(t *testing.T, db *DB, n int, from, to time.Time) {
	t.Helper()
	refs := make([]Ref, n)
	for i := range refs {
		refs[i] = db.Ref("h", "r"+strconv.Itoa(i), "m", nil)
	}
	for at := from.Add(rollupStep / 2); at.Before(to); at = at.Add(rollupStep) {
		batch := make([]Sample, n)
		for i := range batch {
			batch[i] = Sample{Ref: refs[i], At: at, Value: float64(i)}
		}
		if err := db.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

// holds answers how many series of averages there are and how many samples
// the one with the most and the one with the fewest have.
func holds(t *testing.T, db *DB, at time.Time) (series, least, most int) {
	t.Helper()
	list, err := db.Query(t.Context(), fmt.Sprintf("count_over_time({__name__=%q}[1d])", "m"+avgPart), at)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		n := int(s.Points[0].Value)
		if i == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	return len(list), least, most
}

func TestRollupsOfManySeriesStayOutOfMemory(t *testing.T) {
	const n = rollupSeries/4 + 1000 // more than one block is made of
	dir := t.TempDir()
	whole := func(o *Options) { o.rollPartly = false }
	db := open(t, dir, whole)
	at := now().Truncate(rollupBlock)
	from := at.Add(-3*rollupBlock - 20*time.Minute)
	many(t, db, n, from, at.Add(-rollupBlock/4))
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What is older than an hour fills two blocks and the end of another.
	const whole2 = 2 * int(rollupBlock/rollupStep)
	want := [3]int{n, whole2 + 3, whole2 + 3}
	check := func(when string) {
		t.Helper()
		series, least, most := holds(t, db, at)
		if got := [3]int{series, least, most}; got != want {
			t.Errorf("%s: series, fewest and most samples %v, not %v", when, got, want)
		}
		if rolled := db.Stats().RolledUp; !rolled.Equal(at.Add(-rollupBlock - rollupStep)) {
			t.Errorf("%s: rolled up to %s before the end", when, at.Sub(rolled))
		}
	}
	check("at once")
	e := db.back.(*embedded)
	if n := e.rollup.Head().NumSeries(); n > 0 {
		t.Errorf("%d series are in memory", n)
	}
	blocks := len(e.rollup.Blocks())
	for _, b := range e.rollup.Blocks() {
		if m := b.Meta(); m.MinTime/rollupBlock.Milliseconds() != (m.MaxTime-1)/rollupBlock.Milliseconds() {
			t.Errorf("a block from %s to %s is merged with none", time.UnixMilli(m.MinTime), time.UnixMilli(m.MaxTime))
		}
	}
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(e.rollup.Blocks()); n != blocks || blocks < 6 {
		t.Errorf("%d blocks, %d after a pass with nothing to do", blocks, n)
	}
	if err := e.rollup.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(e.rollup.Blocks()); n > 3 {
		t.Errorf("%d blocks of three spans", n)
	}
	check("merged")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, whole)
	check("opened again")
}

func TestABadSeriesKeepsNoOtherFromBeingRolledUp(t *testing.T) {
	db := open(t, t.TempDir())
	at := now().Truncate(rollupStep).UnixMilli()
	e := db.back.(*embedded)
	w := blockWriter{e: e, ctx: t.Context(), from: at}
	for i, when := range []int64{at, at - 2*rollupBlock.Milliseconds(), at} {
		if err := w.put(labels.FromStrings(labels.MetricName, "m"+strconv.Itoa(i)), []int64{when}, func(int) float64 { return 1 }); err != nil {
			t.Fatal(err)
		}
		if err := w.commit(); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.head.NumSeries(); n < 2 {
		t.Errorf("%d series", n)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// TestRollupsOfEarlierVersionsStay: they kept roll-ups in the head.
func TestRollupsOfEarlierVersionsStay(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	at := midStep()
	from := at.Add(-9 * time.Hour)
	all := fill(t, db, db.Ref("h", "r", "m", nil), from, at, time.Minute, wave)
	until := at.Add(-5 * time.Hour).Truncate(rollupStep)
	app := db.back.(*embedded).rollup.Appender(t.Context())
	put := func(name string, at int64, v float64, more ...string) {
		if _, err := app.Append(0, labels.FromStrings(append(more, labels.MetricName, name)...), at, v); err != nil {
			t.Fatal(err)
		}
	}
	for part, values := range rollupsOf(all, until) {
		for end := from.Truncate(rollupStep); !end.After(until); end = end.Add(rollupStep) {
			if v, ok := values[end.UnixMilli()]; ok {
				put("m"+part, end.UnixMilli(), v, HostLabel, "h", ResourceLabel, "r")
			}
		}
	}
	put(rollupPoint, until.UnixMilli(), 1)
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := db.Stats().RolledUp; !got.Equal(until) {
		t.Fatalf("rolled up to %s, not %s", got, until)
	}
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "opened again"} {
		for part, want := range rollupsOf(all, at.Add(-outOfOrder)) {
			if d := cmp.Diff(want, stored(t, db, "m"+part, from.Add(-time.Hour), at), near); d != "" {
				t.Errorf("%s: %s: %s", when, part, d)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, dir)
	}
}
