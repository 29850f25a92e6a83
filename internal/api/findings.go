package api

import (
	"context"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

type findingsInput struct {
	State     []string `query:"state" doc:"active (open or acknowledged), open, acknowledged, resolved, closed; several with commas."`
	Severity  []string `query:"severity" doc:"warning, critical."`
	Condition string   `query:"condition"`
	Resource  string   `query:"resource" doc:"ID of a resource."`
	Incident  string   `query:"incident" doc:"ID of an incident."`
	Text      string   `query:"q" doc:"Part of the summary."`
	Limit     int      `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor    string   `query:"cursor"`
}

func (s *Server) findings(ctx context.Context, q findingsInput) (rest.List[ops.Finding], error) {
	f := store.FindingFilter{Condition: q.Condition, Resource: q.Resource, Incident: q.Incident, Text: q.Text, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Finding]{}, err
	}
	if err := s.checkFindings(ctx, q); err != nil {
		return rest.List[ops.Finding]{}, err
	}
	f.Severities = q.Severity
	for _, state := range q.State {
		if state == active {
			f.Active = true
			continue
		}
		f.States = append(f.States, state)
	}
	if f.Active && f.States != nil { // Several states together mean either.
		f.Active, f.States = false, append(f.States, string(ops.FindingOpen), string(ops.FindingAcknowledged))
	}
	items, next, err := s.store.Findings(ctx, f)
	return rest.ListOf(items, cursorOf("", next)), err
}

func (s *Server) checkFindings(ctx context.Context, q findingsInput) error {
	states := append([]ops.FindingState{active}, ops.FindingFlow.States()...)
	if err := amongAll("state", "state of findings", q.State, states); err != nil {
		return err
	}
	if err := amongAll("severity", "severity", q.Severity, []ops.Severity{ops.Warning, ops.Critical}); err != nil {
		return err
	}
	return s.checkCondition(ctx, q.Condition)
}

// A FindingDetail is a finding with all that is known of it.
type FindingDetail struct {
	ops.Finding
	Resource    *ops.Resource    `json:"resource"`
	Evidence    []ops.Evidence   `json:"evidence"`
	Transitions []ops.Transition `json:"transitions" doc:"What happened to it, the newest first."`
	History     []ops.Finding    `json:"history" doc:"Earlier findings of the same problem, the newest first."`
	Deliveries  []ops.Delivery   `json:"deliveries" doc:"What people were told of its incident, the newest first."`
}

// EntityVersion is what If-Match is compared with.
func (d FindingDetail) EntityVersion() int64 { return d.Finding.Version }

// detailLimit bounds the lists inside one object.
const detailLimit = 200

func (s *Server) finding(ctx context.Context, q rest.ByID) (FindingDetail, error) {
	f, err := s.store.Finding(ctx, q.ID)
	if err != nil {
		return FindingDetail{}, err
	}
	d := FindingDetail{Finding: f, Deliveries: []ops.Delivery{}}
	if d.Resource, err = s.resourceOf(ctx, f.ResourceID); err != nil {
		return d, err
	}
	if d.Evidence, err = s.store.Evidence(ctx, f.ID); err != nil {
		return d, err
	}
	if d.Transitions, err = s.store.Transitions(ctx, store.TransitionFilter{Object: "finding", ObjectID: f.ID, Newest: true, Limit: detailLimit}); err != nil {
		return d, err
	}
	if d.History, err = s.historyOf(ctx, f); err != nil {
		return d, err
	}
	if f.IncidentID != "" {
		d.Deliveries, _, err = s.store.Deliveries(ctx, store.DeliveryFilter{Incident: f.IncidentID, Limit: detailLimit})
	}
	return d, err
}

// resourceOf answers a resource, nil when its row is gone.
func (s *Server) resourceOf(ctx context.Context, id string) (*ops.Resource, error) {
	r, err := s.store.Resource(ctx, id)
	if ops.KindOf(err) == ops.NotFound {
		return nil, nil
	}
	return &r, err
}

// historyOf answers the other findings of the same problem.
func (s *Server) historyOf(ctx context.Context, f ops.Finding) ([]ops.Finding, error) {
	all, _, err := s.store.Findings(ctx, store.FindingFilter{Resource: f.ResourceID, Condition: f.Condition, Limit: 50})
	history := []ops.Finding{}
	for _, other := range all {
		if other.ID != f.ID {
			history = append(history, other)
		}
	}
	return history, err
}

type reasonInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" doc:"The ETag of what was read: refuses the change when it is no longer that."`
	Body    struct {
		Reason string `json:"reason,omitempty"`
	} `body:""`
}

const maxReasonBytes = 2000

func checkReason(reason string) error {
	if len(reason) > maxReasonBytes {
		return rest.Invalid("reason", "the reason has at most %d bytes", maxReasonBytes)
	}
	return nil
}

// decide does what a person decided about a finding, unless it changed since
// they looked.
func (s *Server) decide(ctx context.Context, q reasonInput, do func(ctx context.Context, id, actor, reason string, seen ...int64) (ops.Finding, error)) (ops.Finding, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return ops.Finding{}, err
	}
	f, err := do(ctx, q.ID, rest.CallerOf(ctx).Actor(), q.Body.Reason, seenIn(q.IfMatch)...)
	return f, stale("the finding", err)
}

func (s *Server) ackFinding(ctx context.Context, q reasonInput) (ops.Finding, error) {
	return s.decide(ctx, q, s.deps.Desk.AckFinding)
}

func (s *Server) unsuppress(ctx context.Context, q reasonInput) (ops.Finding, error) {
	return s.decide(ctx, q, s.deps.Desk.Unsuppress)
}

func (s *Server) resolve(ctx context.Context, q reasonInput) (ops.Finding, error) {
	return s.decide(ctx, q, s.deps.Desk.Resolve)
}

type suppressInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Kind   ops.SuppressionKind `json:"kind" enum:"snooze,accepted,maintenance"`
		Reason string              `json:"reason" doc:"Why nobody needs to be told."`
		Until  time.Time           `json:"until,omitzero" doc:"When it ends; needed for snooze and maintenance."`
	} `body:""`
}

func (s *Server) suppress(ctx context.Context, q suppressInput) (ops.Finding, error) {
	b := q.Body
	if err := checkReason(b.Reason); err != nil {
		return ops.Finding{}, err
	}
	f, err := s.deps.Desk.Suppress(ctx, q.ID, ops.Suppression{Kind: b.Kind, Reason: b.Reason, Actor: rest.CallerOf(ctx).Actor(), Until: b.Until}, seenIn(q.IfMatch)...)
	return f, stale("the finding", err)
}

type explainInput struct {
	Resource  string `query:"resource" doc:"ID of a resource."`
	Condition string `query:"condition" doc:"Name of a detector."`
}

// explain says why a condition of a resource is or is not a finding.
func (s *Server) explain(ctx context.Context, q explainInput) (any, error) {
	if q.Resource == "" || q.Condition == "" {
		return nil, rest.Invalid("resource", "name a resource and a condition, or a finding as /api/v1/explain/ID")
	}
	return s.deps.Desk.Explain(ctx, q.Resource, q.Condition)
}

func (s *Server) explainFinding(ctx context.Context, q rest.ByID) (any, error) {
	f, err := s.store.Finding(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return s.deps.Desk.Explain(ctx, f.ResourceID, f.Condition)
}
