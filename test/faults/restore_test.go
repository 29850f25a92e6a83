package faults

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/test/program"
)

// upload restores a backup under the running program.
func upload(p *program.Program, backup []byte) error {
	r, err := http.NewRequest(http.MethodPost, p.URL+"/api/v1/restore?name=copy.db", bytes.NewReader(backup))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/vnd.sqlite3")
	r.Header.Set("Authorization", "Bearer "+p.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return err
}

// download takes a backup of the running program.
func download(t *testing.T, p *program.Program) []byte {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.URL+"/api/v1/backup", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	return text
}

// declared answers the names of the checks of the program, after it verified
// the audit.
func declared(t *testing.T, p *program.Program) string {
	t.Helper()
	var audit struct{ Broken any }
	var checks struct{ Items []struct{ Name string } }
	if err := p.Get("/api/v1/audit/verify", &audit); err != nil || audit.Broken != nil {
		t.Fatal(audit, err)
	}
	if err := p.Get("/api/v1/checks", &checks); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range checks.Items {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func declare(t *testing.T, p *program.Program, name string) {
	t.Helper()
	if err := p.Post("/api/v1/checks", map[string]any{"name": name, "type": "heartbeat", "every_ms": 3_600_000}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestARestoreThatIsKilledLeavesTheOldOrTheNew: a backup is uploaded and the
// program killed at any time between the upload and the first answer after it.
// What starts then has the whole old database or the whole restored one, and
// the other is never lost before.
func TestARestoreThatIsKilledLeavesTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	const rounds, swapping = 7, 300 * time.Millisecond
	dir := t.TempDir()
	p := program.StartIn(t, dir, "agent: {enabled: false}\n")
	declare(t, p, "before")
	backup := download(t, p)
	declare(t, p, "after")
	began := time.Now()
	if err := upload(p, backup); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	seen := map[string]int{}
	p.Kill()
	for round := range rounds {
		p = program.StartIn(t, dir, "agent: {enabled: false}\n")
		names := declared(t, p)
		if names == "before" {
			declare(t, p, "after")
		}
		seen[names]++
		ended := make(chan struct{})
		go func(p *program.Program) {
			_ = upload(p, backup) // It breaks off when the kill comes first.
			close(ended)
		}(p)
		<-time.After(rand.N([]time.Duration{took, took + swapping}[round%2]))
		p.Kill()
		<-ended
	}
	if seen["before"]+seen["after before"] != rounds {
		t.Errorf("the checks were %v", seen)
	}
	t.Logf("%v; an upload took %v", seen, took)
	kept, _ := filepath.Glob(filepath.Join(dir, "reeve.db.before-restore-*"))
	if len(kept) < seen["before"] {
		t.Errorf("%d restores kept %q", seen["before"], kept)
	}
}
