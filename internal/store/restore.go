package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// A backup gets into the place of an SQLite database in two steps. Stage
// copies and checks it beside the database and leaves it, whole and durable,
// under a name that begins with DATABASE.restore-ready-: from this rename on
// the restore happens. FinishRestore, which every start calls before it opens
// the database, moves what was there aside and the staged one in. Whoever dies
// in between leaves the old database, or a start that goes on with the moves.
const (
	partName  = ".restore-part"
	readyName = ".restore-ready-"
	keptName  = ".before-restore-"
	stampForm = "20060102-150405"
)

// A Restore lets a backup take the place of a database.
type Restore struct {
	Database string // the file of the database
	At       time.Time
	Why      Why
}

// A Backup is a copy of a database that Store.Backup made.
type Backup struct {
	Name    string // what people call it
	Size    int64  // in bytes
	Content io.Reader
}

// A Restored says what a restore came to.
type Restored struct {
	Database     string `json:"database" doc:"File of the database, on the server."`
	AuditEntries int64  `json:"audit_entries" doc:"Of the backup; all of them were verified."`
	Kept         string `json:"kept" doc:"Where the database until now is kept; empty when there was none."`
}

// SQLitePath answers the file of an SQLite database by its address. For
// another database it answers what to do instead.
func SQLitePath(url string) (string, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return "", ops.Errorf(ops.Invalid, "this Reeve keeps its state in PostgreSQL: restore it with pg_restore, or with the tools of whoever runs it")
	}
	return path, nil
}

// Stage reads a backup, checks it and leaves it for the next start. The caller
// holds the data folder. On an error nothing has changed.
func (r Restore) Stage(ctx context.Context, from Backup) (done Restored, err error) {
	if err := os.MkdirAll(filepath.Dir(r.Database), 0o700); err != nil {
		return done, ops.Because(ops.Unavailable, err, "the folder of the database cannot be made")
	}
	part := r.Database + partName
	if err := removeDatabase(part); err != nil {
		return done, ops.Because(ops.Unavailable, err, "the folder of the database cannot be written")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeDatabase(part))
		}
	}()
	if err := from.copy(part); err != nil {
		return done, err
	}
	stamp := r.freeStamp()
	done.Database = r.Database
	if _, err := os.Lstat(r.Database); err == nil {
		done.Kept = r.Database + keptName + stamp
	}
	if done.AuditEntries, err = r.verify(ctx, part, from, done.Kept); err != nil {
		return done, err
	}
	if err := errors.Join(alone(part), syncPath(part), ctx.Err()); err != nil {
		return done, err
	}
	ready := r.Database + readyName + stamp
	if err := os.Rename(part, ready); err != nil {
		return done, err
	}
	if err := syncPath(filepath.Dir(ready)); err != nil {
		return done, errors.Join(err, os.Remove(ready))
	}
	return done, nil
}

// alone answers an error when a part of a closed database is not in its file.
func alone(path string) error {
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return fmt.Errorf("%s still has a write-ahead log", path)
	}
	return nil
}

// freeStamp answers a time under which nothing is kept yet.
func (r Restore) freeStamp() string {
	for at := r.At.UTC(); ; at = at.Add(time.Second) {
		stamp := at.Format(stampForm)
		_, kept := os.Lstat(r.Database + keptName + stamp)
		_, ready := os.Lstat(r.Database + readyName + stamp)
		if kept != nil && ready != nil {
			return stamp
		}
	}
}

// SQLiteMagic is how the file of an SQLite database begins.
const SQLiteMagic = "SQLite format 3\x00"

// spare is the room on the disk that a backup must leave.
const spare = 64 << 20

// copy writes the backup beside the database.
func (b Backup) copy(to string) error {
	magic := make([]byte, len(SQLiteMagic))
	if _, err := io.ReadFull(b.Content, magic); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the backup: %w", err)
	}
	if string(magic) != SQLiteMagic {
		return ops.Errorf(ops.Invalid, "%s is not a backup of Reeve: it is no SQLite database", b.Name)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(to), &disk); err == nil && int64(disk.Bavail)*disk.Bsize < b.Size+spare {
		return b.noRoom(nil)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return ops.Because(ops.Unavailable, err, "the folder of the database cannot be written")
	}
	size, err := io.Copy(out, io.MultiReader(strings.NewReader(SQLiteMagic), b.Content))
	switch err = errors.Join(err, out.Close()); {
	case errors.Is(err, unix.ENOSPC):
		return b.noRoom(err)
	case errors.Is(err, io.ErrUnexpectedEOF) || err == nil && size != b.Size:
		return ops.Because(ops.Invalid, err, "%s broke off after %d of %d bytes; nothing was changed", b.Name, size, b.Size)
	case err != nil:
		return fmt.Errorf("copy the backup: %w", err)
	}
	return nil
}

