package watch

import (
	"context"
	"fmt"
	"time"

	"reeve/internal/brief"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// A Story explains an incident without a model: what, since when, on what
// evidence, likely causes, what to check, who was told.
type Story struct {
	What   string    `json:"what"`
	Since  time.Time `json:"since"`
	Why    []string  `json:"why" doc:"The members and why they belong together."`
	Causes []string  `json:"causes"`
	Checks []string  `json:"checks"`
	Told   []string  `json:"told"`
}

// Story tells an incident.
func (w *Watch) Story(ctx context.Context, incidentID string) (Story, error) {
	i, err := w.store.Incident(ctx, incidentID)
	if err != nil {
		return Story{}, err
	}
	root, err := w.store.Finding(ctx, i.RootID)
	if err != nil {
		return Story{}, err
	}
	r, err := w.store.Resource(ctx, root.ResourceID)
	if err != nil {
		return Story{}, err
	}
	s := Story{What: fmt.Sprintf("%s (%s).", root.Summary, brief.Place(r)), Since: root.FirstSeen, Why: []string{}, Causes: []string{}, Checks: []string{}, Told: []string{}}
	if err := w.tellMembers(ctx, &s, i); err != nil {
		return s, err
	}
	if err := w.tellCauses(ctx, &s, root, r); err != nil {
		return s, err
	}
	told, _, err := w.store.Deliveries(ctx, store.DeliveryFilter{Incident: i.ID, Limit: 50})
	for _, d := range told {
		s.Told = append(s.Told, fmt.Sprintf("%s: %s by %s, %s", stamp(d.CreatedAt), d.Message.Event, d.Channel, d.State))
	}
	return s, err
}

func (w *Watch) tellMembers(ctx context.Context, s *Story, i ops.Incident) error {
	for _, m := range i.Members {
		if m.FindingID == i.RootID {
			continue
		}
		f, err := w.store.Finding(ctx, m.FindingID)
		if err != nil {
			return err
		}
		s.Why = append(s.Why, fmt.Sprintf("%s: %s", f.Summary, m.Reason))
	}
	return nil
}

// tellCauses names what changed shortly before, then what usually causes the
// condition.
func (w *Watch) tellCauses(ctx context.Context, s *Story, root ops.Finding, r ops.Resource) error {
	changes, err := w.store.Transitions(ctx, store.TransitionFilter{Object: "resource", ObjectID: r.ID, Newest: true, Limit: 50})
	if err != nil {
		return err
	}
	s.Causes = append(s.Causes, brief.ChangeCauses(changes, r, root.FirstSeen)...)
	if def, ok := w.Definition(root.Condition); ok {
		s.Causes = append(s.Causes, brief.Fill(def.Causes, r)...)
		s.Checks = append(s.Checks, brief.Fill(def.Checks, r)...)
	}
	return nil
}
