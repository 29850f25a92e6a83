package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"reeve/internal/dial"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/term"
)

func (s *session) restoreVerb() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the database", Args: takes(1, 1, "the file of a backup"),
		Long: `Puts a backup in the place of the database. It is checked first: whether SQLite
finds it whole, and whether its audit chain holds. While a server runs, it is
uploaded: the server checks it, stops its work and goes on with it in the same
process, which takes some seconds; this needs the role admin. Otherwise it is put
in the data folder.
The database until now is kept beside it as reeve.db.before-restore-TIME. What
changed since the backup is only there: accounts, passwords, tokens and sessions
too are again as they were, so that you may have to sign in again. Metrics stay.
With PostgreSQL, use pg_restore while the server does not run.`,
		Example: "  reeve restore /backup/reeve-2026-01-31.db\n  reeve restore reeve.db --url https://reeve.example.org:7434 --token rvt_...",
		RunE: func(c *cobra.Command, args []string) error {
			done, err := s.restore(c.Context(), args[0])
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.Value(done)
			}
			s.page.Line("%s is restored: whole, %d audit entries", term.Safe(done.Database), done.AuditEntries)
			if done.Kept != "" {
				s.page.Line("the database until now is kept as %s", term.Safe(done.Kept))
			}
			return nil
		},
	}
}

// restore hands the backup to the server that was named or that runs on the
// data folder; where none does, it is put in place here.
func (s *session) restore(ctx context.Context, path string) (done store.Restored, err error) {
	f, err := openBackup(path)
	if err != nil {
		return done, err
	}
	defer f.Close()
	if s.at.HasAddress() {
		c, err := s.server.Connect()
		if err != nil {
			return done, err
		}
		return uploadBackup(ctx, c, f)
	}
	settings, err := s.at.Settings()
	if err != nil {
		return done, err
	}
	if err := os.MkdirAll(settings.Data, 0o700); err != nil {
		return done, fmt.Errorf("the data folder %s cannot be made (%s)", settings.Data, dial.LastReason(err))
	}
	unlock, err := holdData(settings.Data)
	if errors.Is(err, errHeld) {
		c, err := s.at.Holder(settings.Data)
		if err != nil {
			return done, err
		}
		return uploadBackup(ctx, c, f)
	}
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return putInPlace(ctx, f, settings.Database)
}

// openBackup opens a file that begins like a backup.
func openBackup(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, wrongUse("the backup %s cannot be read (%s)", path, dial.LastReason(err))
	}
	magic := make([]byte, len(store.SQLiteMagic))
	if _, err := f.ReadAt(magic, 0); err != nil || string(magic) != store.SQLiteMagic {
		f.Close()
		return nil, wrongUse("%s is not a backup of Reeve: it is no SQLite database", path)
	}
	return f, nil
}

// putInPlace restores on a data folder that nobody uses.
func putInPlace(ctx context.Context, f *os.File, database string) (store.Restored, error) {
	to, err := store.SQLitePath(database)
	if err != nil {
		return store.Restored{}, err
	}
	if _, err := store.FinishRestore(to); err != nil { // Of a server that was killed.
		return store.Restored{}, err
	}
	backup, err := backupOf(f)
	if err != nil {
		return store.Restored{}, err
	}
	r := store.Restore{Database: to, At: time.Now(), Why: store.Why{Actor: "user:" + cmp.Or(userName(), "unknown")}}
	done, err := r.Stage(ctx, backup)
	if err == nil {
		_, err = store.FinishRestore(to)
	}
	if ops.KindOf(err) == ops.Invalid {
		message, _ := ops.Shown(err)
		return done, wrongUse("%s", message)
	}
	return done, err
}

func backupOf(f *os.File) (store.Backup, error) {
	info, err := f.Stat()
	if err != nil {
		return store.Backup{}, err
	}
	return store.Backup{Name: filepath.Base(f.Name()), Size: info.Size(), Content: f}, nil
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// uploadBackup hands the backup to the server and waits until it goes on with
// it.
func uploadBackup(ctx context.Context, c *dial.Client, f *os.File) (done store.Restored, err error) {
	backup, err := backupOf(f)
	if err != nil {
		return done, err
	}
	text, err := c.Upload(ctx, "/api/v1/restore?name="+url.QueryEscape(backup.Name), "application/vnd.sqlite3", backup.Content, backup.Size)
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(text, &done); err != nil {
		return done, fmt.Errorf("%s answers what this program does not understand (%s); is it a Reeve of another version?", c.Base, dial.LastReason(err))
	}
	if err := c.AwaitReady(ctx); err != nil {
		return done, fmt.Errorf("the backup is checked and goes in place at the next start of the server: %w", err)
	}
	return done, nil
}

// errHeld says that a server uses the data folder.
var errHeld = errors.New("a Reeve uses the data folder")

// holdData takes the lock that a running server holds.
func holdData(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be written (%s); run as its owner, or name another with --data", dir, dial.LastReason(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	return f.Close, nil
}
