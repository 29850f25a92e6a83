package watch

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"reeve/internal/correlate"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// group brings the incidents in line with the findings: it opens, joins,
// merges, and moves each incident to where its members are.
func (w *Watch) group(ctx context.Context, tx *store.Tx) error {
	findings, err := tx.FindingsOfOpenIncidents(ctx)
	if err != nil {
		return err
	}
	incidents, err := tx.OpenIncidents(ctx)
	if err != nil {
		return err
	}
	g := grouping{tx: tx, findings: map[string]ops.Finding{}, incidents: map[string]ops.Incident{}}
	for _, f := range findings {
		g.findings[f.ID] = f
	}
	for _, i := range incidents {
		g.incidents[i.ID] = i
	}
	topo, err := w.topology(ctx, tx, findings)
	if err != nil {
		return err
	}
	// What is resolved causes nothing new; it stays with its incident. What
	// only a model saw has an incident of its own: it must not take in what
	// people would be told of otherwise.
	alone := func(f ops.Finding) bool { return !f.Active() || f.Origin == ops.OriginPatrol }
	groups := correlate.Groups(w.members(slices.DeleteFunc(slices.Clone(findings), alone)), topo)
	for _, f := range findings {
		if alone(f) {
			reason := "it came with its incident"
			if f.Active() {
				reason = "only a model saw it"
			}
			groups = append(groups, correlate.Group{Root: f.ID, Members: []correlate.Grouped{{FindingID: f.ID, Reason: reason}}})
		}
	}
	for _, x := range together(groups, g.findings) {
		if err := g.settle(ctx, w, x, topo); err != nil {
			return err
		}
	}
	return g.leave(ctx, incidents)
}

// leave ends incidents whose only finding a detector took over: it has one of
// its own now.
func (g *grouping) leave(ctx context.Context, incidents []ops.Incident) error {
	full := map[string]bool{}
	for _, f := range g.findings {
		full[f.IncidentID] = true
	}
	for _, i := range incidents {
		if full[i.ID] {
			continue
		}
		root, err := g.tx.Finding(ctx, i.RootID)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return err
		}
		_, err = g.tx.MoveIncident(ctx, i, ops.IncidentMerge, store.Why{Actor: actor, Reason: "a detector took its finding over", Facts: map[string]string{"into": root.IncidentID}},
			func(i *ops.Incident) { i.MergedInto, i.ClosedAt = root.IncidentID, g.tx.Now() })
		if err != nil {
			return err
		}
	}
	return nil
}

// A grouping is one pass over findings and incidents inside a transaction.
type grouping struct {
	tx        *store.Tx
	findings  map[string]ops.Finding
	incidents map[string]ops.Incident
}

func (w *Watch) members(findings []ops.Finding) []correlate.Member {
	all := make([]correlate.Member, 0, len(findings))
	for _, f := range findings {
		m := correlate.Member{FindingID: f.ID, ResourceID: f.ResourceID, Condition: f.Condition, OpenedAt: f.OpenedAt}
		if d, ok := w.Definition(f.Condition); ok {
			m.Role = int(d.Role)
		}
		all = append(all, m)
	}
	return all
}

// topology answers the resources of findings with their parents, also those
// that are gone.
func (w *Watch) topology(ctx context.Context, tx *store.Tx, findings []ops.Finding) (correlate.Topology, error) {
	topo := correlate.Topology(w.scene.byID)
	var gone map[string]ops.Resource
	for _, f := range findings {
		if _, ok := w.scene.byID[f.ResourceID]; ok {
			continue
		}
		r, err := tx.Resource(ctx, f.ResourceID)
		if ops.KindOf(err) == ops.NotFound {
			continue
		}
		if err != nil {
			return topo, err
		}
		if gone == nil {
			gone = make(map[string]ops.Resource, len(w.scene.byID)+1)
			for id, x := range w.scene.byID {
				gone[id] = x
			}
			topo = gone
		}
		gone[r.ID] = r
	}
	return topo, nil
}

// together unites groups that share an incident: what people were told
// belongs together is never taken apart again.
func together(groups []correlate.Group, findings map[string]ops.Finding) []correlate.Group {
	var united []correlate.Group
	at := map[string]int{} // incident to index in united
	for _, g := range groups {
		to := -1
		for _, m := range g.Members {
			if i, ok := at[findings[m.FindingID].IncidentID]; ok {
				to = i
				break
			}
		}
		if to < 0 {
			to = len(united)
			united = append(united, correlate.Group{Root: g.Root})
		}
		united[to].Members = append(united[to].Members, g.Members...)
		for _, m := range g.Members {
			if id := findings[m.FindingID].IncidentID; id != "" {
				at[id] = to
			}
		}
	}
	return united
}

// settle brings one group's incident about.
func (g *grouping) settle(ctx context.Context, w *Watch, x correlate.Group, topo correlate.Topology) error {
	root := g.root(w, x)
	home, others := g.homes(x)
	var err error
	if home.ID == "" {
		if home, err = g.open(ctx, w, root, topo); err != nil {
			return err
		}
	}
	for _, o := range others {
		_, err := g.tx.MoveIncident(ctx, o, ops.IncidentMerge, store.Why{Actor: actor, Reason: "has one cause with " + home.ID, Facts: map[string]string{"into": home.ID}},
			func(i *ops.Incident) { i.MergedInto, i.ClosedAt = home.ID, g.tx.Now() })
		if err != nil {
			return err
		}
	}
	for _, m := range x.Members {
		if g.findings[m.FindingID].IncidentID == home.ID {
			continue
		}
		if err := g.tx.Join(ctx, home.ID, ops.IncidentMember{FindingID: m.FindingID, Reason: m.Reason, JoinedAt: g.tx.Now()}); err != nil {
			return err
		}
	}
	return g.move(ctx, w, home, root, x, topo)
}

