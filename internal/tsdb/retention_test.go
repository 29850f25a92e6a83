package tsdb

import (
	"slices"
	"testing"
	"time"
)

func TestWhatIsOlderThanRetentionGoes(t *testing.T) {
	db := open(t, t.TempDir(), func(o *Options) {
		o.Retention = 12 * time.Hour
		o.blockReload = time.Second
	})
	at := now()
	fill(t, db, db.Ref("h", "r", "m", nil), at.Add(-48*time.Hour), at, time.Minute, wave)
	if err := db.Rollup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.back.(*embedded).raw.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "old blocks are gone", func() bool {
		return db.Stats().Oldest.After(at.Add(-12*time.Hour - 2*rawBlock - time.Hour))
	})
	got, err := recent(t.Context(), db, []string{"m"}, at.Add(-10*time.Hour), at, 0)
	if err != nil || len(got["r"]) != 1 || len(got["r"][0].Points) != 600 {
		t.Errorf("%d series, %v", len(got["r"]), err)
	}
	if db.Stats().RolledUp.Before(at.Add(-outOfOrder - 2*rollupStep)) {
		t.Errorf("stats: %+v", db.Stats())
	}
}

func TestTheStoreStaysBelowItsSize(t *testing.T) {
	const limit = 6 << 20
	db := open(t, t.TempDir(), func(o *Options) {
		o.MaxSize = limit
		o.blockReload = time.Second
	})
	at := now()
	noise := uint64(1)
	for day := range 6 {
		var batch []Sample
		for s := range 10 {
			ref := db.Ref("h", string(rune('a'+s)), "m", nil)
			for i := range 24 * 60 * 6 {
				noise = noise*6364136223846793005 + 1442695040888963407
				when := at.Add(time.Duration(day-6)*24*time.Hour + time.Duration(i)*10*time.Second)
				batch = append(batch, Sample{Ref: ref, At: when, Value: float64(noise)})
			}
		}
		slices.SortStableFunc(batch, func(a, b Sample) int { return a.At.Compare(b.At) })
		if err := db.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := db.back.(*embedded).raw.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the store is small enough", func() bool {
		if err := db.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := db.Stats()
		return s.Bytes <= limit && !s.Degraded
	})
	if oldest := db.Stats().Oldest; oldest.Before(at.Add(-5*24*time.Hour)) || oldest.After(at.Add(-3*time.Hour)) {
		t.Errorf("the oldest sample is of %s before", at.Sub(oldest))
	}
}
