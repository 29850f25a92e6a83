package cli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/glyph"
	"reeve/internal/ops"
)

// A findingAnswer is one finding with all that is known of it.
type findingAnswer struct {
	ops.Finding
	Resource    *ops.Resource    `json:"resource"`
	Evidence    []ops.Evidence   `json:"evidence"`
	Transitions []ops.Transition `json:"transitions"`
	History     []ops.Finding    `json:"history"`
	Deliveries  []ops.Delivery   `json:"deliveries"`
}

func (s *session) findingsVerb() *cobra.Command {
	var state, severity, condition, resource, text string
	var limit int
	c := &cobra.Command{
		Use: "findings [ID]", Aliases: []string{"finding"}, Short: "List what is wrong, or show one finding with its evidence",
		Example: "  reeve findings\n  reeve findings --severity critical --state all\n  reeve findings fnd_06h04g7kz2wm\n  reeve findings nginx              # the open finding of the resource nginx",
		Args:    takes(0, 1, "the ID of a finding or the name of a resource"), ValidArgsFunction: completes(s.findingWords),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneFinding(c.Context(), args[0])
			}
			q := url.Values{}
			set(q, "severity", severity)
			set(q, "condition", condition)
			set(q, "q", text)
			if state != "all" {
				set(q, "state", state)
			}
			if resource != "" {
				id, err := s.resourceID(c.Context(), resource)
				if err != nil {
					return err
				}
				q.Set("resource", id)
			}
			return s.listFindings(c.Context(), q, limit)
		},
	}
	f := c.Flags()
	f.StringVar(&state, "state", "active", "active (open or acknowledged), open, acknowledged, resolved, closed or all; several with commas")
	f.StringVar(&severity, "severity", "", "warning or critical")
	f.StringVar(&condition, "condition", "", "only this condition; reeve detectors lists them")
	f.StringVar(&resource, "resource", "", "only of this resource: its ID or name")
	f.StringVar(&text, "text", "", "only with this text in the summary")
	f.IntVar(&limit, "limit", 200, "how many at most; 0 for all")
	return c
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func (s *session) listFindings(ctx context.Context, q url.Values, limit int) error {
	l, err := s.listed(ctx, "/api/v1/findings", q, limit)
	if err != nil {
		return err
	}
	if s.json() {
		return s.page.value(l)
	}
	all, err := read[ops.Finding](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.line("no findings%s", suchAs(q))
		return nil
	}
	names, err := s.resourceNames(ctx, concerned(all))
	if err != nil {
		return err
	}
	s.findingTable(all, names, time.Now())
	s.more(l)
	return nil
}

// suchAs says by which filters a list is empty.
func suchAs(q url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		parts = append(parts, name+" "+safe(strings.Join(q[name], ",")))
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + strings.Join(parts, ", ")
}

// more says when a list goes on.
func (s *session) more(l list) {
	if l.Next != "" {
		s.page.line("%s", s.page.paint(faint, fmt.Sprintf("there are more than these %d; --limit 0 lists all", len(l.Items))))
	}
}

// resourceNames answers resources by ID, those that were removed under their
// last names; the ID "" is of none.
func (s *session) resourceNames(ctx context.Context, ids []string) (map[string]ops.Resource, error) {
	names := map[string]ops.Resource{}
	if !slices.ContainsFunc(ids, func(id string) bool { return id != "" }) {
		return names, nil
	}
	var l struct{ Items []ops.Resource }
	if err := s.get(ctx, "/api/v1/resources?all=true", &l); err != nil {
		return nil, err
	}
	for _, r := range l.Items {
		names[r.ID] = r
	}
	if !slices.ContainsFunc(ids, func(id string) bool { return id != "" && names[id].ID == "" }) {
		return names, nil
	}
	if err := s.get(ctx, "/api/v1/resources?all=true&presence=removed", &l); err != nil {
		return nil, err
	}
	for _, r := range l.Items {
		names[r.ID] = r
	}
	return names, nil
}

// concerned answers the IDs of the resources of findings.
func concerned(all []ops.Finding) []string {
	return each(all, func(f ops.Finding) string { return f.ResourceID })
}

// nameOf answers how a resource is called. Of one that nobody knows any more
// there is only the ID.
func nameOf(id string, r ops.Resource) string {
	if r.ID == "" || r.Presence == ops.Removed {
		return "(removed) " + first(r.Name, id)
	}
	return first(r.Name, id)
}

// narrowPage is the width below which a summary has no room beside the rest.
const narrowPage = 110

func (s *session) findingTable(all []ops.Finding, names map[string]ops.Resource, now time.Time) {
	short := shortened(each(all, func(f ops.Finding) string { return f.ID }))
	heads := []string{"!ID", "!SEVERITY", "STATE", "HOST", "RESOURCE", ">SINCE", "SUMMARY"}
	narrow := s.page.width > 0 && s.page.width < narrowPage
	if narrow { // There the summary stands below.
		heads = heads[:6]
	}
	t := s.page.table(heads...)
	for _, f := range all {
		r := names[f.ResourceID]
		t.add(of(short[f.ID]), cell{string(f.Severity), severityStyle(f.Severity)}, of(findingState(f, now)), of(r.HostName),
			of(nameOf(f.ResourceID, r)), of(age(now, f.FirstSeen)), of(f.Summary))
		if narrow {
			t.note(f.Summary)
		}
	}
	t.print()
}