// root answers the member that is most likely the cause, also when it is
// resolved while others linger.
func (g *grouping) root(w *Watch, x correlate.Group) ops.Finding {
	all := make([]ops.Finding, 0, len(x.Members))
	for _, m := range x.Members {
		all = append(all, g.findings[m.FindingID])
	}
	role := func(f ops.Finding) int {
		d, _ := w.Definition(f.Condition)
		return int(d.Role)
	}
	return slices.MinFunc(all, func(a, b ops.Finding) int {
		return cmp.Or(cmp.Compare(role(b), role(a)), a.FirstSeen.Compare(b.FirstSeen), cmp.Compare(a.ID, b.ID))
	})
}

// homes answers the oldest incident of the members, which keeps them, and the
// others, which merge into it.
func (g *grouping) homes(x correlate.Group) (home ops.Incident, others []ops.Incident) {
	var all []ops.Incident
	seen := map[string]bool{"": true}
	for _, m := range x.Members {
		id := g.findings[m.FindingID].IncidentID
		if i, ok := g.incidents[id]; ok && !seen[id] {
			seen[id] = true
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return home, nil
	}
	slices.SortFunc(all, func(a, b ops.Incident) int { return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID)) })
	return all[0], all[1:]
}

func (g *grouping) open(ctx context.Context, w *Watch, root ops.Finding, topo correlate.Topology) (ops.Incident, error) {
	i := ops.Incident{ID: ops.NewID(ops.IncidentID), Title: w.title(root, topo), State: ops.IncidentFlow.Start(), Severity: root.Severity,
		Peak: root.Severity, RootID: root.ID, OpenedAt: g.tx.Now(), Version: 1}
	return i, g.tx.OpenIncident(ctx, i, store.Why{Actor: actor, Reason: root.Summary})
}

// title says what and where in one line.
func (w *Watch) title(root ops.Finding, topo correlate.Topology) string {
	what := root.Condition
	if d, ok := w.Definition(root.Condition); ok {
		what = d.Title
	} else if what == ops.Advisory {
		what = "Advice of a model"
	}
	r, ok := topo[root.ResourceID]
	switch {
	case !ok:
		return what
	case r.Kind == ops.KindHost:
		return fmt.Sprintf("%s: %s", what, r.Name)
	}
	return fmt.Sprintf("%s: %s on %s", what, r.Name, r.HostName)
}

// A sum is what an incident's members add up to.
type sum struct {
	active, open int
	severity     ops.Severity
}

func (g *grouping) sum(x correlate.Group) sum {
	var s sum
	for _, m := range x.Members {
		f := g.findings[m.FindingID]
		if f.Active() {
			s.active++
			s.severity = s.severity.Max(f.Severity)
		}
		if f.State == ops.FindingOpen {
			s.open++
		}
	}
	return s
}

// move brings an incident to where its members are.
func (g *grouping) move(ctx context.Context, w *Watch, i ops.Incident, root ops.Finding, x correlate.Group, topo correlate.Topology) error {
	s := g.sum(x)
	change := func(i *ops.Incident) {
		if s.active > 0 {
			i.Severity, i.Peak = s.severity, i.Peak.Max(s.severity)
			i.RootID, i.Title = root.ID, w.title(root, topo)
		}
	}
	step := func(on ops.IncidentEvent, reason string, more func(*ops.Incident)) error {
		_, err := g.tx.MoveIncident(ctx, i, on, store.Why{Actor: actor, Reason: reason}, func(i *ops.Incident) { change(i); more(i) })
		return err
	}
	none := func(*ops.Incident) {}
	switch {
	case s.active == 0 && i.State != ops.IncidentMitigated:
		return step(ops.IncidentMitigate, "every member is resolved", func(i *ops.Incident) { i.MitigatedAt = g.tx.Now() })
	case s.active > 0 && i.State == ops.IncidentMitigated:
		return step(ops.IncidentReopen, "a member is active again", func(i *ops.Incident) {
			i.MitigatedAt = i.ClosedAt
			i.AckedBy, i.AckedAt = "", i.ClosedAt
		})
	case s.active == 0:
		return nil
	case i.State == ops.IncidentAcknowledged && s.open > 0:
		return step(ops.IncidentRise, "a member is open that nobody has acknowledged", func(i *ops.Incident) { i.AckedBy, i.AckedAt = "", i.ClosedAt })
	case s.severity.Rank() > i.Severity.Rank():
		return step(ops.IncidentRise, "the severity rose to "+string(s.severity), none)
	case s.severity != i.Severity || root.ID != i.RootID:
		_, err := g.tx.NoteIncident(ctx, i, "reweigh", store.Why{Actor: actor, Reason: "its members changed"}, change)
		return err
	}
	return nil
}
