package tsdb

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// resident answers how many kB of the files below a directory count as memory
// of this process.
func resident(t *testing.T, dir string) (kb int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if first, _, _ := strings.Cut(line, " "); strings.Contains(first, "-") {
			ours = strings.Contains(line, dir+string(filepath.Separator))
			continue
		}
		if n := 0; ours {
			if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err == nil {
				kb += n
			}
		}
	}
	return kb
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
		most = max(most, resident(t, dir))
	}
	if len(raw.Blocks()) == 0 {
		t.Error("no block was written")
	}
	if most == 0 {
		t.Error("nothing was mapped: the test is blind")
	}
	eventually(t, "nothing stays", func() bool { return resident(t, dir) == 0 })
	read()
}
