// Package patrol looks the estate over: on a schedule, when something
// happened, and when a person asks. Whatever asks is a trigger, and a trigger
// is a row that names its run before anything else happens, so that every
// accepted one ends in a recorded outcome: done, merged, refused, failed,
// interrupted or cancelled.
//
// Read queue.go for how triggers become runs and which run goes next (pure),
// triggers.go for what asks, scope.go for what a run looks at, stages.go for
// what it does, stream.go for how it is followed while it goes on. The stages
// of a model are in model.go; without a model the same run ends with the same
// findings, ranked and explained by package brief.
package patrol

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"reeve/internal/detect"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

// actor is who the transitions of patrols are from.
const actor = "patrol"

// Settings say when the estate is looked over; see package config.
type Settings struct {
	Every       time.Duration // 0 for never by itself
	Startup     bool
	Events      []ops.TriggerKind // which events ask for a look
	MinSeverity ops.Severity
	Spacing     time.Duration
	Pacing      time.Duration
	QuietRuns   int
	Timeout     time.Duration
	Keep        time.Duration
}

// Options are what New takes.
type Options struct {
	Log         *slog.Logger
	Store       *store.Store
	Metrics     *tsdb.DB
	Definitions []detect.Definition
	Settings    Settings
	// ConfigDigest is of the configuration in effect: another one than at the
	// last start asks for a look.
	ConfigDigest string
	// Node names this server among several on one database.
	Node string
}

// A Patrol accepts triggers and carries out runs, one at a time.
type Patrol struct {
	log     *slog.Logger
	store   *store.Store
	metrics *tsdb.DB
	defs    []detect.Definition
	set     Settings
	digest  string
	node    string
	started time.Time

	work    *loop.Loop
	follow  *loop.Loop
	mu      sync.Mutex
	current *current // the run that goes on in this process, nil for none
}

// current is the run that goes on.
type current struct {
	run  ops.Run
	stop context.CancelCauseFunc
}
