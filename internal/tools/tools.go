// Package tools is the catalogue of what a model may look at and report, one
// file each. All of them only look, but those that hand something to the
// Desk. None changes a host.
package tools

import (
	"context"
	"time"

	"reeve/internal/catalog"
	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/tsdb"
)

var all = catalog.New("tool", func(d tool.Definition[Env]) string { return d.Name })

// All answers every tool of this build, sorted by name.
func All() []tool.Definition[Env] { return all.All() }

// Env is all that a tool may touch.
type Env struct {
	Now     func() time.Time
	Store   *store.Store
	Metrics *tsdb.DB
	Desk    tool.Desk
	// Logs answers live lines of a unit or a container. ErrNoLogs says that
	// they are out of reach from here; nil means that they always are.
	Logs        func(context.Context, ops.Resource, LogQuery) ([]LogLine, error)
	Definitions []detect.Definition
	// Withheld chooses resources that no model is shown; nil withholds none.
	Withheld func(ops.Resource) bool
	// WithheldFields of what is told of a resource: labels, attributes, logs,
	// processes, notes.
	WithheldFields map[string]bool
}

// A LogQuery asks for the last lines of a log.
type LogQuery struct {
	Since    time.Time
	Contains string // case is ignored; "" for all
	Lines    int    // at most
}

// A LogLine is one line of a log, redacted.
type LogLine struct {
	At   time.Time
	Text string
}