func (b Backup) noRoom(err error) error {
	return ops.Because(ops.Unavailable, err, "the disk has no room for %s beside the database; make some and try again", b.Name)
}

// verify opens the copy, which brings its schema up to date, refuses one that
// is damaged or was altered, and leaves the restore in its audit, so that the
// jump in time is explained.
func (r Restore) verify(ctx context.Context, path string, b Backup, kept string) (entries int64, err error) {
	db, err := Open(ctx, slog.New(slog.DiscardHandler), Options{URL: "sqlite:" + path})
	if err != nil {
		return 0, b.refuse(ctx, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	wrong, err := db.Integrity(ctx)
	if err != nil {
		return 0, b.refuse(ctx, err)
	}
	if wrong != "" {
		return 0, ops.Errorf(ops.Invalid, "%s is damaged (%s); take another backup", b.Name, wrong)
	}
	good, broken, err := db.VerifyAudit(ctx, func(int64, int64) {})
	if err != nil {
		return 0, b.refuse(ctx, err)
	}
	if broken != nil {
		return 0, ops.Errorf(ops.Invalid, "the audit chain of %s breaks at entry %d (%s): it was altered after it was made; take another backup", b.Name, broken.Seq, broken.Why)
	}
	if good == 0 {
		return 0, ops.Errorf(ops.Invalid, "%s is not a backup of Reeve: it has no audit", b.Name)
	}
	facts := map[string]string{"from": b.Name}
	if kept != "" {
		facts["kept"] = filepath.Base(kept)
	}
	err = db.Tx(ctx, r.At, func(tx *Tx) error {
		tx.Record(ops.Transition{Actor: r.Why.Actor, OnBehalf: r.Why.OnBehalf, Verb: "restore", Object: "settings", ObjectID: "database", Reason: r.Why.Reason, Facts: facts})
		return nil
	})
	return good, errors.Join(err, db.Checkpoint(ctx))
}

// refuse says why a copy that could not be read is not taken.
func (b Backup) refuse(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ops.KindOf(err) == ops.Conflict:
		return ops.Because(ops.Invalid, err, "%s was made by a newer Reeve; restore it with that one", b.Name)
	}
	return ops.Because(ops.Invalid, err, "%s cannot be read: it is damaged, or no backup of Reeve; take another backup", b.Name)
}

// FinishRestore puts staged backups in the place of a database that nobody has
// open, and goes on where an earlier call died. It answers the times of those
// that it put in place. The caller holds the data folder.
func FinishRestore(database string) (stamps []string, err error) {
	left, err := os.ReadDir(filepath.Dir(database))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range left { // By name, and so by time.
		if stamp, ok := strings.CutPrefix(e.Name(), filepath.Base(database)+readyName); ok && isStamp(stamp) {
			if err := swap(database, stamp); err != nil {
				return stamps, fmt.Errorf("put the staged backup in place: %w", err)
			}
			stamps = append(stamps, stamp)
		}
	}
	return stamps, removeDatabase(database + partName)
}

func isStamp(text string) bool {
	_, err := time.Parse(stampForm, text)
	return err == nil
}

// sidecars are the files that belong to an open or crashed database.
var sidecars = []string{"", "-wal", "-shm"}

// swap moves the database until now aside and the staged one into its place.
// The last rename ends it; each before is one that a second call skips.
func swap(database, stamp string) error {
	for _, side := range sidecars {
		if err := os.Rename(database+side, database+keptName+stamp+side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	folder := filepath.Dir(database)
	if err := syncPath(folder); err != nil {
		return err
	}
	return errors.Join(os.Rename(database+readyName+stamp, database), syncPath(folder))
}

// syncPath makes a file, or the names in a folder, outlive a power cut.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeDatabase(path string) error {
	var failed error
	for _, side := range sidecars {
		if err := os.Remove(path + side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
