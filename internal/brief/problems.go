package brief

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/tokens"
)

// A naming gives the active findings in scope short names, F1 and so on, in
// the order of the items, and their resources R1 and so on: IDs cost many
// tokens and models copy them wrongly.
type naming struct {
	findings []numbered
	number   map[string]int // by finding ID
	aliases  map[string]string
	visible  []string
}

// numbered is a finding with its number, that of the root of its group, and
// what is new about the group.
type numbered struct {
	n    int
	root string
	news string
	f    ops.Finding
	r    ops.Resource
}

// name numbers the findings in the order of the items, or by severity and
// condition where they are to be told in groups.
func (v *view) name(items []ops.RunItem, inGroups bool) naming {
	names := naming{number: map[string]int{}, aliases: map[string]string{}}
	all := v.ordered(items)
	if inGroups {
		slices.SortStableFunc(all, func(a, b numbered) int {
			return cmp.Or(cmp.Compare(b.f.Severity.Rank(), a.f.Severity.Rank()), cmp.Compare(a.f.Condition, b.f.Condition))
		})
	}
	for i, x := range all {
		x.n = i + 1
		names.findings = append(names.findings, x)
		names.number[x.f.ID] = x.n
		names.aliases["F"+strconv.Itoa(x.n)], names.aliases["R"+strconv.Itoa(x.n)] = x.f.ID, x.f.ResourceID
		names.visible = append(names.visible, x.f.ID)
	}
	return names
}

// ordered answers the active findings in scope in the order of the items,
// members after their root.
func (v *view) ordered(items []ops.RunItem) []numbered {
	byRoot := map[string]group{}
	for _, g := range v.groups() {
		byRoot[g.root().ID] = g
	}
	var all []numbered
	for _, i := range items {
		g, ok := byRoot[i.FindingID]
		if !ok {
			continue
		}
		for _, f := range g.members {
			all = append(all, numbered{root: g.root().ID, news: i.News, f: f, r: v.resource(f.ResourceID)})
		}
	}
	return all
}

// problems lists every active finding in the richest form that fits.
func (v *view) problems(items []ops.RunItem, budget int64) (naming, section) {
	names := v.name(items, false)
	s := section{name: "problems", title: "problems at " + stamp(v.Now)}
	if len(names.findings) == 0 {
		s.lines = []string{"none"}
		return names, s
	}
	s.title += " (Fn is on resource Rn): id, severity, state, news, age, condition, resource, what"
	for _, form := range []func(naming, numbered) string{v.wholeLine, v.shortLine, v.bareLine} {
		s.lines = nil
		cost := tokens.Estimate(s.title) + 4
		for _, x := range names.findings {
			l := form(names, x)
			s.lines = append(s.lines, l)
			cost += tokens.Estimate(l + "\n")
		}
		if cost <= budget {
			return names, s
		}
	}
	names = v.name(items, true)
	s.title = fmt.Sprintf("problems at %s (Fn is on resource Rn), in groups: there are too many for a line each", stamp(v.Now))
	s.lines = grouped(names.findings)
	return names, s
}

func (v *view) wholeLine(names naming, x numbered) string {
	state := string(x.f.State)
	if x.f.Suppression.Active(v.Now, x.f.Severity) {
		state = "suppressed"
	}
	if x.f.Origin != "rule" {
		state += " by " + x.f.Origin
	}
	where := fmt.Sprintf("%s %s @%s", x.r.Kind, cell(x.r.Name, 60), cell(x.r.HostName, 40))
	if x.r.Kind == ops.KindHost {
		where = "host " + cell(x.r.Name, 60)
	}
	text := fmt.Sprintf("F%d|%s|%s|%s|%s|%s|%s|%s", x.n, x.f.Severity, state, x.news, Age(v.Now.Sub(x.f.FirstSeen)), x.f.Condition, where, cell(x.f.Summary, 160))
	if x.root != x.f.ID {
		text += fmt.Sprintf("|with F%d", names.number[x.root])
	}
	return text
}

func (v *view) shortLine(_ naming, x numbered) string {
	return fmt.Sprintf("F%d|%s|%s|%s|%s @%s", x.n, x.f.Severity, Age(v.Now.Sub(x.f.FirstSeen)), x.f.Condition, cell(x.r.Name, 30), cell(x.r.HostName, 20))
}

func (v *view) bareLine(_ naming, x numbered) string {
	return fmt.Sprintf("F%d %s %s", x.n, x.f.Severity, x.f.Condition)
}

// grouped names findings by severity and condition, as ranges of numbers.
func grouped(all []numbered) []string {
	byKind := map[string][]int{}
	var order []string
	for _, x := range all {
		key := string(x.f.Severity) + " " + x.f.Condition
		if byKind[key] == nil {
			order = append(order, key)
		}
		byKind[key] = append(byKind[key], x.n)
	}
	slices.SortStableFunc(order, func(a, b string) int { return len(byKind[b]) - len(byKind[a]) })
	lines := make([]string, len(order))
	for i, key := range order {
		lines[i] = fmt.Sprintf("%s (%d): %s", key, len(byKind[key]), ranges(byKind[key]))
	}
	return lines
}

// ranges writes rising numbers: F1-F4 F7.
func ranges(n []int) string {
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		part := fmt.Sprintf("F%d", n[i])
		if j > i {
			part += fmt.Sprintf("-F%d", n[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, " ")
}

// details tells the first problems at length: what they rest on, what changed
// before, what is in trouble near them, what happened the last time.
func (v *view) details(names naming, items []ops.RunItem, most int) section {
	s := section{name: "details", title: "details", priority: 1}
	byRoot := map[string]group{}
	for _, g := range v.groups() {
		byRoot[g.root().ID] = g
	}
	n := 0
	for _, i := range items {
		g, ok := byRoot[i.FindingID]
		if !ok {
			continue
		}
		if n++; n > most {
			break
		}
		label := fmt.Sprintf("F%d: ", names.number[i.FindingID])
		f := g.root()
		for _, p := range v.proof(f, masked) {
			s.lines = append(s.lines, label+cell(p, 240))
		}
		for _, c := range v.clues(f, v.resource(f.ResourceID), g) {
			s.lines = append(s.lines, label+cell(c, 200))
		}
		if past := v.past(f); past != "" {
			s.lines = append(s.lines, label+"before: "+cell(past, 240))
		}
		if on := v.dependents(v.resource(f.ResourceID)); on != "" {
			s.lines = append(s.lines, label+on)
		}
	}
	return s
}
