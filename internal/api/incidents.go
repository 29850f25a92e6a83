package api

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

type incidentsInput struct {
	State  []string `query:"state" doc:"active (not closed), open, acknowledged, mitigated, closed; several with commas."`
	Limit  int      `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor string   `query:"cursor"`
}

func (s *Server) incidents(ctx context.Context, q incidentsInput) (rest.List[ops.Incident], error) {
	f := store.IncidentFilter{Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Incident]{}, err
	}
	if err := amongAll("state", "state of incidents", q.State, append([]ops.IncidentState{active}, ops.IncidentFlow.States()...)); err != nil {
		return rest.List[ops.Incident]{}, err
	}
	for _, state := range q.State {
		if state == active {
			f.States = append(f.States, string(ops.IncidentOpen), string(ops.IncidentAcknowledged), string(ops.IncidentMitigated))
			continue
		}
		f.States = append(f.States, state)
	}
	items, next, err := s.store.Incidents(ctx, f)
	return rest.ListOf(items, cursorOf("", next)), err
}

// An IncidentDetail is an incident with all that a person needs to judge it.
type IncidentDetail struct {
	ops.Incident
	Findings    []ops.Finding           `json:"findings" doc:"Its members."`
	Resources   map[string]ops.Resource `json:"resources" doc:"The resources of its members, by ID."`
	Transitions []ops.Transition        `json:"transitions" doc:"What happened to it and to its members, the newest first."`
	Deliveries  []ops.Delivery          `json:"deliveries" doc:"What people were told, the newest first."`
	Inquiries   []ops.Investigation     `json:"investigations" doc:"What was looked into, the newest first, without details."`
	Explain     any                     `json:"explain" doc:"What it is, since when, why, likely causes, what to check, who was told."`
}

// EntityVersion is what If-Match is compared with.
func (d IncidentDetail) EntityVersion() int64 { return d.Incident.Version }

func (s *Server) incident(ctx context.Context, q rest.ByID) (IncidentDetail, error) {
	i, err := s.store.Incident(ctx, q.ID)
	if err != nil {
		return IncidentDetail{}, err
	}
	d := IncidentDetail{Incident: i, Resources: map[string]ops.Resource{}}
	if d.Findings, _, err = s.store.Findings(ctx, store.FindingFilter{Incident: i.ID, Limit: 1000}); err != nil {
		return d, err
	}
	if err := s.addResources(ctx, &d); err != nil {
		return d, err
	}
	if d.Transitions, err = s.transitionsOf(ctx, d); err != nil {
		return d, err
	}
	if d.Deliveries, _, err = s.store.Deliveries(ctx, store.DeliveryFilter{Incident: i.ID, Limit: detailLimit}); err != nil {
		return d, err
	}
	if d.Inquiries, _, err = s.store.Investigations(ctx, store.InvestigationFilter{Incident: i.ID, Limit: 20}); err != nil {
		return d, err
	}
	d.Explain, err = s.deps.Desk.Story(ctx, i.ID)
	return d, err
}

func (s *Server) addResources(ctx context.Context, d *IncidentDetail) error {
	p, err := s.estate.look(ctx)
	if err != nil {
		return err
	}
	for _, f := range d.Findings {
		if r := p.byID[f.ResourceID]; r != nil {
			d.Resources[r.ID] = *r
			continue
		}
		r, err := s.resourceOf(ctx, f.ResourceID)
		if err != nil {
			return err
		}
		if r != nil {
			d.Resources[r.ID] = *r
		}
	}
	return nil
}

// transitionsOf answers the time-line of an incident: its own transitions and
// those of its first members.
func (s *Server) transitionsOf(ctx context.Context, d IncidentDetail) ([]ops.Transition, error) {
	const members = 20
	all, err := s.store.Transitions(ctx, store.TransitionFilter{Object: "incident", ObjectID: d.ID, Newest: true, Limit: detailLimit})
	if err != nil {
		return nil, err
	}
	for _, f := range d.Findings[:min(members, len(d.Findings))] {
		more, err := s.store.Transitions(ctx, store.TransitionFilter{Object: "finding", ObjectID: f.ID, Newest: true, Limit: 50})
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return newestFirst(all), nil
}

func (s *Server) ackIncident(ctx context.Context, q reasonInput) (ops.Incident, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return ops.Incident{}, err
	}
	i, err := s.deps.Desk.AckIncident(ctx, q.ID, rest.CallerOf(ctx).Actor(), q.Body.Reason, seenIn(q.IfMatch)...)
	return i, stale("the incident", err)
}
