package tsdb

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A history that is read again and again says the same as one that is read
// for the first time, whatever comes in which order.
func TestHistorySaysWhatIsThere(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		step := rapid.SampledFrom([]time.Duration{0, time.Minute, 7 * time.Second}).Draw(r, "step")
		span := rapid.SampledFrom([]time.Duration{time.Minute, 20 * time.Minute, 2 * time.Hour}).Draw(r, "span")
		n := rapid.IntRange(1, 25).Draw(r, "turns")
		synctest.Test(t, func(t *testing.T) {
			db := open(t, t.TempDir())
			refs := []Ref{
				db.Ref("h", "a", "m", nil),
				db.Ref("h", "a", "m", map[string]string{"mode": "user"}),
				db.Ref("h", "b", "n", nil),
				db.Ref("h", "b", "other", nil),
				db.Ref("another name of h", "b", "n", nil),
			}
			metrics := []string{"m", "n"}
			h := db.History(metrics, span, step)
			for i := range n {
				time.Sleep(time.Duration(rapid.SampledFrom([]int{1, 10, 300, 3000}).Draw(r, "rest")) * time.Second)
				for range rapid.IntRange(0, 3).Draw(r, "samples") {
					ago := time.Duration(rapid.SampledFrom([]int{-30, 0, 1, 25, 29, 31, 200, 1500, 3000}).Draw(r, "ago")) * time.Second
					ref := rapid.SampledFrom(refs).Draw(r, "series")
					if err := db.Append(t.Context(), []Sample{{Ref: ref, At: time.Now().Add(-ago), Value: float64(i)}}); err != nil {
						r.Fatal(err)
					}
				}
				if rapid.IntRange(0, 9).Draw(r, "forget") == 0 {
					db.cache.prune(time.Now().Add(-time.Minute).UnixMilli())
				}
				now := time.Now()
				want, err := recent(t.Context(), db, metrics, now.Add(-span), now, step)
				if err == nil {
					err = h.Renew(t.Context(), now)
				}
				if err != nil {
					r.Fatal(err)
				}
				if d := cmp.Diff(want, h.courses, cmp.AllowUnexported(Course{})); d != "" {
					r.Fatalf("turn %d (-fresh +kept): %s", i, d)
				}
				if len(h.kept) > len(refs) {
					r.Fatalf("%d courses are kept", len(h.kept))
				}
			}
		})
	})
}

// counting counts the samples that are read.
type counting struct {
	backend
	samples int
	broken  bool // after the first series
}

func (c *counting) scan(ctx context.Context, sel selection, yield func(found) error) error {
	c.samples = 0
	return c.backend.scan(ctx, sel, func(f found) error {
		c.samples += len(f.points)
		if err := yield(f); err != nil || !c.broken {
			return err
		}
		return errors.New("the rest cannot be read")
	})
}

// counted answers a store with one series and its history.
func counted(t *testing.T, span time.Duration) (db *DB, back *counting, ref Ref, h *History) {
	db = open(t, t.TempDir())
	back = &counting{backend: db.back}
	db.back = back
	return db, back, db.Ref("h", "a", "m", nil), db.History([]string{"m"}, span, 0)
}

func TestHistoryReadsOnlyWhatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, back, ref, h := counted(t, 6*time.Hour)
		var want []CoursePoint
		for i := range 400 {
			time.Sleep(time.Minute)
			at := time.Now()
			put(t, db, ref, at, float64(i))
			want = append(want, CoursePoint{at.UnixMilli(), float64(i)})
			if err := h.Renew(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			if back.samples > 3 { // of a minute before, and the new one
				t.Fatalf("turn %d read %d samples", i, back.samples)
			}
		}
		if d := cmp.Diff(want[len(want)-361:], h.Of("a")[0].Points); d != "" {
			t.Error(d)
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if err := h.Renew(stopped, time.Now()); err == nil || len(h.Of("a")) != 1 {
			t.Errorf("%d courses after a read that failed, %v", len(h.Of("a")), err)
		}
		put(t, db, ref, time.Now().Add(-30*time.Minute-time.Second), -1)
		if err := h.Renew(t.Context(), time.Now()); err != nil || back.samples != 32 {
			t.Errorf("after a late sample %d were read, %v", back.samples, err)
		}
	})
}

