package brief

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reeve/internal/learn"
	"reeve/internal/ops"
)

// Bounds of sections, in lines.
const (
	mostStates  = 6
	mostHosts   = 40
	mostNotes   = 20
	mostNotSeen = 12
	mostOutlook = 20
	mostLately  = 20
	mostFlagged = 30
)

// masked answers a line of a log with what varies in it replaced: the form is
// what matters. Words in quotation marks stay, because they often say what is
// wrong, and so does state, which is ours.
func masked(x ops.Evidence, quote string) string {
	if x.From.Equal(x.To) {
		return quote
	}
	return learn.Mask(strings.ReplaceAll(quote, `"`, " "))
}

// stateAttrs is the attribute that says best how a resource of a kind is.
var stateAttrs = map[ops.Kind]string{
	ops.KindContainer: "state", ops.KindUnit: "active_state", ops.KindPool: "health", ops.KindArray: "state", ops.KindDisk: "smart_passed",
	ops.KindInterface: "carrier", ops.KindCheck: "up", ops.KindComponent: "state",
}

// inventory rolls up what is in scope by kind, and names the hosts.
func (v *view) inventory() section {
	s := section{name: "inventory", title: "inventory", priority: 3}
	states := map[ops.Kind]map[string]int64{}
	hosts := map[string]int64{}
	for _, r := range v.Scope {
		if states[r.Kind] == nil {
			states[r.Kind] = map[string]int64{}
		}
		states[r.Kind][stateOf(r)]++
		hosts[r.HostName]++
	}
	for _, k := range slices.SortedFunc(maps.Keys(states), func(a, b ops.Kind) int {
		return cmp.Or(cmp.Compare(sum(states[b]), sum(states[a])), cmp.Compare(a, b))
	}) {
		s.lines = append(s.lines, fmt.Sprintf("%s %d: %s", k, sum(states[k]), stateText(states[k])))
	}
	names := slices.Sorted(maps.Keys(hosts))
	var told []string
	for _, h := range names[:min(len(names), mostHosts)] {
		told = append(told, fmt.Sprintf("%s %d", cell(h, 40), hosts[h]))
	}
	if len(names) > mostHosts {
		told = append(told, fmt.Sprintf("%d more hosts", len(names)-mostHosts))
	}
	if len(told) > 0 {
		s.lines = append(s.lines, "resources by host: "+strings.Join(told, ", "))
	}
	return s
}

// stateOf answers in one or two words how a resource is.
func stateOf(r ops.Resource) string {
	switch {
	case r.Presence != ops.Present:
		return string(r.Presence)
	case r.Reachable == "unknown":
		return "host silent"
	}
	name, ok := stateAttrs[r.Kind]
	if !ok {
		return "present"
	}
	state, ok := r.Observed.Text(name)
	switch {
	case !ok:
		return "present"
	case state == "true":
		return "good"
	case state == "false":
		return "bad"
	}
	return cell(state, 30)
}

func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func stateText(counts map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	var parts []string
	for _, n := range names[:min(len(names), mostStates)] {
		parts = append(parts, fmt.Sprintf("%d %s", counts[n], cmp.Or(n, "unknown")))
	}
	if rest := len(names) - mostStates; rest > 0 {
		parts = append(parts, fmt.Sprintf("%d other states", rest))
	}
	return strings.Join(parts, ", ")
}

