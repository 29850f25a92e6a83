package turn

import (
	"context"
	"errors"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

// NewSource answers what claims are checked against: the store and the
// metrics.
func NewSource(s *store.Store, m *tsdb.DB) evidence.Source {
	return evidence.Source{
		Resource: s.Resource,
		Series: func(ctx context.Context, resourceID, metric string, from, to time.Time) ([]ops.Series, error) {
			return nil, errors.New("turn: not built yet")
		},
	}
}

// Resolver answers the resource of an ID, or of a name that only one has; NAME@HOST
// tells those of one name apart. Within says what may be answered: nil for
// all that is not removed.
func Resolver(s *store.Store, within func(ops.Resource) bool) func(ctx context.Context, ref string) (ops.Resource, error) {
	return func(ctx context.Context, ref string) (ops.Resource, error) { return s.Resource(ctx, ref) }
}
