package tsdb

import (
	"testing"
	"time"
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
