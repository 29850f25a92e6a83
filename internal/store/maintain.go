package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reeve/internal/ops"
)

// Checkpoint moves the write-ahead log into the database and truncates it:
// under constant readers SQLite would let it grow. PostgreSQL needs none.
func (s *Store) Checkpoint(ctx context.Context) error {
	if s.dialect.Name != "sqlite" {
		return nil
	}
	var busy, logged, moved int64
	return s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &logged, &moved)
}

// Size answers the bytes that the database takes.
func (s *Store) Size(ctx context.Context) (int64, error) {
	var n int64
	query := `SELECT pg_database_size(current_database())`
	if s.dialect.Name == "sqlite" {
		query = `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`
	}
	err := s.q.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

// Backup writes a consistent copy of an SQLite database to a file that must
// not exist, while everything goes on. PostgreSQL has its own tools.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.dialect.Name != "sqlite" {
		return ops.Errorf(ops.Invalid, "this Reeve keeps its state in PostgreSQL: back it up with pg_dump, or with the tools of whoever runs it")
	}
	if _, err := os.Stat(path); err == nil {
		return ops.Errorf(ops.Conflict, "%s exists already; name a new file", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return ops.Because(ops.Invalid, err, "the folder of %s cannot be made", path)
	}
	if err := s.copyInto(ctx, path); err != nil {
		return fmt.Errorf("copy the database to %s: %w", path, err)
	}
	return os.Chmod(path, 0o600)
}

// copyInto copies on a connection of its own, because readers' connections
// may not write, not even to another file.
func (s *Store) copyInto(ctx context.Context, path string) error {
	c, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, `PRAGMA query_only = 0`); err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `VACUUM INTO '`+strings.ReplaceAll(path, "'", "''")+`'`)
	_, again := c.ExecContext(context.WithoutCancel(ctx), `PRAGMA query_only = 1`)
	return errors.Join(err, again)
}

// Integrity answers what SQLite finds wrong with the database file, "" for
// nothing.
func (s *Store) Integrity(ctx context.Context) (string, error) {
	if s.dialect.Name != "sqlite" {
		return "", nil
	}
	var answer string
	if err := s.q.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&answer); err != nil || answer == "ok" {
		return "", err
	}
	return answer, nil
}

// StageRestore checks a backup and leaves it beside an SQLite database for
// the next start to put in place.
func (s *Store) StageRestore(ctx context.Context, at time.Time, backup Backup, why Why) (Restored, error) {
	path, err := SQLitePath(s.url)
	if err != nil {
		return Restored{}, err
	}
	return Restore{Database: path, At: at, Why: why}.Stage(ctx, backup)
}
