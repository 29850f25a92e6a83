package brief

import (
	"cmp"
	"math"
	"slices"
	"time"

	"reeve/internal/ops"
)

// The news of an item: what changed about it since the run before.
const (
	New      = "new"
	Worse    = "worse"
	Known    = "known"
	Cleared  = "cleared"
	Forecast = "forecast"
)

// Items answers what a run tells a person, the most important first. Findings
// of one incident are one item, about the member that is most likely the
// cause; the others are what it affects. What is resolved since the run
// before, and what is about to be a problem, comes last.
func Items(e Estate) []ops.RunItem {
	v := look(e)
	var items []ops.RunItem
	for _, g := range v.groups() {
		items = append(items, v.item(g))
	}
	items = append(items, v.cleared()...)
	items = append(items, v.holding()...)
	slices.SortFunc(items, func(a, b ops.RunItem) int {
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), a.Since.Compare(b.Since), cmp.Compare(a.ResourceID, b.ResourceID), cmp.Compare(a.Condition, b.Condition))
	})
	return items
}

// A view is an estate with what is looked up often at hand.
type view struct {
	Estate
	byID     map[string]ops.Resource
	inScope  map[string]bool
	children map[string][]string      // IDs by that of the parent
	active   map[string][]ops.Finding // by resource, also of Around
	findings map[string]ops.Finding
	before   map[string]was // of the run before, by finding ID
	changes  map[string][]ops.Transition
}

type was struct{ severity ops.Severity }

func look(e Estate) *view {
	v := &view{Estate: e, byID: make(map[string]ops.Resource, len(e.Scope)+len(e.Around)), inScope: make(map[string]bool, len(e.Scope)),
		children: map[string][]string{}, active: map[string][]ops.Finding{}, findings: map[string]ops.Finding{},
		before: map[string]was{}, changes: map[string][]ops.Transition{}}
	for _, r := range e.Around {
		v.byID[r.ID] = r
	}
	for _, r := range e.Scope {
		v.byID[r.ID], v.inScope[r.ID] = r, true
	}
	for _, r := range v.byID {
		v.children[r.ParentID] = append(v.children[r.ParentID], r.ID)
	}
	for _, f := range e.Findings {
		v.findings[f.ID] = f
	}
	for _, f := range v.findings {
		if f.Active() {
			v.active[f.ResourceID] = append(v.active[f.ResourceID], f)
		}
	}
	for _, all := range v.active {
		slices.SortFunc(all, v.nearer)
	}
	for _, t := range e.Changes {
		v.changes[t.ObjectID] = append(v.changes[t.ObjectID], t)
	}
	v.remember()
	return v
}

// remember notes how severe the run before called each finding.
func (v *view) remember() {
	if v.Previous == nil {
		return
	}
	for _, id := range slices.Concat(v.Previous.Detail.New, v.Previous.Detail.Known) {
		v.before[id] = was{}
	}
	for _, i := range v.Previous.Detail.Items {
		if i.FindingID != "" && i.News != Cleared {
			v.before[i.FindingID] = was{i.Severity}
		}
	}
}

// nearer orders findings by how near to a root cause they are.
func (v *view) nearer(a, b ops.Finding) int {
	return cmp.Or(cmp.Compare(v.Advice[b.Condition].Role, v.Advice[a.Condition].Role), a.FirstSeen.Compare(b.FirstSeen), cmp.Compare(a.ID, b.ID))
}

// A group is the active findings in scope of one incident, the likely cause
// first.
type group struct {
	incident ops.Incident // zero when it is not known
	members  []ops.Finding
}

func (g group) root() ops.Finding { return g.members[0] }

func (g group) severity() (s ops.Severity) {
	for _, f := range g.members {
		s = s.Max(f.Severity)
	}
	return s
}

func (v *view) groups() []group {
	byIncident := map[string][]ops.Finding{}
	for _, f := range v.findings {
		if f.Active() && v.inScope[f.ResourceID] {
			key := cmp.Or(f.IncidentID, f.ID)
			byIncident[key] = append(byIncident[key], f)
		}
	}
	groups := make([]group, 0, len(byIncident))
	for id, members := range byIncident {
		g := group{incident: v.Incidents[id], members: members}
		slices.SortFunc(members, func(a, b ops.Finding) int {
			return cmp.Or(isRoot(g, b)-isRoot(g, a), v.nearer(a, b))
		})
		groups = append(groups, g)
	}
	return groups
}

func isRoot(g group, f ops.Finding) int {
	if g.incident.RootID == f.ID {
		return 1
	}
	return 0
}