// A history that cannot be read for long does not grow, and after the database
// was opened anew it is read from the beginning.
func TestHistoryThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, back, ref, h := counted(t, 10*time.Minute)
		for i := range 60 {
			time.Sleep(time.Minute)
			put(t, db, ref, time.Now(), float64(i))
			back.broken = i > 20
			if err := h.Renew(t.Context(), time.Now()); (err != nil) != back.broken {
				t.Fatal(i, err)
			}
			if n := len(h.Of("a")); n != 1 {
				t.Fatalf("turn %d: %d courses", i, n)
			}
			if n := len(h.Of("a")[0].Points); n > 11 {
				t.Fatalf("turn %d: %d points", i, n)
			}
		}
		back.broken = false
		if err := h.Renew(t.Context(), time.Now()); err != nil || len(h.Of("a")[0].Points) != 11 {
			t.Fatal(len(h.Of("a")), err)
		}
		if err := back.backend.(*embedded).reopen(); err != nil {
			t.Fatal(err)
		}
		if err := h.Renew(t.Context(), time.Now()); err != nil || back.samples != 11 {
			t.Errorf("%d samples read after the database was opened anew, %v", back.samples, err)
		}
	})
}

// A clock that was set back, and what it says, do not hide a sample.
func TestHistoryWhenTheClockIsSetBack(t *testing.T) {
	db := open(t, t.TempDir())
	h := db.History([]string{"m"}, 2*time.Hour, 0)
	at := now()
	db.late.now = at.Add(time.Hour).UnixMilli() // as it was
	if err := h.Renew(t.Context(), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	put(t, db, db.Ref("h", "a", "m", nil), at, 1)
	if err := h.Renew(t.Context(), at.Add(time.Hour+time.Second)); err != nil || len(h.Of("a")) != 1 {
		t.Errorf("after the clock went on: %d courses, %v", len(h.Of("a")), err)
	}
	h = db.History([]string{"m"}, 2*time.Hour, 0)
	for _, ahead := range []time.Duration{time.Hour, time.Second} {
		if err := h.Renew(t.Context(), time.Now().Add(ahead)); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.Of("a")) != 1 || h.read.After(time.Now().Add(time.Minute)) {
		t.Errorf("after the clock was set back: %d courses up to %s", len(h.Of("a")), h.read)
	}
}

// How far back late samples went is the same as of one who looks at all.
func TestLateness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l lateness
		now := time.Now().UnixMilli()
		var all []int64
		for range rapid.IntRange(0, 3*maxLate).Draw(t, "n") {
			oldest := now - int64(rapid.IntRange(0, 20_000_000).Draw(t, "ago"))
			before := l.count
			if l.note(oldest); l.count > before {
				all = append(all, oldest)
			}
		}
		n := rapid.IntRange(0, len(all)).Draw(t, "since")
		count, oldest := l.since(int64(n))
		want := int64(math.MaxInt64)
		for _, one := range all[n:] {
			want = min(want, one)
		}
		if count != int64(len(all)) || oldest != want {
			t.Fatalf("%d back to %d, want %d back to %d", count, oldest, len(all), want)
		}
	})
	var l lateness
	for i := range int64(2 * maxLate) { // as a spool that is replayed
		l.note(i)
	}
	if _, oldest := l.since(0); oldest != math.MinInt64 {
		t.Errorf("since the beginning: %d", oldest)
	}
	if _, oldest := l.since(2*maxLate - 3); oldest != 2*maxLate-3 {
		t.Errorf("since the third last: %d", oldest)
	}
	if len(l.steps) > maxLate {
		t.Errorf("%d steps", len(l.steps))
	}
}
