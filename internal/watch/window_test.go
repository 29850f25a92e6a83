package watch

import (
	"log/slog"
	"testing"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/tsdb"
)

// The series of one subject are in the room of the pass until the next one is
// judged; what an edge rests on stays.
func TestEvidenceOutlivesTheRoom(t *testing.T) {
	metrics, err := tsdb.Open(t.Context(), slog.New(slog.DiscardHandler), tsdb.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Close()
	now := time.Now().Truncate(time.Second)
	put := func(resource, metric string, values ...float64) {
		t.Helper()
		ref := metrics.Ref("h", resource, metric, nil)
		for i, v := range values {
			if err := metrics.Append(t.Context(), []tsdb.Sample{{Ref: ref, At: now.Add(time.Duration(i-9) * time.Second), Value: v}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("a", "m", 1, 2)
	put("a", "n", 3)
	put("b", "m", 7, 8, 9)
	def := detect.Definition{Name: "d", Metrics: []string{"m", "n"}, Window: 1}
	past := metrics.History(def.Metrics, time.Minute, 0)
	if err := past.Renew(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	r := readings{byDef: map[string]window{"d": {past: past}}, room: &room{}}
	a := r.series(def, "a")
	if len(a) != 2 || len(a[0].Points) != 2 || a[0].Points[1].Value != 2 || a[1].Metric != "n" || a[1].Points[0].Value != 3 || !a[1].Points[0].At.Equal(now.Add(-9*time.Second)) {
		t.Fatalf("%+v", a)
	}
	a[0].Points = append(a[0].Points, ops.Point{Value: 99}) // must not write over the next
	if a[1].Points[0].Value != 3 {
		t.Error("one series runs over into the next")
	}
	evidence := kept(a[1:])
	if b := r.series(def, "b"); len(b) != 1 || b[0].Points[2].Value != 9 {
		t.Fatalf("%+v", b)
	}
	if evidence[0].Metric != "n" || evidence[0].Points[0].Value != 3 {
		t.Errorf("the evidence became %+v", evidence)
	}
	if none := r.series(def, "c"); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}