// notes are what people wrote, the newest first.
func (v *view) notes() section {
	s := section{name: "notes", title: "notes of the operators", priority: 4}
	all := slices.Clone(v.Notes)
	slices.SortFunc(all, func(a, b ops.Note) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	for _, n := range all[:min(len(all), mostNotes)] {
		about := "estate"
		if n.ResourceID != "" {
			about = cell(Place(v.resource(n.ResourceID)), 80)
		}
		s.lines = append(s.lines, fmt.Sprintf("%s (%s, %s): %s", about, n.Kind, n.At.UTC().Format("2006-01-02"), cell(n.Text, 240)))
	}
	return s
}

// coverage says what is looked at, and what is not and why.
func (v *view) coverage() section {
	s := section{name: "scope", title: "scope", priority: 0}
	what := "everything"
	if !v.Asked.Full() {
		what = "part of the estate"
		if v.Reason != "" {
			what += ", because: " + cell(v.Reason, 160)
		}
	}
	s.lines = []string{fmt.Sprintf("%s; %s in scope; trigger %s", what, plural(int64(len(v.Scope)), "resource"), cmp.Or(string(v.Trigger), "manual"))}
	if p := v.Previous; p != nil {
		s.lines = append(s.lines, fmt.Sprintf("run before: %s, %s, %s, %s known then", stamp(p.EndedAt), p.Health, plural(int64(len(p.Detail.New)), "new finding"), plural(int64(len(p.Detail.Known)), "finding")))
	}
	if len(v.Incomplete) == 0 {
		s.lines = append(s.lines, "collection complete")
	}
	for _, x := range v.Incomplete[:min(len(v.Incomplete), mostNotSeen)] {
		s.lines = append(s.lines, "not collected: "+cell(x, 160))
	}
	if more := len(v.Incomplete) - mostNotSeen; more > 0 {
		s.lines = append(s.lines, fmt.Sprintf("not collected: %d more", more))
	}
	if len(v.LeftOut) > 0 {
		why := map[string]int64{}
		for _, reason := range v.LeftOut {
			why[cell(reason, 60)]++
		}
		s.lines = append(s.lines, "left out: "+stateText(why))
	}
	return s
}

// readings are the newest values of the flagged resources and their hosts.
func (v *view) readings(names naming) section {
	s := section{name: "readings", title: "newest readings", priority: 2}
	told := map[string]bool{}
	tell := func(label string, r ops.Resource) {
		all := slices.Clone(v.Readings[r.ID])
		if told[r.ID] || len(all) == 0 || len(s.lines) == mostFlagged {
			return
		}
		told[r.ID] = true
		slices.SortFunc(all, func(a, b Reading) int {
			return cmp.Or(cmp.Compare(a.Metric, b.Metric), cmp.Compare(labelText(a.Labels), labelText(b.Labels)))
		})
		var parts []string
		for _, x := range all[:min(len(all), 8)] {
			parts = append(parts, cell(x.Metric+labelText(x.Labels), 80)+" "+Amount(x.Metric, x.Value))
		}
		s.lines = append(s.lines, label+": "+strings.Join(parts, ", "))
	}
	for _, x := range names.findings {
		tell(fmt.Sprintf("R%d", x.n), x.r)
		if host, ok := v.byID[x.r.HostID]; ok {
			tell("host "+cell(host.Name, 40), host)
		}
	}
	return s
}

// outlook is what ended, and what is about to come.
func (v *view) outlook(items []ops.RunItem) section {
	s := section{name: "outlook", title: "over since the run before, and to come", priority: 4}
	for _, i := range items {
		if i.News != Cleared && i.FindingID != "" || len(s.lines) == mostOutlook {
			continue
		}
		s.lines = append(s.lines, fmt.Sprintf("%s|%s|%s|%s", i.News, i.Condition, cell(i.Place, 80), cell(i.What, 160)))
	}
	return s
}

// lately are the newest changes that no detail tells of.
func (v *view) lately(items []ops.RunItem) section {
	s := section{name: "changes", title: "latest other changes", priority: 4}
	flagged := map[string]bool{}
	for _, i := range items {
		flagged[i.ResourceID] = true
	}
	all := slices.Clone(v.Changes)
	slices.SortStableFunc(all, func(a, b ops.Transition) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Seq, a.Seq)) })
	for _, t := range all {
		if flagged[t.ObjectID] || t.Object != "resource" || len(s.lines) == mostLately {
			continue
		}
		var what []string
		names := slices.Sorted(maps.Keys(t.Facts))
		if t.Verb == "change" {
			for _, n := range names[:min(len(names), 3)] {
				what = append(what, cell(n+" "+t.Facts[n], 100))
			}
		}
		s.lines = append(s.lines, fmt.Sprintf("%s ago|%s|%s|%s", Age(v.Now.Sub(t.At)), cell(Place(v.resource(t.ObjectID)), 80), t.Verb, strings.Join(what, "; ")))
	}
	return s
}
