package agent

import (
	"os"
	"reeve/internal/command"
	"runtime/debug"
	"time"
)

// ReadOnly says that this build cannot change anything.
const ReadOnly = command.ReadOnly

// memoryLimit is where the collector of garbage begins to work hard: an agent
// should be hardly there.
const memoryLimit = 24 << 20

// settled is when the start is over: what only it needed is given back.
const settled = 5 * time.Second

// SaveMemory tunes the collector of garbage for a small heap, unless the
// environment says otherwise.
func SaveMemory() {
	time.AfterFunc(settled, debug.FreeOSMemory)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
