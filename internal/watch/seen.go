package watch

import (
	"context"
	"fmt"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// A StaleError says that a person decided about another version of a thing
// than the one that is there.
type StaleError struct{ Version int64 }

func (e StaleError) Error() string {
	return fmt.Sprintf("it was changed meanwhile and is at version %d", e.Version)
}

// checkSeen compares the versions that a decision may be about with the one
// that is there, inside the transaction that carries it out. No versions mean
// any.
func checkSeen(version int64, seen []int64) error {
	if len(seen) > 0 && !slices.Contains(seen, version) {
		return StaleError{version}
	}
	return nil
}

// findingSeen reads a finding that a person decided about.
func findingSeen(ctx context.Context, tx *store.Tx, id string, seen []int64) (ops.Finding, error) {
	f, err := tx.Finding(ctx, id)
	if err != nil {
		return f, err
	}
	return f, checkSeen(f.Version, seen)
}
