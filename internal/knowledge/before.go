package knowledge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// A Time is one earlier time that a problem was there, with what may have
// solved it.
type Time struct {
	FindingID  string    `json:"finding_id"`
	IncidentID string    `json:"incident_id,omitempty"`
	Episode    int64     `json:"episode"`
	Began      time.Time `json:"began_at"`
	Ended      time.Time `json:"ended_at"`
	By         string    `json:"by" doc:"How it ended: recover, remediate, obsolete, accept."`
	Said       []string  `json:"said,omitempty" doc:"What people said of it."`
	Changes    []string  `json:"changes,omitempty" doc:"What of the resource changed before it ended."`
}

// A Past is what is known of earlier times of a problem.
type Past struct {
	Times     []Time     `json:"times" doc:"The newest first, at most 10."`
	More      bool       `json:"more" doc:"There were more than those."`
	Solutions []ops.Note `json:"solutions,omitempty" doc:"What people wrote solves it: here first, then elsewhere."`
	Text      string     `json:"text" doc:"The same in a few sentences; empty when it never was before."`
}

const (
	maxTimes     = 10
	maxSolutions = 5
)

// Before answers what is known of earlier times of a condition on a resource:
// when, how each ended, what changed and was said until then, and what people
// wrote down as its solution.
func (k *Knowledge) Before(ctx context.Context, condition, resourceID string) (Past, error) {
	p := Past{Times: []Time{}}
	findings, more, err := k.store.Findings(ctx, store.FindingFilter{Resource: resourceID, Condition: condition, Limit: maxTimes})
	if err != nil {
		return p, err
	}
	p.More = more != nil
	for _, f := range findings {
		moves, err := k.store.Transitions(ctx, store.TransitionFilter{Object: "finding", ObjectID: f.ID, Newest: true, Limit: 300})
		if err != nil {
			return p, err
		}
		slices.Reverse(moves)
		p.Times = append(p.Times, times(f, moves)...)
	}
	slices.SortStableFunc(p.Times, func(a, b Time) int { return b.Began.Compare(a.Began) })
	if len(p.Times) > maxTimes {
		p.Times, p.More = p.Times[:maxTimes], true
	}
	if len(p.Times) > 0 {
		changes, err := k.store.Transitions(ctx, store.TransitionFilter{Object: "resource", ObjectID: resourceID, Newest: true, Limit: 300})
		if err != nil {
			return p, err
		}
		addChanges(p.Times, changes)
	}
	if p.Solutions, err = k.solutions(ctx, condition, resourceID); err != nil {
		return p, err
	}
	p.Text = tell(p, time.Now())
	return p, nil
}

// Times takes a finding's transitions, the oldest first, apart into the
// episodes that ended.
func times(f ops.Finding, moves []ops.Transition) []Time {
	var all []Time
	var now Time
	for _, m := range moves {
		switch ops.FindingEvent(m.Verb) {
		case "open", ops.FindingRegress:
			now = Time{FindingID: f.ID, IncidentID: f.IncidentID, Episode: int64(len(all)) + 1, Began: m.At}
			if m.Verb == "open" && f.FirstSeen.Before(m.At) {
				now.Began = f.FirstSeen
			}
		case ops.FindingRecover, ops.FindingRemediate, ops.FindingObsolete, ops.FindingAccept:
			if now.Began.IsZero() {
				continue // its beginning is beyond what was read
			}
			now.Ended, now.By = m.At, m.Verb
			now.Said = said(now.Said, m)
			all = append(all, now)
			now = Time{}
		case ops.FindingAcknowledge, "claim", "suppress":
			now.Said = said(now.Said, m)
		}
	}
	return all
}

// said adds what a person gave as reason.
func said(all []string, m ops.Transition) []string {
	if m.Reason == "" || !person(m.Actor) || len(all) >= 5 {
		return all
	}
	return append(all, fmt.Sprintf("%s: %s", m.Actor, redact.Line(m.Reason, 300)))
}

// person tells people and their tokens from workers.
func person(actor string) bool {
	return strings.HasPrefix(actor, "user:") || strings.HasPrefix(actor, "token:")
}

// solvedAfter is how long before the end of a problem a change may lie and
// still be named as what may have solved it.
const solvedAfter = 2 * time.Hour

// addChanges names, for each time, what changed between its beginning and its
// end, the last first.
func addChanges(times []Time, changes []ops.Transition) {
	for i := range times {
		t := &times[i]
		for _, c := range changes { // the newest first
			inside := !c.At.Before(t.Began) && !c.At.After(t.Ended) && t.Ended.Sub(c.At) <= solvedAfter
			if !inside || len(t.Changes) >= 5 || c.Verb == "appear" {
				continue
			}
			if len(c.Facts) == 0 || c.Verb != "change" {
				t.Changes = append(t.Changes, c.Verb)
				continue
			}
			for _, what := range slices.Sorted(maps.Keys(c.Facts)) {
				t.Changes = append(t.Changes, what+": "+redact.Line(c.Facts[what], 200))
			}
		}
		t.Changes = t.Changes[:min(len(t.Changes), 5)]
	}
}

// solutions answers active notes that say what solves a condition, of the
// resource first.
func (k *Knowledge) solutions(ctx context.Context, condition, resourceID string) ([]ops.Note, error) {
	all, _, err := k.store.Notes(ctx, store.NoteFilter{Conditions: []string{condition}, Kinds: []string{Solution}, States: []string{string(ops.NoteActive)}, Limit: 100})
	slices.SortStableFunc(all, func(a, b ops.Note) int { return rank(a, resourceID) - rank(b, resourceID) })
	return all[:min(len(all), maxSolutions)], err
}

// rank puts notes of the resource first, then those of the whole estate.
func rank(n ops.Note, resourceID string) int {
	switch n.ResourceID {
	case resourceID:
		return 0
	case "":
		return 1
	}
	return 2
}

// tell says a past in a few sentences.
func tell(p Past, now time.Time) string {
	var parts []string
	if n := len(p.Times); n > 0 {
		last := p.Times[0]
		often := "once before"
		if n > 1 {
			often = fmt.Sprintf("%d times before", n)
		}
		if p.More {
			often = fmt.Sprintf("more than %d times before", n)
		}
		text := fmt.Sprintf("It was so %s; the last time began %s ago and lasted %s", often, span(now.Sub(last.Began)), span(last.Ended.Sub(last.Began)))
		parts = append(parts, text+ending(last)+".")
		if len(last.Said) > 0 {
			parts = append(parts, "Then "+strings.Join(last.Said, "; ")+".")
		}
	}
	for _, s := range p.Solutions {
		where := ""
		if len(p.Times) > 0 && s.ResourceID == "" {
			where = " in general"
		}
		parts = append(parts, fmt.Sprintf("What solves it%s, as %s wrote: %s.", where, s.Author, strings.TrimSuffix(strings.ReplaceAll(s.Text, "\n", " "), ".")))
	}
	return strings.Join(parts, " ")
}

// ending says how a time ended, with what may have solved it.
func ending(t Time) string {
	how := map[string]string{string(ops.FindingRemediate): ": an action ended it", string(ops.FindingObsolete): ": the resource was removed",
		string(ops.FindingAccept): ": it was closed on a person's word"}[t.By]
	switch {
	case len(t.Changes) > 0:
		return how + "; before it ended this changed: " + strings.Join(t.Changes, "; ")
	case how == "":
		return "; nothing that Reeve sees of the resource changed before it ended"
	}
	return how
}

// span says a duration with at most two units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
