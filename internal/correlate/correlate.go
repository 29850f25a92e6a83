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
	all := sorted(findings)
	links := connect(all, topo)
	var groups []Group
	done := make([]bool, len(all))
	for i := range all {
		if !done[i] {
			groups = append(groups, group(all, links, reach(links, i, done)))
		}
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

// A link joins a finding to another; reason says why it is there, given the
// other.
type link struct {
	to     int
	reason string
}

// Connect finds the pairs. Only findings of one host can be a pair, and only
// those that opened near to each other, so that few are compared.
func connect(all []Member, topo Topology) [][]link {
	links := make([][]link, len(all))
	hosts := map[string][]int{}
	for i, m := range all {
		place := "resource " + m.ResourceID
		if r, ok := topo[m.ResourceID]; ok && r.HostID != "" {
			place = "host " + r.HostID
		}
		for _, j := range slices.Backward(hosts[place]) {
			if m.OpenedAt.Sub(all[j].OpenedAt) > Near {
				break
			}
			if why, ok := related(view(m, topo), view(all[j], topo)); ok {
				links[i] = append(links[i], link{j, why.of(m, all[j], topo)})
				links[j] = append(links[j], link{i, why.reverse().of(all[j], m, topo)})
			}
		}
		hosts[place] = append(hosts[place], i)
	}
	return links
}

// Reach answers every finding that is connected with the given one.
func reach(links [][]link, from int, done []bool) []int {
	found := []int{from}
	done[from] = true
	for at := 0; at < len(found); at++ {
		for _, l := range links[found[at]] {
			if !done[l.to] {
				done[l.to] = true
				found = append(found, l.to)
			}
		}
	}
	slices.Sort(found)
	return found
}

// Group names the root of connected findings and takes for every other the
// reason that leads to the root by the fewest steps.
func group(all []Member, links [][]link, members []int) Group {
	root := slices.MinFunc(members, func(i, j int) int {
		return cmp.Or(cmp.Compare(all[j].Role, all[i].Role), cmp.Compare(i, j))
	})
	reasons := map[int]string{root: "it is the only finding"}
	if len(members) > 1 {
		reasons[root] = "it is taken as the cause: of these findings it is the nearest to a cause by its kind, or opened first of the nearest"
	}
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		near := slices.Clone(links[at])
		slices.SortFunc(near, func(a, b link) int { return cmp.Compare(a.to, b.to) })
		for _, l := range near {
			if _, has := reasons[l.to]; !has {
				reasons[l.to] = reasonTowards(links[l.to], at)
				todo = append(todo, l.to)
			}
		}
	}
	g := Group{Root: all[root].FindingID, Members: []Grouped{{all[root].FindingID, reasons[root]}}}
	for _, i := range members {
		if i != root {
			g.Members = append(g.Members, Grouped{all[i].FindingID, reasons[i]})
		}
	}
	return g
}

func reasonTowards(links []link, to int) string {
	for _, l := range links {
		if l.to == to {
			return l.reason
		}
	}
	return ""
}
