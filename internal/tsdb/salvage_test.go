package tsdb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

// TestDamageDoesNotStopTheStore damages one part of the data after the other.
func TestDamageDoesNotStopTheStore(t *testing.T) {
	for what, harm := range map[string]struct {
		damage func(t *testing.T, raw string)
		least  float64 // samples of 23,040 that must be left
		told   bool
	}{
		"index of a block":  {func(t *testing.T, raw string) { truncate(t, raw, "0*/index", 10) }, 1500, true},
		"chunks of a block": {func(t *testing.T, raw string) { truncate(t, raw, "0*/chunks/000001", 3) }, 1500, true},
		"write-ahead log":   {func(t *testing.T, raw string) { overwrite(t, raw, "wal/0*") }, 15000, false},
		"checkpoint":        {func(t *testing.T, raw string) { overwrite(t, raw, "wal/checkpoint.*/0*") }, 15000, false},
		"gap in the log": {func(t *testing.T, raw string) {
			if err := os.WriteFile(filepath.Join(raw, "wal", "00000999"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, 15000, true},
		"chunks of the head":     {func(t *testing.T, raw string) { overwrite(t, raw, "chunks_head/0*") }, 15000, false},
		"everything but a block": {func(t *testing.T, raw string) { overwrite(t, raw, "wal/0*"); overwrite(t, raw, "chunks_head/0*") }, 15000, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			db := open(t, dir)
			at := now()
			for part := range 8 { // Each part ends in a compaction, so that there is a checkpoint.
				from := at.Add(time.Duration(part-8) * 4 * time.Hour)
				fill(t, db, db.Ref("h", "r", "m", nil), from, from.Add(4*time.Hour), 5*time.Second, wave)
				if err := db.back.(*embedded).raw.Compact(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			harm.damage(t, filepath.Join(dir, "raw"))
			db = open(t, dir)
			if err := db.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := db.Stats(); harm.told && !strings.Contains(s.Reason, damagedPrefix) {
				t.Errorf("stats: %+v", s)
			}
			got, err := db.Query(t.Context(), "count_over_time(m[3d])", at)
			if err != nil || len(got) != 1 || got[0].Points[0].Value < harm.least {
				t.Errorf("%v, %v", got, err)
			}
			put(t, db, db.Ref("h", "r", "m", nil), now(), 1)
		})
	}
}

// victims answers the files that a pattern names; there must be one.
func victims(t *testing.T, raw, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(raw, pattern))
	if err != nil || len(files) == 0 {
		entries, _ := filepath.Glob(filepath.Join(raw, "*", "*"))
		t.Fatal("there is no ", pattern, err, entries)
	}
	return files
}

func truncate(t *testing.T, raw, pattern string, size int64) {
	t.Helper()
	if err := os.Truncate(victims(t, raw, pattern)[0], size); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, raw, pattern string) {
	t.Helper()
	for _, file := range victims(t, raw, pattern) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 20; i < len(text); i += 7 {
			text[i] ^= 0x5a
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheStoreOfAnotherProcessIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	put(t, db, db.Ref("h", "r", "m", nil), now(), 1)
	if _, err := Open(t.Context(), testLog(t), Options{Dir: dir}); ops.KindOf(err) != ops.Conflict {
		t.Errorf("opened twice: %v", err)
	}
	put(t, db, db.Ref("h", "r", "m", nil), now().Add(time.Second), 1)
	if damaged, _ := filepath.Glob(filepath.Join(dir, "*", damagedPrefix+"*")); len(damaged) > 0 {
		t.Errorf("set aside: %v", damaged)
	}
}
