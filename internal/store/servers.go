package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"reeve/internal/ops"
)

// SaveServer writes that a server lives, by the database's clock.
func (s *Store) SaveServer(ctx context.Context, x ops.Server) error {
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `INSERT INTO server (id, name, version, address, external, since_ms, seen_ms) VALUES ($1,$2,$3,$4,$5,$6,$7)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, address = excluded.address, external = excluded.external,
			since_ms = excluded.since_ms, seen_ms = excluded.seen_ms`, x.ID, x.Name, x.Version, x.Address, flag(x.External), toMS(x.Since), toMS(now))
	if err != nil {
		return fmt.Errorf("save server: %w", err)
	}
	return nil
}

// DeleteServer forgets a server that ended in order.
func (s *Store) DeleteServer(ctx context.Context, id string) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM server WHERE id = $1`, id)
	return err
}

// PruneServers forgets the servers that were not heard of since a time.
func (tx *Tx) PruneServers(ctx context.Context, before time.Time) error {
	_, err := tx.q.ExecContext(ctx, `DELETE FROM server WHERE seen_ms < $1`, toMS(before))
	return err
}

// Servers answers the servers that lived within a time.
func (s *Store) Servers(ctx context.Context, within time.Duration) ([]ops.Server, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.QueryContext(ctx, `SELECT id, name, version, address, external, since_ms, seen_ms FROM server WHERE seen_ms > $1 ORDER BY since_ms, id`, toMS(now.Add(-within)))
	if err != nil {
		return nil, fmt.Errorf("read servers: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.Server, error) {
		var x ops.Server
		var external int
		var since, seen int64
		err := r.Scan(&x.ID, &x.Name, &x.Version, &x.Address, &external, &since, &seen)
		x.External, x.Since, x.SeenAt = external == 1, fromMS(since), fromMS(seen)
		return x, err
	})
}
