// Package show is what the things of the estate look like on a terminal: a
// function for each prints one, and one prints a list of them. It asks nothing
// and decides nothing; a type that ends with Answer or Row is what is read of
// the API's own JSON.
package show

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// A FindingAnswer is one finding with all that is known of it.
type FindingAnswer struct {
	ops.Finding
	Resource    *ops.Resource    `json:"resource"`
	Evidence    []ops.Evidence   `json:"evidence"`
	Transitions []ops.Transition `json:"transitions"`
	History     []ops.Finding    `json:"history"`
	Deliveries  []ops.Delivery   `json:"deliveries"`
}

// nameOf answers how a resource is called. Of one that nobody knows any more
// there is only the ID.
func nameOf(id string, r ops.Resource) string {
	if r.ID == "" || r.Presence == ops.Removed {
		return "(removed) " + cmp.Or(r.Name, id)
	}
	return cmp.Or(r.Name, id)
}

// narrowPage is the width below which a summary has no room beside the rest.
const narrowPage = 110

// Findings lists findings with the resources that they are on, by ID.
func Findings(p *term.Page, all []ops.Finding, names map[string]ops.Resource, now time.Time) {
	short := term.Shortened(all, func(f ops.Finding) string { return f.ID })
	heads := []string{"!ID", "!SEVERITY", "STATE", "HOST", "RESOURCE", ">SINCE", "SUMMARY"}
	narrow := p.Narrower(narrowPage)
	if narrow { // There the summary stands below.
		heads = heads[:6]
	}
	t := p.Table(heads...)
	for _, f := range all {
		r := names[f.ResourceID]
		t.Add(term.Of(short[f.ID]), term.Painted(string(f.Severity), term.SeverityStyle(f.Severity)), term.Of(FindingState(f, now)), term.Of(r.HostName),
			term.Of(nameOf(f.ResourceID, r)), term.Of(term.Age(now, f.FirstSeen)), term.Of(f.Summary))
		if narrow {
			t.Note(f.Summary)
		}
	}
	t.Print()
}

// FindingState says the state with what changes its meaning.
func FindingState(f ops.Finding, now time.Time) string {
	text := string(f.State)
	if f.Suppression.Active(now, f.Severity) {
		text += ", suppressed"
	}
	if f.Flapping {
		text += ", flapping"
	}
	return text
}

// Finding prints one finding with all that is known of it.
func Finding(p *term.Page, f FindingAnswer) {
	now := time.Now()
	p.Line("%s %s", p.Paint(term.SeverityStyle(f.Severity), string(f.Severity)), p.Paint(term.Bold, term.Safe(f.Summary)))
	p.Fields(findingFields(f, now))
	evidenceOf(p, f.Evidence)
	timeline(p, "Time-line", f.Transitions)
	told(p, f.Deliveries)
	if len(f.History) > 0 {
		p.Heading("Earlier")
		t := p.Table("!ID", "!SEVERITY", "STATE", "OPENED", "RESOLVED", "SUMMARY")
		for _, h := range f.History {
			t.Add(term.Of(h.ID), term.Painted(string(h.Severity), term.SeverityStyle(h.Severity)), term.Of(string(h.State)), term.Of(term.Stamp(h.OpenedAt)), term.Of(term.Stamp(h.ResolvedAt)), term.Of(h.Summary))
		}
		t.Print()
	}
	p.Line("\n%s", p.Paint(term.Faint, fmt.Sprintf("why: `reeve explain %s`   look after it: `reeve ack %s`", f.ID, f.ID)))
}

func findingFields(f FindingAnswer, now time.Time) [][2]string {
	on := "(removed) " + f.ResourceID
	if r := f.Resource; r != nil {
		on = fmt.Sprintf("%s %s on %s (%s)", r.Kind, nameOf(f.ResourceID, *r), r.HostName, r.ID)
	}
	rows := [][2]string{{"id", f.ID}, {"condition", f.Condition}, {"resource", on}, {"state", FindingState(f.Finding, now)},
		{"since", term.Stamp(f.FirstSeen) + ", " + term.Age(now, f.FirstSeen) + " ago"}, {"last seen", term.Stamp(f.LastSeen)}, {"episode", fmt.Sprint(f.Episode)}}
	if f.AckedBy != "" {
		rows = append(rows, [2]string{"looked after by", f.AckedBy + " since " + term.Stamp(f.AckedAt)})
	}
	if x := f.Suppression; x != nil {
		rows = append(rows, [2]string{"suppressed", fmt.Sprintf("%s by %s until %s: %s", x.Kind, x.Actor, cmp.Or(term.Stamp(x.Until), "it is lifted"), x.Reason)})
	}
	if f.Claim != "" {
		rows = append(rows, [2]string{"claimed solved", f.Claim})
	}
	if !f.ResolvedAt.IsZero() {
		rows = append(rows, [2]string{"resolved", term.Stamp(f.ResolvedAt) + ", " + f.ResolvedBy})
	}
	for _, k := range slices.Sorted(maps.Keys(f.Facts)) {
		rows = append(rows, [2]string{k, f.Facts[k]})
	}
	return append(rows, [2]string{"incident", f.IncidentID})
}

func evidenceOf(p *term.Page, all []ops.Evidence) {
	for _, e := range all {
		p.Heading("Evidence: " + term.Safe(e.What))
		p.Fields([][2]string{{"query", e.Query}, {"window", term.Stamp(e.From) + " to " + term.Stamp(e.To)}, {"hash", e.Hash}})
		var lines []term.Course
		for _, x := range e.Series {
			lines = append(lines, term.Course{Name: term.SeriesName(x.Metric, x.Labels, ""), Metric: x.Metric, Points: x.Points})
		}
		if term.Drawable(lines) {
			p.Charts(lines, e.From, e.To)
		}
		for _, q := range e.Quotes {
			p.Line("  > %s", term.Safe(q))
		}
	}
}

// shownTransitions is how many lines of a time-line the screen shows.
const shownTransitions = 20

func timeline(p *term.Page, title string, all []ops.Transition) {
	if len(all) == 0 {
		return
	}
	p.Heading(title)
	t := p.Table("!WHEN", "WHO", "WHAT", "WHY")
	for _, x := range all[:min(len(all), shownTransitions)] {
		t.Add(term.Of(term.Stamp(x.At)), term.Of(Who(x)), term.Of(TransitionText(x)), term.Of(x.Reason))
	}
	t.Print()
	if more := len(all) - shownTransitions; more > 0 {
		p.Line("and %d earlier ones: -o json lists them", more)
	}
}

// Who says who did a transition, and for whom.
func Who(x ops.Transition) string {
	if x.OnBehalf != "" {
		return x.Actor + " for " + x.OnBehalf
	}
	return x.Actor
}

// TransitionText says what a transition did.
func TransitionText(x ops.Transition) string {
	text := x.Verb + " " + x.Object
	if x.From != "" && x.From != x.To {
		return text + ": " + x.From + " to " + x.To
	}
	if x.To != "" {
		return text + ": " + x.To
	}
	return text
}
