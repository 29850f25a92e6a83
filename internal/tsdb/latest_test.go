package tsdb

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestNewestReadingsOutliveTheDisk keeps detectors from going blind with the
// store: what cannot be kept is still the newest reading.
func TestNewestReadingsOutliveTheDisk(t *testing.T) {
	db := open(t, t.TempDir())
	at := now()
	ref := db.Ref("h", "res_1", "fs_used_ratio", nil)
	put(t, db, ref, at.Add(-time.Second), 0.5)
	if err := db.back.close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Append(t.Context(), []Sample{{Ref: ref, At: at, Value: 0.99}}); err == nil {
		t.Fatal("a closed store kept a sample")
	}
	all, err := db.Latest(t.Context(), []string{"fs_used_ratio"}, time.Minute)
	if err != nil || len(all["res_1"]) != 1 || all["res_1"][0].Points[0].Value != 0.99 {
		t.Fatalf("%+v %v", all, err)
	}
}

// What is read of a series that had a sample lately shares its labels, and of
// two whose labels differ each has its own.
func TestHistorySharesLabels(t *testing.T) {
	db := open(t, t.TempDir())
	at := now()
	own := map[string]string{"mode": "user"}
	user := db.Ref("h", "res_1", "cpu_mode_ratio", own)
	put(t, db, user, at.Add(-time.Second), 0.5)
	put(t, db, db.Ref("h", "res_1", "cpu_mode_ratio", map[string]string{"mode": "idle"}), at.Add(-time.Second), 0.25)
	put(t, db, db.Ref("h", "res_2", "cpu_mode_ratio", own), at.Add(-time.Second), 0.75)
	read := func() map[string][]*Course {
		t.Helper()
		got, err := recent(t.Context(), db, []string{"cpu_mode_ratio"}, at.Add(-time.Minute), at, 0)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := read()
	one := before["res_1"]
	if len(one) != 2 || one[0].Labels["mode"] != "idle" || one[0].Points[0].Value != 0.25 || one[1].Points[0].Value != 0.5 {
		t.Fatalf("%+v", one)
	}
	if reflect.ValueOf(one[1].Labels).Pointer() != reflect.ValueOf(own).Pointer() {
		t.Error("the labels were copied")
	}
	db.cache.prune(at.Add(time.Hour).UnixMilli())
	if after := read(); !reflect.DeepEqual(before, after) {
		t.Errorf("of series that the cache forgot: %+v, want %+v", after, before)
	}
}

// After a start, series of many resources share the labels that they have
// alike, and those that only look alike do not.
func TestWhatIsRecalledSharesLabels(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	at := now()
	alike := map[string]string{"mode": "user", "cpu": "0"}
	put(t, db, db.Ref("h1", "res_1", "m", alike), at, 1)
	put(t, db, db.Ref("h2", "res_2", "m", alike), at, 2)
	put(t, db, db.Ref("h3", "res_3", "m", map[string]string{"mode": `user"cpu`, "x": "0"}), at, 3)
	put(t, db, db.Ref("h3", "res_3", "n", nil), at, 4)
	before, err := db.Latest(t.Context(), []string{"m", "n"}, time.Minute)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	after, err := db.Latest(t.Context(), []string{"m", "n"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Error(d)
	}
	if reflect.ValueOf(after["res_1"][0].Labels).Pointer() != reflect.ValueOf(after["res_2"][0].Labels).Pointer() {
		t.Error("labels that are alike are kept twice")
	}
}
