package knowledge

import (
	"context"
	"strconv"

	"reeve/internal/ops"
)

// A DismissalFilter chooses dismissals; zero fields choose all.
type DismissalFilter struct {
	Resource  string
	Condition string
	Before    int64 // sequence number of the last one of the page before
	Limit     int   // default 50
}

// lookedAt is how many decisions a page looks at: a filter that nearly none
// fits must not make one request read years.
const lookedAt = 4_000

// Dismissals answers, as notes with the ID of the decision, why people said
// that problems are none or are solved: suppressions of the kind accepted,
// claims and accepted resolutions, each with its reason. The newest first;
// next is where the next page begins, 0 at the end. A page may hold fewer than
// asked for though there are more.
func (k *Knowledge) Dismissals(ctx context.Context, f DismissalFilter) (all []ops.Note, next int64, err error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	all = []ops.Note{}
	for looked, before := 0, f.Before; looked < lookedAt; {
		page, err := k.store.Decisions(ctx, before, 1000)
		if err != nil || len(page) == 0 {
			return all, 0, err
		}
		for _, d := range page {
			before, next = d.Seq, d.Seq
			if !f.fits(d) {
				continue
			}
			if all = append(all, dismissalOf(d)); len(all) == limit {
				return all, next, nil
			}
		}
		looked += len(page)
	}
	return all, next, nil
}

func (f DismissalFilter) fits(d ops.Transition) bool {
	return (d.Verb != "suppress" || d.Facts["kind"] == string(ops.SuppressAccepted)) &&
		(f.Resource == "" || d.Facts["resource"] == f.Resource) && (f.Condition == "" || d.Facts["condition"] == f.Condition)
}

// DecisionPrefix begins the ID of a note that is read from a decision.
const DecisionPrefix = "decision_"

func dismissalOf(d ops.Transition) ops.Note {
	return ops.Note{ID: DecisionPrefix + strconv.FormatInt(d.Seq, 10), ResourceID: d.Facts["resource"], Condition: d.Facts["condition"],
		FindingID: d.ObjectID, Kind: Dismissal, Text: bounded(d.Reason), Author: d.Actor, State: ops.NoteActive, At: d.At, DecidedBy: d.Actor}
}
