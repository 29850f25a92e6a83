package tool

import (
	"context"
	"time"

	"reeve/internal/ops"
)

// A Desk takes what a model reports and says back what became of it: what was
// recorded, what was struck and why. A func that is nil is not to be had, and
// the tool says so. Whoever makes a Desk checks everything: scope, condition,
// and every claim.
type Desk struct {
	Report   func(context.Context, Report) (string, error)
	Assess   func(context.Context, ops.Assessment) (string, error)
	Suggest  func(context.Context, ops.Note) (string, error)
	Conclude func(context.Context, Conclusion) (string, error)
	// Resolve answers the resource of an ID, or of a name that only one has,
	// within the scope. It refuses others and names them.
	Resolve func(ctx context.Context, ref string) (ops.Resource, error)
	// Now is the moment as of which everything is looked at, so that what a
	// tool shows is what a claim is checked against. Zero is the clock.
	Now time.Time
}

// A Report is a problem that a model says it found.
type Report struct {
	ResourceID string
	Condition  string // of the catalogue, or advisory
	Severity   ops.Severity
	Title      string
	Text       string
	Claims     []ops.Claim // about resources by ID
}

// The outcomes of an investigation as a model states them.
const (
	OutcomeExplained   = "explained"
	OutcomeFixProposed = "fix_proposed"
	OutcomeNeedsPerson = "needs_person"
	OutcomeNoCause     = "cannot_explain"
)

// A Conclusion is how a model ends an investigation.
type Conclusion struct {
	Outcome    string
	Summary    string
	Confidence string // low, medium, high
	Hypotheses []ops.Hypothesis
	Proposal   *ops.Proposal // of OutcomeFixProposed
	Next       []string      // what a person should look at
}
