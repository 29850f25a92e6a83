package store_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// marked makes a database whose audit begins with a word.
func marked(t *testing.T, path, word string) *store.Store {
	t.Helper()
	s := storetest.Open(t, "sqlite:"+path)
	err := s.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "test", Verb: "try", Object: "settings", ObjectID: word})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wordOf answers the word with which the audit of a database begins, after
// its chain was verified.
func wordOf(t *testing.T, path string) string {
	t.Helper()
	s := storetest.Open(t, "sqlite:"+path)
	defer s.Close()
	if _, broken, err := s.VerifyAudit(t.Context(), func(int64, int64) {}); broken != nil || err != nil {
		t.Fatal(broken, err)
	}
	all, err := s.Transitions(t.Context(), store.TransitionFilter{Limit: 1})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].ObjectID
}

func backupOf(t *testing.T, path string) store.Backup {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return store.Backup{Name: "copy.db", Size: int64(len(text)), Content: bytes.NewReader(text)}
}

// staged makes a folder with a database that died with a write-ahead log, and
// a backup staged beside it.
func staged(t *testing.T) (database, stamp string) {
	t.Helper()
	dir := t.TempDir()
	live := marked(t, filepath.Join(dir, "live", "reeve.db"), "old")
	database = filepath.Join(dir, "data", "reeve.db")
	if err := os.CopyFS(filepath.Dir(database), os.DirFS(filepath.Join(dir, "live"))); err != nil {
		t.Fatal(err)
	}
	live.Close()
	marked(t, filepath.Join(dir, "copy.db"), "new").Close()
	r := store.Restore{Database: database, At: time.Now(), Why: store.Why{Actor: "user:test"}}
	done, err := r.Stage(t.Context(), backupOf(t, filepath.Join(dir, "copy.db")))
	if err != nil {
		t.Fatal(err)
	}
	_, stamp, _ = strings.Cut(done.Kept, ".before-restore-")
	return database, stamp
}

func TestRestoreGoesOnWhereItDied(t *testing.T) {
	sides := []string{"", "-wal", "-shm"}
	for moved := range len(sides) + 1 {
		database, stamp := staged(t)
		for _, side := range sides[:moved] {
			if err := os.Rename(database+side, database+".before-restore-"+stamp+side); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // The second finds nothing to do.
			if _, err := store.FinishRestore(database); err != nil {
				t.Fatal(err)
			}
		}
		if got := wordOf(t, database); got != "new" {
			t.Errorf("dead after %d moves, the database is the %s one", moved, got)
		}
		if got := wordOf(t, database+".before-restore-"+stamp); got != "old" {
			t.Errorf("dead after %d moves, the %s database is kept", moved, got)
		}
	}
}

func TestAStagedBackupAloneChangesNothing(t *testing.T) {
	database, _ := staged(t)
	if got := wordOf(t, database); got != "old" {
		t.Errorf("the database is the %s one", got)
	}
}

func TestRestoresNeverOverwriteWhatTheyKeep(t *testing.T) {
	dir := t.TempDir()
	database := filepath.Join(dir, "reeve.db")
	at := time.Now()
	for _, word := range []string{"one", "two", "three"} {
		marked(t, filepath.Join(dir, word), word).Close()
		r := store.Restore{Database: database, At: at, Why: store.Why{Actor: "user:test"}}
		if _, err := r.Stage(t.Context(), backupOf(t, filepath.Join(dir, word))); err != nil {
			t.Fatal(err)
		}
		if _, err := store.FinishRestore(database); err != nil {
			t.Fatal(err)
		}
	}
	kept, _ := filepath.Glob(database + ".before-restore-*")
	if len(kept) != 2 || wordOf(t, kept[0]) != "one" || wordOf(t, kept[1]) != "two" || wordOf(t, database) != "three" {
		t.Fatal(kept)
	}
}

func TestStageRefusesAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	database := filepath.Join(dir, "data", "reeve.db")
	marked(t, database, "old").Close()
	marked(t, filepath.Join(dir, "copy.db"), "new").Close()
	good, err := os.ReadFile(filepath.Join(dir, "copy.db"))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(good))
	for name, b := range map[string]store.Backup{
		"altered":  {Size: size, Content: bytes.NewReader(bytes.Replace(good, []byte("new"), []byte("bad"), -1))},
		"cut":      {Size: size / 2, Content: bytes.NewReader(good[:size/2])},
		"broken":   {Size: size, Content: io.MultiReader(bytes.NewReader(good[:size/2]), errReader{io.ErrUnexpectedEOF})},
		"short":    {Size: size, Content: bytes.NewReader(good[:size/2])},
		"empty":    {Content: strings.NewReader("")},
		"text":     {Size: 5, Content: strings.NewReader("hello")},
		"too much": {Size: 1 << 60, Content: bytes.NewReader(good)},
	} {
		b.Name = name
		want := ops.Invalid
		if name == "too much" {
			want = ops.Unavailable
		}
		r := store.Restore{Database: database, At: time.Now(), Why: store.Why{Actor: "user:test"}}
		if _, err := r.Stage(t.Context(), b); ops.KindOf(err) != want || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		left, _ := filepath.Glob(database + ".*")
		if stamps, err := store.FinishRestore(database); len(left) != 0 || len(stamps) != 0 || err != nil {
			t.Errorf("%s left %q %q %v", name, left, stamps, err)
		}
	}
	if wordOf(t, database) != "old" {
		t.Error("the database was changed")
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
