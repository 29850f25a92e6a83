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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"reeve/internal/brief"
	"reeve/internal/config"
	"reeve/internal/detect"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
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

// Knowledge is what is known beyond the estate itself.
type Knowledge struct {
	// Notes answers the notes that count for resources and for the estate.
	Notes func(ctx context.Context, resources []string) ([]ops.Note, error)
	// Before tells the last time that a condition was true of a resource and
	// what solved it; "" for never.
	Before func(ctx context.Context, condition, resourceID string) (string, error)
	// Suggest takes a note that a model suggests; a person decides on it.
	Suggest func(ctx context.Context, n ops.Note, model string) (ops.Note, error)
}

// Options are what New takes.
type Options struct {
	Log         *slog.Logger
	Store       *store.Store
	Metrics     *tsdb.DB
	Router      *llm.Router
	Tools       func(tool.Profile, tool.Desk) tool.Toolbox // of one run
	Definitions []detect.Definition
	// Hold answers for how long a condition must be true of a resource, with
	// the rules of the configuration; nil for what the definitions say.
	Hold      func(detect.Definition, ops.Resource) time.Duration
	Knowledge Knowledge
	Settings  Settings
	Modelling Modelling
	// ConfigDigest is of the configuration in effect: another one than at the
	// last start asks for a look.
	ConfigDigest string
	// Node names this server among several on one database, also after a
	// restart.
	Node string
}

// A Patrol accepts triggers and carries out runs, one at a time.
type Patrol struct {
	log       *slog.Logger
	store     *store.Store
	metrics   *tsdb.DB
	router    *llm.Router
	tools     func(tool.Profile, tool.Desk) tool.Toolbox
	know      Knowledge
	hold      func(detect.Definition, ops.Resource) time.Duration
	set       Settings
	modelling Modelling
	digest    string
	node      string
	started   time.Time
	byName    map[string]detect.Definition
	advice    map[string]brief.Advice

	work, follow, events, prune *loop.Loop

	// Of the following pass alone.
	compared bool // the configuration with that of the last start
	begun    bool // the look after the start was decided about
	placed   bool // the cursor stands

	nextAt atomic.Int64 // the next scheduled run, in ms; 0 before it is known

	mu      sync.Mutex
	current *current   // the run that goes on in this process, nil for none
	live    *broadcast // its events
}

// current is the run that goes on.
type current struct {
	run  ops.Run
	stop context.CancelCauseFunc
}

// New makes a Patrol. It refuses settings that mean nothing.
func New(o Options) (*Patrol, error) {
	if err := o.Settings.Check(); err != nil {
		return nil, err
	}
	p := &Patrol{log: o.Log, store: o.Store, metrics: o.Metrics, router: o.Router, tools: o.Tools, know: o.Knowledge, hold: o.Hold, set: o.Settings, modelling: o.Modelling,
		digest: o.ConfigDigest, node: o.Node, started: time.Now().UTC(), byName: map[string]detect.Definition{}, advice: map[string]brief.Advice{}}
	if p.hold == nil {
		p.hold = func(d detect.Definition, _ ops.Resource) time.Duration { return d.Hold }
	}
	for _, d := range o.Definitions {
		p.byName[d.Name] = d
		p.advice[d.Name] = brief.Advice{Title: d.Title, Role: int(d.Role), Causes: d.Causes, Checks: d.Checks, Future: d.Future}
	}
	p.work = &loop.Loop{Name: "patrol", Doc: "Does the patrol that is due.", Every: workEvery, Timeout: p.set.Timeout + time.Minute, Pass: p.Pass}
	p.follow = &loop.Loop{Name: "patrol_triggers", Doc: "Reads what happened and keeps the schedule: what asks for a patrol.", Every: followEvery,
		Timeout: time.Minute, Pass: p.Follow}
	p.events = &loop.Loop{Name: "patrol_events", Doc: "Stores what a patrol does while it goes on, for those who follow it.", Every: eventsEvery, Pass: p.flush}
	p.prune = &loop.Loop{Name: "patrol_prune", Doc: "Deletes patrols that are kept no longer.", Every: time.Hour, Pass: p.pruneOld}
	return p, nil
}

// The rhythm of the passes; each is woken before when there is something.
const (
	workEvery   = 5 * time.Second
	followEvery = 2 * time.Second
	eventsEvery = 10 * time.Second
)

// Loops answers the passes for the process to run.
func (p *Patrol) Loops() []*loop.Loop { return []*loop.Loop{p.work, p.follow, p.events, p.prune} }

// Wake asks for a look at what happened soon.
func (p *Patrol) Wake() { p.follow.Wake() }

const (
	leastEvery = 10 * time.Minute
	mostEvery  = 7 * 24 * time.Hour
)

// Check answers what of the settings means nothing.
func (s Settings) Check() error {
	switch {
	case s.Every != 0 && (s.Every < leastEvery || s.Every > mostEvery):
		return wrongField("every", "patrol.every is %v: set 10m to 7d, or 0 for no patrol by the clock", s.Every)
	case s.Spacing < 0:
		return wrongField("spacing", "patrol.spacing is below 0")
	case s.Pacing < 0:
		return wrongField("pacing", "patrol.pacing is below 0")
	case s.QuietRuns < 0:
		return wrongField("quiet_runs", "patrol.quiet_runs is below 0")
	case s.Timeout < 10*time.Second:
		return wrongField("timeout", "patrol.timeout is %v: set 10s or more", s.Timeout)
	case s.Keep < 24*time.Hour:
		return wrongField("keep", "patrol.keep is %v: set 1d or more", s.Keep)
	case !s.MinSeverity.Valid():
		return wrongField("min_severity", "patrol.min_severity is %q: set warning or critical", s.MinSeverity)
	}
	for _, e := range s.Events {
		if !slices.Contains(Events, e) {
			hint := ""
			if near := config.Nearest(string(e), names(Events)); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return wrongField("events", "patrol.events: there is no event %q%s; they are %s, or none", e, hint, strings.Join(names(Events), ", "))
		}
	}
	return nil
}

// Events are the events that may ask for a patrol.
var Events = []ops.TriggerKind{ops.TriggerOpened, ops.TriggerRose, ops.TriggerFlapping, ops.TriggerCleared, ops.TriggerAnomaly,
	ops.TriggerConfig, ops.TriggerInventory, ops.TriggerAction}

func names(kinds []ops.TriggerKind) []string {
	all := make([]string, len(kinds))
	for i, k := range kinds {
		all[i] = string(k)
	}
	return all
}

// pruneOld deletes runs that are kept no longer, some at a time.
func (p *Patrol) pruneOld(ctx context.Context) error {
	for more := true; more; {
		err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) (err error) {
			_, more, err = tx.PruneRuns(ctx, tx.Now().Add(-p.set.Keep))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
