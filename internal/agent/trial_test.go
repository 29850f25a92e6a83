package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

// onTrialIn puts a program with one before it into a folder.
func onTrialIn(t *testing.T) (program, data string) {
	t.Helper()
	dir := t.TempDir()
	program, data = filepath.Join(dir, "reeve-agent"), t.TempDir()
	put(t, program, "new")
	put(t, program+previousSuffix, "old")
	if err := writeBeside(program, trialSuffix, trial{ID: "one", Version: "v2.0.0", Previous: "v1.0.0"}); err != nil {
		t.Fatal(err)
	}
	return program, data
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, not %q (%v)", filepath.Base(path), got, want, err)
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestProgramIsTakenBackBeforeItsFourthStart(t *testing.T) {
	program, data := onTrialIn(t)
	for start := range trialStarts {
		if _, done, err := RollBackIfNeeded(program, data, noon.Add(time.Duration(start)*time.Second)); done || err != nil {
			t.Fatalf("start %d: %v %v", start, done, err)
		}
		holds(t, program, "new")
	}
	r, done, err := RollBackIfNeeded(program, data, noon.Add(time.Minute))
	if !done || err != nil || r.From != "v2.0.0" || r.To != "v1.0.0" {
		t.Fatalf("%+v %v %v", r, done, err)
	}
	holds(t, program, "old")
	if _, done, err := RollBackIfNeeded(program, data, noon.Add(time.Hour)); done || err != nil {
		t.Errorf("it is taken back twice: %v %v", done, err)
	}
}

func TestProgramIsTakenBackAfterItsTime(t *testing.T) {
	program, data := onTrialIn(t)
	for _, x := range []struct {
		at   time.Duration
		done bool
	}{{0, false}, {TrialTime - time.Second, false}, {TrialTime, true}} {
		if _, done, err := RollBackIfNeeded(program, data, noon.Add(x.at)); done != x.done || err != nil {
			t.Fatalf("after %v: %v %v", x.at, done, err)
		}
	}
	holds(t, program, "old")
}

// The word of the watching part ends a trial, and only its own: one of an
// earlier trial does not count.
func TestOnlyItsOwnPassEndsATrial(t *testing.T) {
	program, data := onTrialIn(t)
	put(t, filepath.Join(data, reachedFile), "another\n")
	for range trialStarts {
		if _, done, err := RollBackIfNeeded(program, data, noon); done || err != nil {
			t.Fatal(done, err)
		}
	}
	put(t, filepath.Join(data, reachedFile), "one\n")
	if _, done, err := RollBackIfNeeded(program, data, noon.Add(time.Hour)); done || err != nil {
		t.Fatal(done, err)
	}
	holds(t, program, "new")
	if _, err := os.Stat(program + trialSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the trial goes on: %v", err)
	}
}

// A crash between putting the program back and ending the trial leaves a trial
// without a program before: there is nothing left to do.
func TestRollBackThatWasCutOffIsFinished(t *testing.T) {
	program, data := onTrialIn(t)
	if err := os.Rename(program+previousSuffix, program); err != nil {
		t.Fatal(err)
	}
	for range trialStarts + 2 {
		if _, done, err := RollBackIfNeeded(program, data, noon); done || err != nil {
			t.Fatal(done, err)
		}
	}
	holds(t, program, "old")
}

// On a full disk the program is put back all the same; only the record is
// missing.
func TestRollBackNeedsNoRecord(t *testing.T) {
	program, data := onTrialIn(t)
	for range trialStarts {
		if _, _, err := RollBackIfNeeded(program, data, noon); err != nil {
			t.Fatal(err)
		}
	}
	noRoom(t, program+failedSuffix)
	if r, done, err := RollBackIfNeeded(program, data, noon); !done || ops.KindOf(err) != ops.Unavailable || r.To != "v1.0.0" {
		t.Errorf("%+v %v %v", r, done, err)
	}
	holds(t, program, "old")
}

// noRoom lets no file be written at a path.
func noRoom(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(path+".tmp", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedTrialSaysWhatToDo(t *testing.T) {
	program, data := onTrialIn(t)
	put(t, program+trialSuffix, "{")
	_, done, err := RollBackIfNeeded(program, data, noon)
	if message, _ := ops.Shown(err); done || !strings.Contains(message, "reeve-agent rollback") {
		t.Errorf("%v %v", done, err)
	}
	holds(t, program, "new")
	if _, err := RollBack(program, "asked for", noon); err != nil {
		t.Error(err)
	}
	holds(t, program, "old")
	if _, err := os.Stat(program + trialSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the trial goes on: %v", err)
	}
}

func TestTrialOfOthersIsNotBelieved(t *testing.T) {
	program, data := onTrialIn(t)
	if err := os.Chmod(program+trialSuffix, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, done, err := RollBackIfNeeded(program, data, noon.Add(time.Hour)); done || ops.KindOf(err) != ops.Forbidden {
		t.Errorf("%v %v", done, err)
	}
	holds(t, program, "new")
}
