package store

import (
	"context"
	"database/sql"
	"fmt"
)

// together is how many rows insertMany writes with one statement. SQLite
// looks each numbered parameter up among all others as it reads a statement,
// so that long ones cost more than they save.
const together = 16

// insertMany writes n rows, each with the values that row answers, with a
// statement that is read once.
func (tx *Tx) insertMany(ctx context.Context, before, after string, n int, row func(i int) []any) error {
	var many *sql.Stmt
	for i := 0; i < n; {
		rows := min(together, n-i)
		var args []any
		for range rows {
			args = append(args, row(i)...)
			i++
		}
		query := before + tuples(rows, len(args)/rows) + after
		if many == nil && rows < n {
			var err error
			if many, err = tx.q.PrepareContext(ctx, query); err != nil {
				return fmt.Errorf("write %d rows: %w", n, err)
			}
			defer many.Close()
		}
		exec := func() (sql.Result, error) { return tx.q.ExecContext(ctx, query, args...) }
		if rows == together && many != nil {
			exec = func() (sql.Result, error) { return many.ExecContext(ctx, args...) }
		}
		if _, err := exec(); err != nil {
			return fmt.Errorf("write %d rows: %w", n, err)
		}
	}
	return nil
}
