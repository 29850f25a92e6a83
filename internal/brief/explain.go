package brief

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// Bounds of what is told, in bytes and lines.
const (
	mostPlace    = 160
	mostWhat     = 300
	mostProof    = 6
	mostQuotes   = 3
	mostQuote    = 200
	mostChanges  = 6
	mostTroubles = 4
	mostAffects  = 12
)

// line answers text from the estate as one bounded line.
func line(s string, limit int) string { return redact.Line(s, limit) }

// place answers where a resource is, bounded.
func place(r ops.Resource) string { return redact.Cut(Place(r), mostPlace) }

// proof writes what a finding rests on: the numbers that were stored with it,
// and lines that were read, as shown makes them.
func (v *view) proof(f ops.Finding, shown func(x ops.Evidence, quote string) string) []string {
	all := slices.Clone(v.Evidence[f.ID])
	slices.SortStableFunc(all, func(a, b ops.Evidence) int { return b.TakenAt.Compare(a.TakenAt) }) // newest first
	var proof []string
	seen := map[string]bool{}
	quotes := 0
	for _, x := range all {
		for _, s := range x.Series {
			key := s.Metric + labelText(s.Labels)
			if text := course(x, s); text != "" && !seen[key] && len(proof) < mostProof {
				seen[key] = true
				proof = append(proof, text)
			}
		}
		for _, q := range x.Quotes {
			q = line(shown(x, q), mostQuote)
			if q == "" || seen[q] || quotes == mostQuotes {
				continue
			}
			seen[q] = true
			quotes++
			proof = append(proof, "read at "+x.TakenAt.UTC().Format("15:04:05")+": "+q)
		}
	}
	return proof
}

// course writes a stored series: its last reading, and how it got there.
func course(x ops.Evidence, s ops.Series) string {
	last, ok := s.Last()
	if !ok {
		return ""
	}
	name := s.Metric + labelText(s.Labels)
	text := fmt.Sprintf("%s was %s at %s", name, Amount(s.Metric, last.Value), last.At.UTC().Format("15:04:05"))
	low, high := last.Value, last.Value
	for _, p := range s.Points {
		low, high = min(low, p.Value), max(high, p.Value)
	}
	if first := s.Points[0]; low < high {
		text += fmt.Sprintf(" (%s before: %s; between %s and %s)", Age(last.At.Sub(first.At)), Amount(s.Metric, first.Value), Amount(s.Metric, low), Amount(s.Metric, high))
	}
	return redact.Cut(text, mostWhat)
}

