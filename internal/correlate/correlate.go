// Package correlate groups findings that have one cause, so that people hear
// of one incident and not of each of its effects. It is pure: the same
// findings and topology give the same groups, in whatever order they came.
//
// Two findings belong together when one of a few rules says so, each of which
// makes a sentence that is stored with the member. Groups are what these
// pairs connect, so that a new finding may join or unite groups but never
// splits one.
package correlate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"reeve/internal/ops"
)

// Near is how far apart two findings may open and still have one cause.
const Near = 10 * time.Minute

// The roles that the rules speak of. They are those of package detect, which
// is no layer below this one.
const (
	Capacity = 2
	Storage  = 3
)

// A Member is a finding as grouping sees it.
type Member struct {
	FindingID  string
	ResourceID string
	Condition  string
	Role       int // how near to a root cause the condition is
	OpenedAt   time.Time
}

// A Topology answers how resources hang together, by ID. A finding of a
// resource that it does not hold is grouped with those of the same resource
// only.
type Topology map[string]ops.Resource

// A Group is findings with one cause. Members are in the order in which they
// opened, but for the root, which is the first.
type Group struct {
	Root    string
	Members []Grouped
}

// A Grouped is a finding in a group with the reason why it is there.
type Grouped struct {
	FindingID string
	Reason    string
}

// Groups puts every finding into exactly one group. Groups are in the order
// in which their first member opened. Of findings with one ID the first to
// open counts.
func Groups(findings []Member, topo Topology) []Group {
	var sights []*sight
	hosts := map[string][]int{} // only findings of one host can be a pair
	for i, m := range sorted(findings) {
		s := view(m, topo)
		sights = append(sights, s)
		hosts[s.place()] = append(hosts[s.place()], i)
	}
	byFirst := map[int]Group{}
	for _, rest := range hosts {
		for len(rest) > 0 {
			var found []step
			found, rest = spread(sights, rest[0], rest)
			members := make([]int, len(found))
			for i, f := range found {
				members[i] = f.at
			}
			slices.Sort(members)
			byFirst[members[0]] = group(sights, members)
		}
	}
	groups := make([]Group, 0, len(byFirst))
	for _, first := range slices.Sorted(maps.Keys(byFirst)) {
		groups = append(groups, byFirst[first])
	}
	return groups
}

func sorted(findings []Member) []Member {
	all := slices.Clone(findings)
	slices.SortFunc(all, func(a, b Member) int {
		return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.FindingID, b.FindingID),
			cmp.Compare(a.ResourceID, b.ResourceID), cmp.Compare(a.Condition, b.Condition), cmp.Compare(b.Role, a.Role))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(m Member) bool {
		again := seen[m.FindingID]
		seen[m.FindingID] = true
		return again
	})
}

// A step is a finding that was reached from another, and the rule that makes
// them a pair.
type step struct {
	at, from int
	rule     why
}

// Spread answers the findings of a pool that are connected with one of it, by
// the fewest steps, and those that are not. A finding that was reached is
// compared no more, so that a storm with one cause is cheap.
func spread(sights []*sight, start int, pool []int) (found []step, left []int) {
	found = []step{{at: start, from: -1}}
	left = slices.DeleteFunc(slices.Clone(pool), func(i int) bool { return i == start })
	for k := 0; k < len(found); k++ {
		from := found[k].at
		left = slices.DeleteFunc(left, func(i int) bool {
			if sights[i].OpenedAt.Sub(sights[from].OpenedAt).Abs() > Near {
				return false
			}
			rule, ok := related(sights[i], sights[from])
			if ok {
				found = append(found, step{i, from, rule})
			}
			return ok
		})
	}
	return found, left
}

// Group names the root of connected findings and takes for every other the
// rule that leads to the root by the fewest steps.
func group(sights []*sight, members []int) Group {
	root := slices.MinFunc(members, func(i, j int) int {
		return cmp.Or(cmp.Compare(sights[j].Role, sights[i].Role), cmp.Compare(i, j))
	})
	reasons := map[int]string{root: "it is the only finding"}
	if len(members) > 1 {
		reasons[root] = "it is taken as the cause: of these findings it is the nearest to a cause by its kind, or opened first of the nearest"
	}
	steps, _ := spread(sights, root, members)
	for _, s := range steps[1:] {
		reasons[s.at] = s.rule.of(sights[s.at], sights[s.from])
	}
	g := Group{Root: sights[root].FindingID, Members: []Grouped{{sights[root].FindingID, reasons[root]}}}
	for _, i := range members {
		if i != root {
			g.Members = append(g.Members, Grouped{sights[i].FindingID, reasons[i]})
		}
	}
	return g
}
