package evidence

import (
	"context"
	"time"

	"reeve/internal/ops"
)

// A Source answers what is stored of a resource, for the checks of claims. An
// error of a func means that the claim cannot be proven now.
type Source struct {
	// Series answers the raw readings of one metric of one resource.
	Series func(ctx context.Context, resourceID, metric string, from, to time.Time) ([]ops.Series, error)
	// Resource answers a resource as it is now.
	Resource func(ctx context.Context, id string) (ops.Resource, error)
	// Texts answers what can be quoted of a resource: events, summaries of
	// findings, quotes of evidence, log lines that were shown in this run.
	Texts func(ctx context.Context, resourceID string) ([]Text, error)
	// Times answers when what happened to a resource.
	Times func(ctx context.Context, resourceID string) ([]Moment, error)
}

// A Text is words that can be quoted.
type Text struct {
	Text  string
	At    time.Time
	Where string // event log_error, finding fnd_..., log
}

// A Moment is when something happened: opened, changed, or an event's type.
type Moment struct {
	Name string
	At   time.Time
}

// A Result is what came of a check. Evidence holds what was found, ready to be
// stored: it has no IDs and no hash yet.
type Result struct {
	OK       bool
	Reason   string // why not
	Evidence ops.Evidence
}

// Check re-checks one claim against what is stored.
func Check(ctx context.Context, src Source, now time.Time, c ops.Claim) Result {
	return refuse("claims of kind %s cannot be checked", c.Kind)
}

// After reports whether a cause comes before its effect, give or take what
// clocks of hosts differ by.
func After(cause, effect Moment) (ok bool, reason string) {
	return true, ""
}
