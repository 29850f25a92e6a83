package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/api"
	"reeve/internal/store"
)

func TestABackupIsStagedOnceAndThenTheServerEnds(t *testing.T) {
	restarts := 0
	w := newWorld(t, func(d *api.Deps) { d.Restart = func() { restarts++ } })
	c := w.admin()
	sqlite := []string{"Content-Type", "application/vnd.sqlite3"}
	status, _, backup := c.do("POST", "/api/v1/backup", nil)
	if status != 200 {
		t.Fatal(status)
	}
	staged := func() int {
		left, _ := filepath.Glob(filepath.Join(w.dir, "reeve.db.*"))
		return len(left)
	}
	c.want(415, "POST", "/api/v1/restore", string(backup), nil)
	c.want(422, "POST", "/api/v1/restore", "no database", nil, sqlite...)
	c.want(422, "POST", "/api/v1/restore", string(backup[:len(backup)/2]), nil, sqlite...)
	if staged() != 0 || restarts != 0 {
		t.Fatalf("what is no backup left %d files and %d restarts", staged(), restarts)
	}
	c.want(200, "GET", "/readyz", nil, nil)

	var done store.Restored
	c.want(200, "POST", "/api/v1/restore?name=../monday%0a.db", string(backup), &done, sqlite...)
	if done.AuditEntries == 0 || !strings.HasPrefix(filepath.Base(done.Kept), "reeve.db.before-restore-") || restarts != 1 || staged() != 1 {
		t.Fatalf("%+v, %d restarts, %d files", done, restarts, staged())
	}
	c.want(503, "GET", "/readyz", nil, nil)
	c.want(409, "POST", "/api/v1/restore", string(backup), nil, sqlite...)
	if restarts != 1 {
		t.Error("the second was staged too")
	}
	if _, err := os.Lstat(done.Kept); err == nil {
		t.Error("the database was moved under a server that uses it")
	}
}
