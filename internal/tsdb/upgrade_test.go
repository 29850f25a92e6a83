package tsdb

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	promtsdb "github.com/prometheus/prometheus/tsdb"
)

// Earlier versions wrote blocks of two hours, with as much in the head: all of
// it is read, and goes on in blocks of today's length.
func TestBlocksOfEarlierVersionsGoOn(t *testing.T) {
	dir := t.TempDir()
	o := promtsdb.DefaultOptions()
	o.MinBlockDuration = (2 * time.Hour).Milliseconds()
	o.MaxBlockDuration = (3 * 24 * time.Hour).Milliseconds()
	o.OutOfOrderTimeWindow = outOfOrder.Milliseconds()
	old, err := promtsdb.Open(filepath.Join(dir, "raw"), testLog(t), nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := now()
	from := at.Add(-9 * time.Hour)
	ls := labels.FromStrings(labels.MetricName, "m", HostLabel, "h", ResourceLabel, "r")
	for x := from; x.Before(at); x = x.Add(10 * time.Minute) {
		app := old.Appender(t.Context())
		for y := x; y.Before(x.Add(10*time.Minute)) && y.Before(at); y = y.Add(10 * time.Second) {
			if _, err := app.Append(0, ls, y.UnixMilli(), wave(y)); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := old.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(old.Blocks()) < 2 || old.Head().MinTime() > at.Add(-time.Hour).UnixMilli() {
		t.Fatalf("%d blocks and a head of %s: not what is to be read", len(old.Blocks()), at.Sub(time.UnixMilli(old.Head().MinTime())))
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	db := open(t, dir)
	raw := db.back.(*embedded).raw
	check := func(end time.Time) {
		t.Helper()
		got, err := recent(t.Context(), db, []string{"m"}, from, end.Add(-time.Millisecond), 0)
		if err != nil || len(got["r"]) != 1 {
			t.Fatal(got, err)
		}
		points := got["r"][0].Points
		if want := int(end.Sub(from) / (10 * time.Second)); len(points) != want {
			t.Fatalf("%d points, want %d", len(points), want)
		}
		for _, p := range points {
			if p.Value != wave(time.UnixMilli(p.At)) {
				t.Fatalf("at %d: %v", p.At, p.Value)
			}
		}
	}
	check(at)
	fill(t, db, db.Ref("h", "r", "m", nil), at, at.Add(9*time.Minute), 10*time.Second, wave)
	if err := raw.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(at.Add(9 * time.Minute))
	if head := at.Sub(time.UnixMilli(raw.Head().MinTime())); head > rawBlock*3/2 {
		t.Errorf("the head still goes back %s", head)
	}
}
