// Package crash kills Reeve at every statement and at random instants, starts
// it again and checks that the invariants hold.
package crash

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"

	"reeve/internal/store"
)

var errDead = errors.New("the process died here")

// left is how many statements may run before the process is dead. A dead
// process does nothing more: every later statement fails too.
var left atomic.Int64

// ran counts the statements since it was last set.
var ran atomic.Int64

func tick() error {
	ran.Add(1)
	if left.Add(-1) < 0 {
		return errDead
	}
	return nil
}

const faultyName = "sqlite-faulty"

func registerFaulty() {
	sqlite, _ := store.Drivers()
	sql.Register(faultyName, faultyDriver{sqlite})
}

type faultyDriver struct{ driver.Driver }

func (d faultyDriver) Open(dsn string) (driver.Conn, error) {
	c, err := d.Driver.Open(dsn)
	if err != nil {
		return nil, err
	}
	return &faultyConn{c.(sqliteConn)}, nil
}

// sqliteConn is what database/sql uses of the wrapped connection.
type sqliteConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnBeginTx
	driver.ConnPrepareContext
}

type faultyConn struct{ sqliteConn }

func (c *faultyConn) ExecContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Result, error) {
	if err := tick(); err != nil {
		return nil, err
	}
	return c.sqliteConn.ExecContext(ctx, q, a)
}

func (c *faultyConn) QueryContext(ctx context.Context, q string, a []driver.NamedValue) (driver.Rows, error) {
	if err := tick(); err != nil {
		return nil, err
	}
	return c.sqliteConn.QueryContext(ctx, q, a)
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := tick(); err != nil {
		return nil, err
	}
	tx, err := c.sqliteConn.BeginTx(ctx, o)
	return faultyTx{tx}, err
}

type faultyTx struct{ driver.Tx }

func (t faultyTx) Commit() error {
	if err := tick(); err != nil {
		t.Tx.Rollback() // what the database does when it finds the process gone
		return err
	}
	return t.Tx.Commit()
}