// findingState says the state with what changes its meaning.
func findingState(f ops.Finding, now time.Time) string {
	text := string(f.State)
	if f.Suppression.Active(now, f.Severity) {
		text += ", suppressed"
	}
	if f.Flapping {
		text += ", flapping"
	}
	return text
}

func (s *session) oneFinding(ctx context.Context, typed string) error {
	id, err := s.findingID(ctx, typed)
	if err != nil {
		return err
	}
	var f findingAnswer
	text, err := s.fetch(ctx, "/api/v1/findings/"+url.PathEscape(id), &f)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	now, p := time.Now(), s.page
	p.line("%s %s", p.paint(severityStyle(f.Severity), string(f.Severity)), p.paint(bold, safe(f.Summary)))
	s.fields(findingFields(f, now))
	s.showEvidence(f.Evidence)
	s.showTransitions("Time-line", f.Transitions)
	s.showDeliveries(f.Deliveries)
	if len(f.History) > 0 {
		p.heading("Earlier")
		t := p.table("!ID", "!SEVERITY", "STATE", "OPENED", "RESOLVED", "SUMMARY")
		for _, h := range f.History {
			t.add(of(h.ID), cell{string(h.Severity), severityStyle(h.Severity)}, of(string(h.State)), of(stamp(h.OpenedAt)), of(stamp(h.ResolvedAt)), of(h.Summary))
		}
		t.print()
	}
	p.line("\n%s", p.paint(faint, fmt.Sprintf("why: `reeve explain %s`   look after it: `reeve ack %s`", f.ID, f.ID)))
	return nil
}

func findingFields(f findingAnswer, now time.Time) [][2]string {
	on := "(removed) " + f.ResourceID
	if r := f.Resource; r != nil {
		on = fmt.Sprintf("%s %s on %s (%s)", r.Kind, nameOf(f.ResourceID, *r), r.HostName, r.ID)
	}
	rows := [][2]string{{"id", f.ID}, {"condition", f.Condition}, {"resource", on}, {"state", findingState(f.Finding, now)},
		{"since", stamp(f.FirstSeen) + ", " + age(now, f.FirstSeen) + " ago"}, {"last seen", stamp(f.LastSeen)}, {"episode", fmt.Sprint(f.Episode)}}
	if f.AckedBy != "" {
		rows = append(rows, [2]string{"looked after by", f.AckedBy + " since " + stamp(f.AckedAt)})
	}
	if x := f.Suppression; x != nil {
		rows = append(rows, [2]string{"suppressed", fmt.Sprintf("%s by %s until %s: %s", x.Kind, x.Actor, first(stamp(x.Until), "it is lifted"), x.Reason)})
	}
	if f.Claim != "" {
		rows = append(rows, [2]string{"claimed solved", f.Claim})
	}
	if !f.ResolvedAt.IsZero() {
		rows = append(rows, [2]string{"resolved", stamp(f.ResolvedAt) + ", " + f.ResolvedBy})
	}
	for _, k := range slices.Sorted(maps.Keys(f.Facts)) {
		rows = append(rows, [2]string{k, f.Facts[k]})
	}
	return append(rows, [2]string{"incident", f.IncidentID})
}

// fields prints names with values, one a line.
func (s *session) fields(rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, glyph.Columns(safe(r[0])))
	}
	for _, r := range rows {
		if r[1] == "" {
			continue
		}
		name := safe(r[0])
		for i, l := range glyph.Fold(safe(r[1]), s.page.width-width-4) {
			if i > 0 {
				name = ""
			}
			s.page.line("  %s%s  %s", s.page.paint(faint, name), strings.Repeat(" ", width-glyph.Columns(name)), l)
		}
	}
}

func (s *session) showEvidence(all []ops.Evidence) {
	for _, e := range all {
		s.page.heading("Evidence: " + safe(e.What))
		s.fields([][2]string{{"query", e.Query}, {"window", stamp(e.From) + " to " + stamp(e.To)}, {"hash", e.Hash}})
		var lines []chartLine
		for _, x := range e.Series {
			lines = append(lines, chartLine{name: seriesName(x.Metric, x.Labels, ""), metric: x.Metric, points: x.Points})
		}
		if drawable(lines) {
			s.page.charts(lines, e.From, e.To)
		}
		for _, q := range e.Quotes {
			s.page.line("  > %s", safe(q))
		}
	}
}

// shownTransitions is how many lines of a time-line the screen shows.
const shownTransitions = 20

func (s *session) showTransitions(title string, all []ops.Transition) {
	if len(all) == 0 {
		return
	}
	s.page.heading(title)
	t := s.page.table("!WHEN", "WHO", "WHAT", "WHY")
	for _, x := range all[:min(len(all), shownTransitions)] {
		t.add(of(stamp(x.At)), of(x.Actor), of(transitionText(x)), of(x.Reason))
	}
	t.print()
	if more := len(all) - shownTransitions; more > 0 {
		s.page.line("and %d earlier ones: -o json lists them", more)
	}
}

func transitionText(x ops.Transition) string {
	text := x.Verb + " " + x.Object
	if x.From != "" && x.From != x.To {
		return text + ": " + x.From + " to " + x.To
	}
	if x.To != "" {
		return text + ": " + x.To
	}
	return text
}

func (s *session) showDeliveries(all []ops.Delivery) {
	if len(all) == 0 {
		return
	}
	s.page.heading("Told")
	s.deliveryTable(all)
}

// documentOr prints an answer as it came, unless asking failed.
func (s *session) documentOr(text []byte, err error) error {
	if err != nil {
		return err
	}
	return s.page.document(text)
}
