package collectors

import (
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// BenchmarkHostPass runs every collector that only reads /proc, /sys and
// small files once on this machine. At one pass in 10 s, 1 % of a core is
// 100 ms a pass.
func BenchmarkHostPass(b *testing.B) {
	var open []collect.Collector
	for _, name := range linuxCollectors {
		d, _ := Get(name)
		open = append(open, d.Open(liveEnv()))
	}
	benchmark(b, open)
}

// BenchmarkCollector tells what each of them costs.
func BenchmarkCollector(b *testing.B) {
	for _, name := range linuxCollectors {
		d, _ := Get(name)
		b.Run(name, func(b *testing.B) { benchmark(b, []collect.Collector{d.Open(liveEnv())}) })
	}
}

func benchmark(b *testing.B, open []collect.Collector) {
	b.ReportAllocs()
	now := time.Now()
	for b.Loop() {
		now = now.Add(10 * time.Second)
		var obs ops.Observation
		batch := collect.NewBatch(ops.HostIdentity{Key: "k", Name: "box"}, now, &obs)
		for _, c := range open {
			if err := c.Collect(b.Context(), batch); err != nil && err != collect.ErrAbsent {
				b.Fatal(err)
			}
		}
	}
}
