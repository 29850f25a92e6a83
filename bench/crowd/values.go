package crowd

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// What the series of a host say is made so that a sample takes as much of a
// chunk as one of a real host does (bench -only samples compares both): about
// a third never moves, a few move now and then, and the rest is another
// number with all digits each time.

// Next answers what a series says after a value.
func Next(metric string, was float64) float64 { return movementOf(metric)(was) }

// first answers what a series says first.
func first(metric string) float64 {
	switch {
	case metric == "collector_up":
		return 1
	case strings.HasSuffix(metric, "_size_bytes"), strings.HasSuffix(metric, "_total_bytes"):
		return 512 << 30
	case strings.HasSuffix(metric, "_total"), strings.HasSuffix(metric, "_errors_per_s"), strings.HasSuffix(metric, "_drops_per_s"):
		return 0
	case metric == "fs_available_bytes":
		return 300 << 30
	}
	return 0.3
}

// movementOf answers how a series moves.
func movementOf(metric string) func(was float64) float64 {
	switch {
	case metric == "collector_up", strings.HasSuffix(metric, "_total"), strings.HasSuffix(metric, "_errors_per_s"), strings.HasSuffix(metric, "_drops_per_s"),
		strings.HasSuffix(metric, "_size_bytes"), strings.HasSuffix(metric, "_total_bytes"), strings.HasSuffix(metric, "_count"):
		return stays
	case metric == "fs_available_bytes":
		return func(was float64) float64 { return nowAndThen(was, float64(rand.IntN(64)-32)*4096) }
	case strings.HasPrefix(metric, "fs_"):
		return func(was float64) float64 { return nowAndThen(was, (rand.Float64()-0.5)/1e6) }
	case metric == "container_memory_bytes":
		return func(float64) float64 { return float64(100_000+rand.IntN(10_000)) * 4096 }
	}
	return func(float64) float64 { return 0.3 + rand.Float64()/10 }
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
