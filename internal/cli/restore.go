package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"reeve/internal/ops"
	"reeve/internal/store"
)

func (s *session) restoreVerb() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the database of this machine; the server must not run", Args: takes(1, 1, "the file of a backup"),
		Long: `Puts a backup in the place of the database. The server must not run. The copy is
checked first: whether SQLite finds it whole, and whether its audit chain holds.
The database until now is kept beside it as reeve.db.before-restore-TIME.`,
		Example: "  systemctl stop reeve && reeve restore /backup/reeve-2026-01-31.db && systemctl start reeve",
		RunE: func(c *cobra.Command, args []string) error {
			settings, err := s.settings()
			if err != nil {
				return err
			}
			path, ok := strings.CutPrefix(settings.Database, "sqlite:")
			if !ok {
				return errors.New("this Reeve keeps its state in PostgreSQL: restore it with pg_restore, or with the tools of whoever runs it")
			}
			r := restore{data: settings.Data, from: args[0], to: path, at: time.Now()}
			if err := r.run(c.Context()); err != nil {
				return err
			}
			if s.json() {
				return s.page.value(map[string]any{"database": r.to, "audit_entries": r.entries, "kept": r.kept})
			}
			s.page.line("%s is restored: whole, %d audit entries", safe(r.to), r.entries)
			if r.kept != "" {
				s.page.line("the database until now is kept as %s", safe(r.kept))
			}
			return nil
		},
	}
}

// A restore puts one backup in place.
type restore struct {
	data, from, to string
	at             time.Time

	entries int64  // of the audit of the copy
	kept    string // where the database until now is, "" when there was none
}

func (r *restore) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.data, 0o700); err != nil {
		return fmt.Errorf("the data folder %s cannot be made (%s)", r.data, lastReason(err))
	}
	unlock, err := holdData(r.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	copied := fmt.Sprintf("%s.restore-%s", r.to, r.stamp())
	defer func() {
		if err != nil {
			err = errors.Join(err, removeDatabase(copied))
		}
	}()
	if err := r.copy(copied); err != nil {
		return err
	}
	if err := r.verify(ctx, copied); err != nil {
		return err
	}
	return r.swap(copied)
}

func (r *restore) stamp() string { return r.at.UTC().Format("20060102-150405") }

// sqliteMagic is how the file of a database begins.
const sqliteMagic = "SQLite format 3\x00"

// copy copies the backup into the folder of the database, durably.
func (r *restore) copy(to string) error {
	in, err := os.Open(r.from)
	if err != nil {
		return wrongUse("the backup %s cannot be read (%s)", r.from, lastReason(err))
	}
	defer in.Close()
	magic := make([]byte, len(sqliteMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != sqliteMagic {
		return wrongUse("%s is not a backup of Reeve: it is no SQLite database", r.from)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("the folder of the database cannot be written (%s)", lastReason(err))
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", r.from, err)
	}
	return nil
}

// verify opens the copy, which brings its schema up to date, and refuses one
// that is damaged or was altered.
func (r *restore) verify(ctx context.Context, path string) (err error) {
	db, err := store.Open(ctx, slog.New(slog.DiscardHandler), store.Options{URL: "sqlite:" + path})
	if err != nil {
		return fmt.Errorf("%s cannot be opened: %w", r.from, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	wrong, err := db.Integrity(ctx)
	if err != nil {
		return fmt.Errorf("%s cannot be checked: %w", r.from, err)
	}
	if wrong != "" {
		return fmt.Errorf("%s is damaged (%s); take another backup", r.from, wrong)
	}
	good, broken, err := db.VerifyAudit(ctx, func(int64, int64) {})
	if err != nil {
		return fmt.Errorf("the audit of %s cannot be read: %w", r.from, err)
	}
	if broken != nil {
		return fmt.Errorf("the audit chain of %s breaks at entry %d (%s): it was altered after it was made; take another backup", r.from, broken.Seq, broken.Why)
	}
	if good == 0 {
		return fmt.Errorf("%s is not a backup of Reeve: it has no audit", r.from)
	}
	r.entries = good
	return errors.Join(r.note(ctx, db), db.Checkpoint(ctx))
}

// note leaves the restore in the audit, so that the jump in time is
// explained.
func (r *restore) note(ctx context.Context, db *store.Store) error {
	actor := "user:" + first(userName(), "unknown")
	facts := map[string]string{"from": filepath.Base(r.from)}
	if isFile(r.to) {
		facts["kept"] = filepath.Base(r.to) + ".before-restore-" + r.stamp()
	}
	return db.Tx(ctx, r.at, func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: actor, Verb: "restore", Object: "settings", ObjectID: "database", Facts: facts})
		return nil
	})
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// sidecars are the files that belong to an open or crashed database.
var sidecars = []string{"", "-wal", "-shm"}

// swap moves the database until now aside and the copy into its place. Every
// step before the last leaves a start that works or none that loses anything.
func (r *restore) swap(copied string) error {
	kept := r.to + ".before-restore-" + r.stamp()
	for _, side := range sidecars {
		err := os.Rename(r.to+side, kept+side)
		if err == nil && side == "" {
			r.kept = kept
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("move the database aside: %w", err)
		}
	}
	if err := os.Rename(copied, r.to); err != nil {
		for _, side := range sidecars {
			if back := os.Rename(kept+side, r.to+side); back != nil && !errors.Is(back, os.ErrNotExist) {
				err = errors.Join(err, back)
			}
		}
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return syncFolder(filepath.Dir(r.to))
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeDatabase(path string) error {
	var failed error
	for _, side := range sidecars {
		if err := os.Remove(path + side); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// holdData takes the lock that a running server holds.
func holdData(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be written (%s); run as its owner, or name another with --data", dir, lastReason(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		who := make([]byte, 20)
		n, _ := f.ReadAt(who, 0) // The number only helps; an empty file has none.
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("a Reeve (process %s) uses the data folder %s; stop it first", strings.TrimSpace(string(who[:n])), dir)
		}
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	return f.Close, nil
}
