package investigate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// mostNear bounds the resources of a host that a scene holds changes of.
const mostNear = 300

// load reads the scene of an incident.
func (v *Investigate) load(ctx context.Context, incidentID string, now time.Time) (*Scene, error) {
	s := &Scene{Now: now, Near: map[string]ops.Resource{}, Series: map[SeriesKey][]ops.Series{}, Roles: map[string]detect.Role{}}
	for _, d := range v.o.Definitions {
		s.Roles[d.Name] = d.Role
	}
	var err error
	if s.Incident, err = v.store.Incident(ctx, incidentID); err != nil {
		return nil, err
	}
	if s.Root, err = v.store.Finding(ctx, s.Incident.RootID); err != nil {
		return nil, err
	}
	s.Began = s.Root.FirstSeen
	if s.Root.Episode > 1 || s.Began.IsZero() {
		s.Began = s.Root.OpenedAt // it is the present episode that is to be explained
	}
	if s.Resource, err = v.store.Resource(ctx, s.Root.ResourceID); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, *Scene) error{v.loadNear, v.loadFindings, v.loadChanges, v.loadEvents, v.loadPast} {
		if err := step(ctx, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// loadNear reads what is on the host and what is above the resource.
func (v *Investigate) loadNear(ctx context.Context, s *Scene) error {
	all, _, err := v.store.Resources(ctx, store.ResourceFilter{Host: s.Resource.HostID, Presence: []string{string(ops.Present), string(ops.Absent)}, All: true})
	if err != nil {
		return err
	}
	for _, r := range all {
		s.Near[r.ID] = r
	}
	s.Near[s.Resource.ID] = s.Resource
	s.Host, s.Parent = s.Near[s.Resource.HostID], s.Near[s.Resource.ParentID]
	if s.Resource.Kind == ops.KindHost {
		s.Host, s.Parent = s.Resource, ops.Resource{}
	}
	return nil
}

// loadFindings reads what else is or was wrong.
func (v *Investigate) loadFindings(ctx context.Context, s *Scene) error {
	active, _, err := v.store.Findings(ctx, store.FindingFilter{Active: true, All: true})
	if err != nil {
		return err
	}
	members, _, err := v.store.Findings(ctx, store.FindingFilter{Incident: s.Incident.ID, Limit: 200})
	if err != nil {
		return err
	}
	seen := map[string]bool{s.Root.ID: true}
	for _, f := range slices.Concat(active, members) {
		_, near := s.Near[f.ResourceID]
		switch {
		case seen[f.ID]:
			continue
		case f.Condition == s.Root.Condition && f.Active():
			s.Elsewhere = append(s.Elsewhere, f)
		}
		seen[f.ID] = true
		if near {
			s.Around = append(s.Around, f)
		}
	}
	slices.SortFunc(s.Around, func(a, b ops.Finding) int { return a.FirstSeen.Compare(b.FirstSeen) })
	return nil
}

// loadChanges reads what changed shortly before it began.
func (v *Investigate) loadChanges(ctx context.Context, s *Scene) error {
	ids := []string{s.Resource.ID}
	for id, r := range s.Near {
		if id != s.Resource.ID && (id == s.Parent.ID || id == s.Host.ID || r.ParentID == s.Resource.ID || len(ids) < mostNear) {
			ids = append(ids, id)
		}
	}
	all, err := v.store.ChangesOf(ctx, ids, s.Began.Add(-changesBefore), s.Began)
	s.Changes = all
	return err
}

// loadEvents reads what happened to the resource, its parent, its children
// and the host.
func (v *Investigate) loadEvents(ctx context.Context, s *Scene) error {
	for id, r := range s.Near {
		if id != s.Resource.ID && id != s.Host.ID && id != s.Parent.ID && r.ParentID != s.Resource.ID || r.Kind != ops.KindHost && s.Resource.Kind == ops.KindHost {
			continue
		}
		events, err := v.store.ResourceEvents(ctx, id, 500)
		if err != nil {
			return err
		}
		for _, e := range events {
			if !e.At.Before(s.Began.Add(-eventsBefore)) {
				s.Events = append(s.Events, e)
			}
		}
	}
	slices.SortStableFunc(s.Events, func(a, b store.StoredEvent) int { return a.At.Compare(b.At) })
	return nil
}

func (v *Investigate) loadPast(ctx context.Context, s *Scene) (err error) {
	s.Past, err = v.o.Before(ctx, s.Root.Condition, s.Resource.ID)
	return err
}

// loadSeries reads what the judges of a runbook need of the metrics. What
// cannot be read is missing, and the judges say so.
func (v *Investigate) loadSeries(ctx context.Context, s *Scene, b Runbook) {
	from := s.Began.Add(-findingsBefore)
	if least := s.Now.Add(-mostMinutes * time.Minute); from.Before(least) {
		from = least
	}
	for _, k := range b.wants(s) {
		list, err := v.source.Series(ctx, k.ResourceID, k.Metric, from, s.Now)
		if err != nil {
			v.log.Warn("readings for an investigation cannot be read", "metric", k.Metric, "resource", k.ResourceID, "err", err)
			continue
		}
		s.Series[k] = list
	}
}

// digest names a text by what it holds.
func digest(text []byte) string { return fmt.Sprintf("%x", sum(text))[:16] }
