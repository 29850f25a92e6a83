package tsdb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb/fileutil"

	"reeve/test/mapped"
)

// residentOf answers how many kB of the files below a directory count as memory
// of this process.
func residentOf(t *testing.T, dir string) int {
	t.Helper()
	return mapped.Resident(t, func(path string) bool { return strings.HasPrefix(path, dir+string(filepath.Separator)) })
}

// What was read of blocks and of the head does not stay, and is there when it
// is read again, also while blocks are written, merged and let go of.
func TestWhatWasReadDoesNotStay(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, func(o *Options) { o.blockReload = 20 * time.Millisecond })
	at := now()
	const resources = 40
	for x := at.Add(-6 * time.Hour); x.Before(at); x = x.Add(10 * time.Second) {
		var batch []Sample
		for i := range resources {
			batch = append(batch, Sample{Ref: db.Ref("h", fmt.Sprint("r", i), "m", nil), At: x, Value: wave(x)})
		}
		if err := db.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	read := func() {
		t.Helper()
		got, err := recent(t.Context(), db, []string{"m"}, at.Add(-6*time.Hour), at, 0)
		if err != nil || len(got) != resources {
			t.Fatal(len(got), err)
		}
		for _, list := range got {
			if n := len(list[0].Points); n != 6*360 {
				t.Fatalf("%d points", n)
			}
			for _, p := range list[0].Points {
				if want := wave(time.UnixMilli(p.At)); p.Value != want {
					t.Fatalf("at %d: %v, want %v", p.At, p.Value, want)
				}
			}
		}
	}
	raw := db.back.(*embedded).raw
	most := 0
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
		read()
		most = max(most, residentOf(t, dir))
	}
	if len(raw.Blocks()) == 0 {
		t.Error("no block was written")
	}
	if most == 0 {
		t.Error("nothing was mapped: the test is blind")
	}
	eventually(t, "nothing stays", func() bool { return residentOf(t, dir) == 0 })
	read()
}

// Files of a block that is being written are unmapped by who writes it, under
// no lock of the database.
func TestOnlyWhatIsSettledIsLetGo(t *testing.T) {
	dir, err := truePath(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const block = "01M8F5PYPCM1QD2QE4XHT3XND6"
	for name, want := range map[string]bool{
		block + "/index":                      true,
		block + "/chunks/000001":              true,
		"chunks_head/000001":                  true,
		block + ".tmp-for-creation/index":     false,
		block + ".tmp-for-deletion/index":     false,
		"wal/00000001":                        false,
		"../rollup-work/chunks_head/000001":   false,
		"damaged-" + block + "/chunks/000001": false,
	} {
		file := filepath.Join(dir, "rollup", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := fileutil.OpenMmapFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := compactor{dir: filepath.Join(dir, "rollup"), log: testLog(t), told: new(sync.Once)}
		found := c.mapping()
		if got := len(found) == 1 && found[0].Pathname == filepath.Clean(file); got != want || len(found) > 1 {
			t.Errorf("%s: %v, %d are let go of", name, got, len(found))
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// To let go of what is not mapped any more destroys memory, so who takes a new
// version of Prometheus looks first whether blocks and the files of the head
// are still unmapped under DB.cmtx only, which is held whenever the compactor
// is called: callers of fileutil.MmapFile.Close, of Block.Close and of
// ChunkDiskMapper.Truncate.
func TestTheLockOfPrometheusWasLookedAt(t *testing.T) {
	const lookedAt = "github.com/prometheus/prometheus v0.315.0\n"
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), lookedAt) {
		t.Errorf("go.mod has another version than %s", lookedAt)
	}
}
