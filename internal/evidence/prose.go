package evidence

import (
	"fmt"
	"time"

	"reeve/internal/ops"
)

// Known is what free text may say because something backs it.
type Known struct {
	Numbers   []Number
	Texts     []string // may be quoted, in whole or in part
	Times     []time.Time
	Durations []time.Duration
	Names     []string // of resources, metrics, conditions, attributes: no facts even with digits in them
}

// A Number is a value with what it is counted in: ratio, percent, bytes,
// seconds, celsius, count, "" when it has none.
type Number struct {
	Value float64
	Unit  string
}

// KnownResource answers what is known of a resource: its names, IDs, labels
// and attributes.
func KnownResource(r ops.Resource) Known { return Known{Names: []string{r.ID, r.Name, r.HostName}} }

// KnownFinding answers what a finding says itself.
func KnownFinding(f ops.Finding, now time.Time) Known { return Known{Texts: []string{f.Summary}} }

// KnownClaim answers what an accepted claim and what was found for it say.
func KnownClaim(c ops.Claim, found ops.Evidence) Known { return Known{Texts: []string{c.Text}} }

// KnownText answers what a text that was shown says: its words, and the
// numbers and times in them.
func KnownText(text string) Known { return Known{Texts: []string{text}} }

// Prose takes out of free text every sentence that holds a number, a quote, a
// time, or the ID of something that nothing backs, and answers the rest with
// what was taken out and why.
func Prose(text string, facts []Known) (clean string, struck []string) {
	return "", []string{text}
}

func refuse(format string, args ...any) Result { return Result{Reason: fmt.Sprintf(format, args...)} }
