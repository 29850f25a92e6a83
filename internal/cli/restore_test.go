package cli

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

var discard = slog.New(slog.DiscardHandler)

func newDatabase(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(t.Context(), discard, store.Options{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "test", Verb: "try", Object: "settings", ObjectID: filepath.Base(path)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRestoreSwapsOnlyWhatIsGood(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	newDatabase(t, filepath.Join(data, "reeve.db"))
	good := filepath.Join(dir, "good.db")
	newDatabase(t, good)
	before, err := os.ReadFile(filepath.Join(data, "reeve.db"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Replace(text, []byte("good.db"), []byte("evil.db"), -1)
	for name, content := range map[string][]byte{"altered": altered, "cut": text[:len(text)/2], "empty": nil, "text": []byte("hello, this is no database at all")} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := run(t, nil, "restore", bad, "--data", data)
		now, _ := os.ReadFile(filepath.Join(data, "reeve.db"))
		if code == 0 || !bytes.Equal(now, before) {
			t.Errorf("%s was put in place: %s", name, errs)
		}
	}
	left, _ := filepath.Glob(filepath.Join(data, "*.restore-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	unlock, err := holdData(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, code := run(t, nil, "restore", good, "--data", data); code != exitFailed || !strings.Contains(errs, "has not said yet where it answers") {
		t.Errorf("%d %s", code, errs)
	}
	unlock()
	if _, errs, code := run(t, nil, "restore", good, "--data", data); code != 0 {
		t.Fatal(errs)
	}
	kept, _ := filepath.Glob(filepath.Join(data, "reeve.db.before-restore-*"))
	if len(kept) != 1 {
		t.Fatalf("kept %q", kept)
	}
	if old, _ := os.ReadFile(kept[0]); !bytes.Equal(old, before) {
		t.Error("what was kept is not what was there")
	}
	checkRestored(t, filepath.Join(data, "reeve.db"))
}

// checkRestored looks for the entry of the restore at the end of a chain that
// holds.
func checkRestored(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(context.Background(), discard, store.Options{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, broken, err := db.VerifyAudit(t.Context(), func(int64, int64) {})
	if err != nil || broken != nil {
		t.Fatal(broken, err)
	}
	all, err := db.Transitions(t.Context(), store.TransitionFilter{Newest: true, Limit: 1})
	if err != nil || len(all) != 1 || all[0].Verb != "restore" || all[0].Facts["from"] != "good.db" {
		t.Fatal(all, err)
	}
}
