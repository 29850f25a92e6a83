package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Dialect is the little in which the databases differ.
type Dialect struct {
	Name  string
	now   string // asks for the time; "" where it is the process's own
	goose goose.Dialect
}

var (
	sqliteDialect   = Dialect{"sqlite", "", goose.DialectSQLite3}
	postgresDialect = Dialect{"postgres", `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`, goose.DialectPostgres}
)

// readers is how many reading connections SQLite gets beside its one writer.
const readers = 4

// Options says which database to open.
type Options struct {
	// URL is sqlite:PATH or postgres://...
	URL string
	// WrapDriver, when set, replaces the driver; crash tests count and fail
	// statements with it.
	WrapDriver func(string) string
}

// Open opens a database and brings its schema up to date.
func Open(ctx context.Context, log *slog.Logger, o Options) (*Store, error) {
	s := &Store{log: log, url: o.URL, listeners: map[chan struct{}]bool{}}
	var err error
	switch {
	case strings.HasPrefix(o.URL, "sqlite:"):
		err = s.openSQLite(o)
	case strings.HasPrefix(o.URL, "postgres://"), strings.HasPrefix(o.URL, "postgresql://"):
		err = s.openPostgres(o)
	default:
		return nil, ops.Errorf(ops.Invalid, "the database %q is neither sqlite:PATH nor postgres://USER@HOST/NAME", redactURL(o.URL))
	}
	if err != nil {
		return nil, err
	}
	s.view = view{s.read}
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) openSQLite(o Options) error {
	path := strings.TrimPrefix(o.URL, "sqlite:")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return ops.Because(ops.Unavailable, err, "the folder of the database %s cannot be made", path)
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)" +
		"&_pragma=foreign_keys(1)&_pragma=journal_size_limit(8388608)&_pragma=cache_size(-4000)&_txlock=immediate"
	s.dialect = sqliteDialect
	driver := "sqlite"
	if o.WrapDriver != nil {
		driver = o.WrapDriver(driver)
	}
	var err error
	if s.write, err = sql.Open(driver, dsn); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open(driver, dsn+"&_pragma=query_only(1)"); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	return nil
}

func (s *Store) openPostgres(o Options) error {
	s.dialect = postgresDialect
	driver := "pgx"
	if o.WrapDriver != nil {
		driver = o.WrapDriver(driver)
	}
	db, err := sql.Open(driver, o.URL)
	if err != nil {
		return ops.Because(ops.Invalid, err, "the database address cannot be read; it looks like postgres://USER:PASSWORD@HOST:PORT/NAME")
	}
	db.SetMaxOpenConns(12)
	db.SetMaxIdleConns(4)
	s.write, s.read = db, db
	return nil
}

// cause answers why a database cannot be reached, each reason once: the driver
// tells of every try, with TLS and without.
func cause(err error) string {
	refused, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return err.Error()
	}
	var reasons []string
	for line := range strings.Lines(refused.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(reasons, line) {
			reasons = append(reasons, line)
		}
	}
	return strings.Join(reasons, " ")
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(s.dialect.goose, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return ops.Errorf(ops.Unavailable, "the database at %s cannot be opened: %s", redactURL(s.url), cause(err))
	}
	if current > target {
		return ops.Errorf(ops.Conflict, "the database at %s was written by a newer Reeve (schema %d, this one knows %d): start that one, or restore a backup", redactURL(s.url), current, target)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if len(done) > 0 {
		s.log.Info("database schema migrated", "from", current, "to", target)
	}
	return nil
}

// Drivers answers the database drivers, for crash tests to wrap.
func Drivers() (sqliteDriver *sqlite.Driver, postgresDriver *stdlib.Driver) {
	return &sqlite.Driver{}, stdlib.GetDefaultDriver().(*stdlib.Driver)
}

// redactURL answers a database address that can be shown: a path as it is, of
// everything else neither the user nor the values of the query, among which a
// password may stand.
func redactURL(raw string) string {
	if strings.HasPrefix(raw, "sqlite:") || !strings.ContainsAny(raw, "@=:") {
		return raw
	}
	return redact.URL(raw)
}
