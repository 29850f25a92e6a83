package app

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"reeve/internal/resident"
)

const (
	// A heap grows by a half between two collections: what the process keeps
	// is small and lives long, so that collecting twice as often as usual costs
	// little time and saves half of what would lie about.
	growPercent = 50
	// A large one grows by growBytes, and by a quarter at least: with a
	// thousand agents a half of it is 300 MB that nobody uses.
	growBytes        = 128 << 20
	leastGrowPercent = 25
	// followEvery is how often the size of the heap is looked at.
	followEvery = 10 * time.Second
)

// SaveMemory sets the collector of the whole process for a server that sits
// beside what it watches. Call it first in main.
func SaveMemory() {
	debug.SetGCPercent(growPercent)
	resident.AfterStart()
	go followHeap() // ends with the process
}

func followHeap() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := growPercent
	for range time.Tick(followEvery) {
		metrics.Read(live)
		if p := growth(live[0].Value.Uint64()); p != set {
			debug.SetGCPercent(p)
			set = p
		}
	}
}

// growth answers by how many percent a heap of so many live bytes grows until
// it is collected.
func growth(live uint64) int {
	return int(min(growPercent, max(leastGrowPercent, 100*growBytes/max(live, 1))))
}
