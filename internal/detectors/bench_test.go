package detectors_test

import (
	"testing"
	"time"

	"reeve/internal/detect"
	"reeve/internal/detectors"
	"reeve/internal/ops"
)

// One pass over 10,000 file systems: the verdict and the timers.
func BenchmarkPassOver10000(b *testing.B) {
	d, _ := detectors.Get("fs_full")
	limits := map[string]float64{}
	for _, l := range d.Thresholds {
		limits[l.Name] = l.Default
	}
	point := []ops.Point{{At: begin, Value: 0.86}}
	s := detect.Subject{Now: begin, Limits: limits, Resource: ops.Resource{ID: "res_1", Kind: ops.KindFilesystem, Name: "/var", Observed: ops.Attrs{}},
		Series: []ops.Series{{Metric: "fs_used_ratio", Points: point}, {Metric: "fs_size_bytes", Points: point}, {Metric: "fs_available_bytes", Points: point}}}
	tracks := make([]detect.Track, 10000)
	at := begin
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Second)
		for i := range tracks {
			tracks[i], _ = tracks[i].Step(at, d, d.Eval(s))
		}
	}
}
