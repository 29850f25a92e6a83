package watch

import (
	"testing"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/tsdb"
)

// The series of one subject are in the room of the pass until the next one is
// judged; what an edge rests on stays.
func TestEvidenceOutlivesTheRoom(t *testing.T) {
	courses := map[string][]tsdb.Course{
		"a": {{Metric: "m", Points: []tsdb.CoursePoint{{At: 1000, Value: 1}, {At: 2000, Value: 2}}}, {Metric: "n", Points: []tsdb.CoursePoint{{At: 1000, Value: 3}}}},
		"b": {{Metric: "m", Points: []tsdb.CoursePoint{{At: 5000, Value: 7}, {At: 6000, Value: 8}, {At: 7000, Value: 9}}}},
	}
	def := detect.Definition{Name: "d", Metrics: []string{"m", "n"}, Window: 1}
	r := readings{byDef: map[string]window{"d": {courses: courses}}, room: &room{}}
	a := r.series(def, "a")
	if len(a) != 2 || len(a[0].Points) != 2 || a[0].Points[1].Value != 2 || a[1].Metric != "n" || a[1].Points[0].Value != 3 || a[1].Points[0].At.UnixMilli() != 1000 {
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
