package agent

import (
	"os"
	"runtime"
	"runtime/debug"

	"reeve/internal/command"
	"reeve/internal/resident"
)

// ReadOnly says that this build cannot change anything.
const ReadOnly = command.ReadOnly

// memoryLimit is where the collector of garbage begins to work hard: an agent
// should be hardly there.
const memoryLimit = 24 << 20

// SaveResources tunes the runtime for a process that should be hardly there,
// unless the environment says otherwise: a small heap, and Go code on one
// thread at a time, since what the agent does is many small things, and to
// wake a second thread for one costs more than the thing.
func SaveResources() {
	resident.AfterStart()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
