package command

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var (
	_ collect.Runner = New().Run
	_ collect.Runner = NewRecorded("").Run
)

// install puts a program under the name of one of the list.
func install(t *testing.T, name, script string) *Runner {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return New(dir)
}

func TestOnlyProgramsOfTheListRun(t *testing.T) {
	if _, err := New().Run(t.Context(), "sh", "-c", "true"); ops.KindOf(err) != ops.Forbidden {
		t.Errorf("sh: %v", err)
	}
	if _, err := New().Run(t.Context(), "../bin/sh"); ops.KindOf(err) != ops.Forbidden {
		t.Errorf("../bin/sh: %v", err)
	}
}

func TestMissingProgramIsNotFound(t *testing.T) {
	r := &Runner{directories: []string{t.TempDir()}, slots: make(chan struct{}, 1)}
	if _, err := r.Run(t.Context(), "smartctl"); ops.KindOf(err) != ops.NotFound {
		t.Errorf("%v", err)
	}
}

func TestProgramOfEverybodyIsNotRun(t *testing.T) {
	r := install(t, "zpool", "true")
	if err := os.Chmod(filepath.Join(r.directories[0], "zpool"), 0o777); err != nil {
		t.Fatal(err)
	}
	if path, ok := r.Path("zpool"); ok && filepath.Dir(path) == r.directories[0] {
		t.Error("a program that everybody may write to is run")
	}
}

func TestArgumentsReachTheProgramUntouched(t *testing.T) {
	r := install(t, "zpool", `printf '%s|' "$@"; echo "lang $LC_ALL secret $SECRET" ; echo bad >&2; exit 3`)
	t.Setenv("SECRET", "x")
	out, err := r.Run(t.Context(), "zpool", "a b", "$(id)", ";", "*")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out.Stdout); got != "a b|$(id)|;|*|lang C secret \n" || out.Exit != 3 || string(out.Stderr) != "bad\n" {
		t.Errorf("%q %q %d", got, out.Stderr, out.Exit)
	}
}

func TestOutputIsBounded(t *testing.T) {
	r := install(t, "zpool", "while :; do echo 0123456789012345678901234567890123456789; done")
	out, err := r.Run(t.Context(), "zpool")
	if err == nil || !strings.Contains(err.Error(), "printed more than") || len(out.Stdout) != maxOutput {
		t.Errorf("%v, %d bytes", err, len(out.Stdout))
	}
}

func TestTimeoutEndsTheWholeGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pid")
	r := install(t, "zpool", "sleep 600 & echo $! > "+pids+".new; mv "+pids+".new "+pids+"; wait")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for range 1000 {
			if _, err := os.Stat(pids); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if _, err := r.Run(ctx, "zpool"); err == nil {
		t.Fatal("a program that was stopped ended well")
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Error("a child outlived the program that was stopped")
}

func TestChildThatStaysBehindDoesNotHoldTheCaller(t *testing.T) {
	r := install(t, "zpool", "sleep 600 & echo done")
	began := time.Now()
	out, err := r.Run(t.Context(), "zpool")
	if err != nil || string(out.Stdout) != "done\n" {
		t.Errorf("%q %v", out.Stdout, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestRecordedAnswers(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, ".reeve", "tools")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	record := `{"list -H": {"stdout": "tank\n", "exit": 1}, "": {"stderr": "usage"}}`
	if err := os.WriteFile(filepath.Join(dir, "zpool.json"), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	r := NewRecorded(root)
	out, err := r.Run(t.Context(), "zpool", "list", "-H")
	if err != nil || string(out.Stdout) != "tank\n" || out.Exit != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if out, err := r.Run(t.Context(), "zpool"); err != nil || string(out.Stderr) != "usage" {
		t.Errorf("%+v %v", out, err)
	}
	for _, ask := range [][]string{{"zpool", "status"}, {"zfs", "list"}, {"../tools/zpool"}} {
		if _, err := r.Run(t.Context(), ask[0], ask[1:]...); ops.KindOf(err) != ops.NotFound {
			t.Errorf("%v: %v", ask, err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"a": {"stdout": "x", "exit": 0}}`), "a")
	f.Add([]byte(`{"a": null}`), "a")
	f.Add([]byte(`[]`), "")
	f.Fuzz(func(t *testing.T, b []byte, args string) {
		out, err := parseRecord(b, "tool.json", args)
		if err != nil && len(out.Stdout) > 0 {
			t.Fatal("an answer with an error")
		}
	})
}
