package notify

import (
	"cmp"
	"context"
	"slices"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// casePastLimit is how many deliveries of an incident are looked back on.
const casePastLimit = 1000

// caseHistoryLimit is how many of the newest transitions of an incident are
// looked at for an acknowledgement that ended.
const caseHistoryLimit = 200

// reader is what a case is read from: the store, or a transaction.
type reader interface {
	Incident(ctx context.Context, id string) (ops.Incident, error)
	Findings(ctx context.Context, f store.FindingFilter) ([]ops.Finding, *store.Key, error)
	Resource(ctx context.Context, id string) (ops.Resource, error)
	Deliveries(ctx context.Context, f store.DeliveryFilter) ([]ops.Delivery, *store.Key, error)
	Transitions(ctx context.Context, f store.TransitionFilter) ([]ops.Transition, error)
}

// readCase reads all that is needed to decide about an incident.
func readCase(ctx context.Context, r reader, id string) (Case, error) {
	var c Case
	var err error
	if c.Incident, err = r.Incident(ctx, id); err != nil {
		return c, err
	}
	findings, _, err := r.Findings(ctx, store.FindingFilter{Incident: id, All: true})
	if err != nil {
		return c, err
	}
	sortMembers(findings, c.Incident.RootID)
	for _, f := range findings {
		resource, err := r.Resource(ctx, f.ResourceID)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return c, err
		}
		c.Members = append(c.Members, Member{f, resource})
	}
	c.Past, _, err = r.Deliveries(ctx, store.DeliveryFilter{Incident: id, Limit: casePastLimit})
	slices.Reverse(c.Past)
	if err == nil && c.Incident.State == ops.IncidentOpen && len(c.Past) > 0 {
		c.Reopened, err = reopened(ctx, r, id)
	}
	return c, err
}

// reopened answers when an incident went last from acknowledged to open, the
// zero time for never.
func reopened(ctx context.Context, r reader, id string) (time.Time, error) {
	history, err := r.Transitions(ctx, store.TransitionFilter{Object: "incident", ObjectID: id, Newest: true, Limit: caseHistoryLimit})
	if err != nil {
		return time.Time{}, err
	}
	for _, t := range history {
		if t.From == string(ops.IncidentAcknowledged) && t.To == string(ops.IncidentOpen) {
			return t.At, nil
		}
	}
	return time.Time{}, nil
}

// sortMembers puts the root first, then what is active, the most severe and
// the oldest first.
func sortMembers(findings []ops.Finding, root string) {
	order := func(f ops.Finding) int {
		switch {
		case f.ID == root:
			return 0
		case f.Active():
			return 1
		}
		return 2
	}
	slices.SortStableFunc(findings, func(a, b ops.Finding) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
			a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
}
