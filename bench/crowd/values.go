package crowd

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// What the series of a host say is made so that a sample takes as much of a
// chunk as one of a real host does (bench -only samples compares both): about
// a third never moves, a few move now and then, and the rest is another
// number with all digits each time.

// A course is how a series begins and moves.
type course struct {
	first float64
	next  func(was float64) float64
}

// Next answers how a series of a metric moves from one value to the next.
func Next(metric string) func(was float64) float64 { return courseOf(metric).next }

func courseOf(metric string) course {
	ends := func(all ...string) bool {
		return slices.ContainsFunc(all, func(end string) bool { return strings.HasSuffix(metric, end) })
	}
	switch {
	case metric == "collector_up":
		return course{1, stays}
	case ends("_size_bytes", "_total_bytes"):
		return course{512 << 30, stays}
	case ends("_total", "_errors_per_s", "_drops_per_s", "_count"):
		return course{0, stays}
	case metric == "fs_available_bytes":
		return course{300 << 30, func(was float64) float64 { return nowAndThen(was, float64(rand.IntN(64)-32)*4096) }}
	case strings.HasPrefix(metric, "fs_"):
		return course{0.3, func(was float64) float64 { return nowAndThen(was, (rand.Float64()-0.5)/1e6) }}
	case metric == "container_memory_bytes":
		return course{400 << 20, func(float64) float64 { return float64(100_000+rand.IntN(10_000)) * 4096 }}
	}
	return course{0.3, func(float64) float64 { return 0.3 + rand.Float64()/10 }}
}

func stays(was float64) float64 { return was }

func nowAndThen(was, by float64) float64 {
	if rand.IntN(3) > 0 {
		return was
	}
	return was + by
}

// simulated answers the name of a series that no collector has.
func simulated(n int) string {
	if n%3 == 0 {
		return "simulated_" + strconv.Itoa(n) + "_count"
	}
	return "simulated_" + strconv.Itoa(n) + "_ratio"
}