func labelText(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "resource" && name != "host" {
			parts = append(parts, name+"="+labels[name])
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// causes names what may be behind a finding: what changed shortly before it
// began on the resource, its parents and its host; what of those is in
// trouble itself; then what usually causes the condition.
func (v *view) causes(f ops.Finding, r ops.Resource, g group) []string {
	return append(v.clues(f, r, g), Fill(v.Advice[f.Condition].Causes, r)...)
}

// clues are the causes that are of this estate and not of the condition.
func (v *view) clues(f ops.Finding, r ops.Resource, g group) []string {
	up := v.above(r)
	var causes []string
	for _, x := range append([]ops.Resource{r}, up...) {
		causes = append(causes, ChangeCauses(v.since(x), x, f.FirstSeen)...)
	}
	causes = causes[:min(len(causes), mostChanges)]
	for i := range causes {
		causes[i] = line(causes[i], mostWhat)
	}
	return append(causes, v.troubles(f, r, up, g)...)
}

// since answers the changes of a resource without its appearing while its
// host was looked at for the first time.
func (v *view) since(r ops.Resource) []ops.Transition {
	host, known := v.byID[r.HostID]
	return slices.DeleteFunc(slices.Clone(v.changes[r.ID]), func(t ops.Transition) bool {
		return t.Verb == "appear" && known && t.At.Before(host.FirstSeen.Add(FirstLook))
	})
}

// above answers the parents of a resource and its host, nearest first.
func (v *view) above(r ops.Resource) []ops.Resource {
	var up []ops.Resource
	seen := map[string]bool{r.ID: true}
	for _, id := range []string{r.ParentID, v.byID[r.ParentID].ParentID, v.byID[v.byID[r.ParentID].ParentID].ParentID, r.HostID} {
		if x, ok := v.byID[id]; ok && !seen[id] {
			seen[id] = true
			up = append(up, x)
		}
	}
	return up
}

// troubles names what is wrong above a resource, and the cause of its
// incident where that lies outside of what is looked at.
func (v *view) troubles(f ops.Finding, r ops.Resource, up []ops.Resource, g group) []string {
	var all []string
	if r.Reachable == "unknown" {
		all = append(all, "its host is not heard of: what is known of it is old, last seen "+stamp(r.ObservedAt))
	}
	mine := map[string]bool{}
	for _, m := range g.members {
		mine[m.ID] = true
	}
	if root, ok := v.findings[g.incident.RootID]; ok && root.Active() && !mine[root.ID] {
		all = append(all, line(fmt.Sprintf("it belongs to an incident whose likely cause is %s: %s", Place(v.resource(root.ResourceID)), root.Summary), mostWhat))
		mine[root.ID] = true
	}
	for _, x := range up {
		for _, other := range v.active[x.ID] {
			if mine[other.ID] || v.Advice[other.Condition].Future || other.FirstSeen.After(f.FirstSeen.Add(ChangesBefore)) || len(all) == mostTroubles {
				continue
			}
			mine[other.ID] = true
			all = append(all, line(fmt.Sprintf("%s is in trouble since %s: %s", Place(x), stamp(other.FirstSeen), other.Summary), mostWhat))
		}
	}
	return all
}

// affects names what is grouped under a finding and what hangs on its
// resource.
func (v *view) affects(g group, r ops.Resource) []string {
	var all []string
	reasons := map[string]string{}
	for _, m := range g.incident.Members {
		reasons[m.FindingID] = m.Reason
	}
	rest := g.members[1:]
	for _, f := range rest[:min(len(rest), mostAffects)] {
		text := fmt.Sprintf("%s: %s", Place(v.resource(f.ResourceID)), f.Summary)
		if why := reasons[f.ID]; why != "" {
			text += " (" + why + ")"
		}
		all = append(all, line(text, mostWhat))
	}
	if more := len(rest) - mostAffects; more > 0 {
		all = append(all, fmt.Sprintf("%d more findings of incident %s", more, g.incident.ID))
	}
	if text := v.dependents(r); text != "" {
		all = append(all, text)
	}
	return all
}

// dependents counts what runs on a resource, by kind.
func (v *view) dependents(r ops.Resource) string {
	if r.Kind != ops.KindHost && r.Kind != ops.KindProject && r.Kind != ops.KindService {
		return ""
	}
	counts := map[ops.Kind]int{}
	var down func(id string, depth int)
	down = func(id string, depth int) {
		for _, child := range v.children[id] {
			switch kind := v.byID[child].Kind; kind {
			case ops.KindContainer, ops.KindService, ops.KindUnit, ops.KindCheck:
				counts[kind]++
			}
			if depth < 3 {
				down(child, depth+1)
			}
		}
	}
	down(r.ID, 0)
	if len(counts) == 0 {
		return ""
	}
	return "on it: " + countText(counts)
}

// countText writes counts by kind, the most numerous first.
func countText[N int | int64](counts map[ops.Kind]N) string {
	kinds := slices.SortedFunc(maps.Keys(counts), func(a, b ops.Kind) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	parts := make([]string, len(kinds))
	for i, k := range kinds {
		parts[i] = plural(int64(counts[k]), string(k))
	}
	return strings.Join(parts, ", ")
}

func plural(n int64, word string) string {
	switch {
	case n == 1:
	case word == string(ops.KindGPU):
		word = "GPUs"
	case strings.HasSuffix(word, "y"):
		word = strings.TrimSuffix(word, "y") + "ies"
	default:
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// past tells what happened the last time and what solved it.
func (v *view) past(f ops.Finding) string {
	told := line(v.Before[ops.Fingerprint(f.ResourceID, f.Condition)], mostWhat)
	if told == "" && f.Episode > 1 {
		told = fmt.Sprintf("this is its episode %d", f.Episode)
	}
	var newest ops.Note
	for _, n := range v.Notes {
		if n.Condition == f.Condition && (n.ResourceID == f.ResourceID || n.ResourceID == "") && n.Kind != "note" && n.At.After(newest.At) {
			newest = n
		}
	}
	if newest.ID == "" {
		return told
	}
	how := "solved before"
	if newest.Kind == "dismissal" {
		how = "dismissed before"
	}
	note := line(fmt.Sprintf("%s (%s, %s): %s", how, newest.Author, newest.At.UTC().Format(time.DateOnly), newest.Text), mostWhat)
	if told == "" {
		return note
	}
	return told + "; " + note
}
