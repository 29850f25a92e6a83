// Package storetest opens real databases for tests: an SQLite file of the
// test's own, and a PostgreSQL database of the test's own on the server that
// scripts/test started.
package storetest

import (
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// Each runs f against every database that Reeve runs on.
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite opens a new SQLite file.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, "sqlite:"+filepath.Join(t.TempDir(), "reeve.db"))
}

// Postgres opens a new database of the PostgreSQL server.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, PostgresURL(t))
}

// Open opens a database and closes it at the end of the test.
func Open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), slog.New(slog.DiscardHandler), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// PostgresURL makes an empty database and answers its address.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES")
	if server == "" {
		t.Fatal("TEST_POSTGRES is not set: run scripts/test PACKAGE, or start a server with scripts/postgres start DIR and export the address it prints")
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := strings.ReplaceAll(ops.NewID("test"), "-", "_")
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(fmt.Errorf("make a database on %s: %w", server, err))
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
