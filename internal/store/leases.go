package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

// TakeLease takes or keeps the right to do what one server alone does, until
// a time of the database's clock. The fence rises with each new holder. Held
// is false while another server holds it.
func (s *Store) TakeLease(ctx context.Context, name, holder string, life time.Duration) (fence int64, held bool, err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return 0, false, err
	}
	err = s.Tx(ctx, now, func(tx *Tx) error {
		err := tx.q.QueryRowContext(ctx, `INSERT INTO lease (name, holder, fence, until_ms) VALUES ($1, $2, 1, $3)
			ON CONFLICT (name) DO UPDATE SET fence = CASE WHEN lease.holder = excluded.holder THEN lease.fence ELSE lease.fence + 1 END,
				holder = excluded.holder, until_ms = excluded.until_ms
			WHERE lease.holder = excluded.holder OR lease.until_ms < $4 RETURNING fence`,
			name, holder, toMS(now.Add(life)), toMS(now)).Scan(&fence)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		held = err == nil
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("take the lease %s: %w", name, err)
	}
	return fence, held, nil
}

// CheckLease refuses, inside a transaction, a holder that another has
// followed: what it judged is out of date.
func (tx *Tx) CheckLease(ctx context.Context, name, holder string, fence int64) (bool, error) {
	return one(tx.q.ExecContext(ctx, `UPDATE lease SET fence = fence WHERE name = $1 AND holder = $2 AND fence = $3`, name, holder, fence))
}

// A Lease is the right to do what one server alone does.
type Lease struct {
	Name, Holder string
	Fence        int64
}

type leaseKey struct{}

// Under answers a context whose transactions happen only while the lease is
// still its holder's: what another has followed was judged out of date.
func Under(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// underLease refuses a transaction whose lease is another's now.
func (tx *Tx) underLease(ctx context.Context) error {
	l, ok := ctx.Value(leaseKey{}).(Lease)
	if !ok {
		return nil
	}
	held, err := tx.CheckLease(ctx, l.Name, l.Holder, l.Fence)
	if err == nil && !held {
		err = ops.Errorf(ops.Conflict, "another server has taken over")
	}
	return err
}

// LeaseHolder answers who holds a lease now, "" for nobody.
func (s *Store) LeaseHolder(ctx context.Context, name string) (string, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return "", err
	}
	var holder string
	err = s.q.QueryRowContext(ctx, `SELECT holder FROM lease WHERE name = $1 AND until_ms >= $2`, name, toMS(now)).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return holder, err
}

// DropLease gives a lease back, so that another server need not wait.
func (s *Store) DropLease(ctx context.Context, name, holder string) error {
	_, err := s.write.ExecContext(ctx, `UPDATE lease SET until_ms = 0 WHERE name = $1 AND holder = $2`, name, holder)
	return err
}