// News tells what changed about a group since the run before: new when its
// cause is, worse when it rose or grew.
func (v *view) news(g group) string {
	root := g.root()
	old, known := v.before[root.ID]
	switch {
	case v.Previous == nil || !known:
		return New
	case old.severity.Valid() && g.severity().Rank() > old.severity.Rank(), root.OpenedAt.After(v.Previous.StartedAt):
		return Worse
	}
	for _, f := range g.members {
		if _, known := v.before[f.ID]; !known {
			return Worse
		}
	}
	if v.Advice[root.Condition].Future {
		return Forecast
	}
	return Known
}

func (v *view) item(g group) ops.RunItem {
	root := g.root()
	r := v.resource(root.ResourceID)
	i := ops.RunItem{
		FindingID: root.ID, IncidentID: root.IncidentID, Condition: root.Condition, ResourceID: root.ResourceID, Place: place(r),
		Severity: g.severity(), What: line(root.Summary, mostWhat), Since: root.FirstSeen, News: v.news(g),
		Evidence: v.proof(root, asIs), Causes: v.causes(root, r, g), Checks: Fill(v.Advice[root.Condition].Checks, r),
		Affects: v.affects(g, r), Before: v.past(root),
	}
	i.Rank = v.rank(i, g)
	return i
}

// Rank weighs an item: severity first, then how near to a cause it is, what
// is new, how much hangs on it, and how young it is. No sum of the latter
// lifts a warning over a critical that people are told about.
func (v *view) rank(i ops.RunItem, g group) float64 {
	rank := 100*float64(i.Severity.Rank()) + 4*float64(v.Advice[i.Condition].Role)
	switch i.News {
	case New:
		rank += 20
	case Worse:
		rank += 15
	case Forecast:
		rank -= 20
	}
	rank += min(20, 4*math.Log2(float64(1+len(g.members)-1+len(v.children[i.ResourceID])/8)))
	rank += 10 / (1 + max(0, v.Now.Sub(i.Since).Hours())/6)
	switch root := g.root(); {
	case root.Suppression.Active(v.Now, root.Severity):
		rank -= 60
	case root.State == ops.FindingAcknowledged:
		rank -= 10
	}
	return math.Round(rank*100) / 100
}

// cleared tells what was resolved since the run before, an incident once and
// only where nothing of it is active.
func (v *view) cleared() []ops.RunItem {
	lingers := map[string]bool{}
	for _, f := range v.findings {
		if f.Active() {
			lingers[cmp.Or(f.IncidentID, f.ID)] = true
		}
	}
	ended := map[string]ops.Finding{}
	for _, f := range v.findings {
		key := cmp.Or(f.IncidentID, f.ID)
		if f.Active() || lingers[key] || !v.inScope[f.ResourceID] {
			continue
		}
		if first, ok := ended[key]; !ok || v.nearer(f, first) < 0 {
			ended[key] = f
		}
	}
	items := make([]ops.RunItem, 0, len(ended))
	for _, f := range ended {
		r := v.resource(f.ResourceID)
		items = append(items, ops.RunItem{FindingID: f.ID, IncidentID: f.IncidentID, Condition: f.Condition, ResourceID: f.ResourceID,
			Place: place(r), Severity: f.Severity, Rank: float64(10 * f.Severity.Rank()), Since: f.FirstSeen, News: Cleared,
			What: line(f.Summary, mostWhat) + "; over since " + stamp(f.ResolvedAt) + " (" + f.ResolvedBy + ")"})
	}
	return items
}

// holding tells what is true but not for long enough yet, once for each
// condition of a resource, and not what is a finding already.
func (v *view) holding() []ops.RunItem {
	var items []ops.RunItem
	told := map[string]bool{}
	for _, h := range v.Holding {
		key := ops.Fingerprint(h.ResourceID, h.Condition)
		open := slices.ContainsFunc(v.active[h.ResourceID], func(f ops.Finding) bool { return f.Condition == h.Condition })
		if told[key] || open || !v.inScope[h.ResourceID] {
			continue
		}
		told[key] = true
		r := v.resource(h.ResourceID)
		items = append(items, ops.RunItem{Condition: h.Condition, ResourceID: h.ResourceID, Place: place(r), Severity: h.Severity,
			Rank: float64(20 + 10*h.Severity.Rank()), Since: h.Since, News: Forecast,
			What:   line(h.Summary, mostWhat) + "; true for " + length(h.Held.Round(time.Second).Seconds()) + " of the " + length(h.Hold.Seconds()) + " after which it is a finding",
			Checks: Fill(v.Advice[h.Condition].Checks, r)})
	}
	return items
}

// resource answers a resource also when it is not known any more.
func (v *view) resource(id string) ops.Resource {
	if r, ok := v.byID[id]; ok {
		return r
	}
	return ops.Resource{ID: id, Kind: "resource", Name: id, HostName: "unknown"}
}

func asIs(_ ops.Evidence, quote string) string { return quote }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
