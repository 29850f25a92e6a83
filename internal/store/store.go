// Package store keeps the relational state of Reeve: one set of SQL texts for
// SQLite and PostgreSQL, one file an aggregate, methods named by what the
// domain does.
//
// Every change goes through Store.Tx and leaves one transition row, which is
// the audit entry, the time-line and the row that cursors and the event
// stream read. Reads work on a Store and, with the transaction's own view, on
// a Tx.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"reeve/internal/ops"
)

// A Store is one open database.
type Store struct {
	view
	log     *slog.Logger
	write   *sql.DB
	read    *sql.DB
	dialect Dialect
	url     string

	mu        sync.Mutex
	listeners map[chan struct{}]bool
}

// A view is what can be read, from a pool or from inside a transaction.
type view struct{ q querier }

// querier is what *sql.DB and *sql.Tx share.
type querier interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
	PrepareContext(context.Context, string) (*sql.Stmt, error)
}

// A Tx is one transaction: all of what its methods change happens, or none.
type Tx struct {
	view
	now     time.Time
	pending []ops.Transition
}

// Now answers the time that the transaction's changes carry.
func (tx *Tx) Now() time.Time { return tx.now }

// Tx runs f in one transaction and appends the transitions that f recorded to
// the audit chain, last before commit. When f answers an error nothing has
// happened.
func (s *Store) Tx(ctx context.Context, now time.Time, f func(*Tx) error) error {
	t, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.failed("begin", err)
	}
	defer t.Rollback()
	tx := &Tx{view: view{t}, now: now.Truncate(time.Millisecond).UTC()}
	if err := tx.underLease(ctx); err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.seal(ctx); err != nil {
		return s.failed("append to the audit chain", err)
	}
	if err := t.Commit(); err != nil {
		return s.failed("commit", err)
	}
	if len(tx.pending) > 0 {
		s.tell()
	}
	return nil
}

// failed classes a database failure: what the domain already classed stays.
func (s *Store) failed(what string, err error) error {
	if _, ok := errors.AsType[*ops.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Changed answers a channel that receives after commits that recorded
// transitions. It is a hint: a reader that misses it finds the rows at its
// next look. Call the function when done.
func (s *Store) Changed() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, c)
	}
}

func (s *Store) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.listeners {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Now answers the database's clock, for times that several servers must agree
// on. A file of SQLite has one process, whose clock it is.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if s.dialect.now == "" {
		return time.Now().Truncate(time.Millisecond).UTC(), ctx.Err()
	}
	var ms int64
	if err := s.q.QueryRowContext(ctx, s.dialect.now).Scan(&ms); err != nil {
		return time.Time{}, s.failed("ask the database's clock", err)
	}
	return fromMS(ms), nil
}

// Close closes the database.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// Dialect answers "sqlite" or "postgres".
func (s *Store) Dialect() string { return s.dialect.Name }

// toMS and fromMS are the only forms of time in the database: milliseconds
// since 1970, 0 for none.
func toMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// one reports whether a statement changed exactly the row it was meant to.
func one(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
