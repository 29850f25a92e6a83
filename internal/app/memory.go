package app

import (
	"runtime/debug"
	"time"
)

const (
	// gcPercent is how much the heap grows between two collections. What the
	// process keeps is small and lives long, so that collecting twice as often
	// as usual costs little time and saves half of what would lie about.
	gcPercent = 50
	// settled is when the start is over: what only it needed is given back.
	settled = 5 * time.Second
)

// SaveMemory sets the collector of the whole process for a server that sits
// beside what it watches. Call it first in main.
func SaveMemory() {
	debug.SetGCPercent(gcPercent)
	time.AfterFunc(settled, debug.FreeOSMemory)
}
