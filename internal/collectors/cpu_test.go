package collectors

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// procFile makes a tree with files below proc and answers its root; the text
// of a file may be replaced between passes.
func procFile(t testing.TB, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		replace(t, filepath.Join(root, "proc", name), text)
	}
	return root
}

func replace(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCPUSharesOfTheTimeBetweenPasses(t *testing.T) {
	root := procFile(t, map[string]string{"stat": "cpu 100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0\nintr 1 2\n"})
	c := open(t, "cpu", rootEnv(root))
	if obs := mustPass(t, c, clock0); len(obs.Samples) != 0 {
		t.Error("the first pass has nothing to compare with")
	}
	replace(t, filepath.Join(root, "proc", "stat"), "cpu 150 0 120 900 20 0 0 10 0 0\ncpu0 100 0 50 450 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0\ncpu7 1 0 1 1 0 0 0 0\nintr 1 2\n")
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	near(t, obs, "host", "cpu_busy_ratio", 0.4)
	near(t, obs, "host", "cpu_mode_ratio", 0.25, "mode", "user")
	near(t, obs, "host", "cpu_mode_ratio", 0.1, "mode", "iowait")
	near(t, obs, "host", "cpu_mode_ratio", 0.05, "mode", "steal")
	near(t, obs, "host", "cpu_core_busy_ratio", 0.5, "core", "0")
	// A processor that did not tick, and one that has just appeared.
	for _, core := range []string{"1", "7"} {
		if v, ok := find(obs, "host", "cpu_core_busy_ratio", "core", core); ok {
			t.Errorf("core %s is busy %v", core, v)
		}
	}
}

func TestCPUCountersThatRunBack(t *testing.T) {
	shares, ok := cpuShares(cpuTimes{10, 0, 10, 100, 50}, cpuTimes{20, 0, 10, 130, 40})
	if !ok || shares[cpuIOWait] != 0 || shares[cpuIdle] != 0.75 {
		t.Errorf("%v %v", shares, ok)
	}
	if _, ok := cpuShares(cpuTimes{10, 5}, cpuTimes{1, 1}); ok {
		t.Error("a reset gives shares")
	}
}

func TestCPUOfAnOldKernelHasFewerColumns(t *testing.T) {
	b, err := readSmall("testdata/trees/old-kernel/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	lines := parseCPU(b, nil)
	if len(lines) != 2 || lines[0].core != cpuAll || lines[0].times != (cpuTimes{4705, 356, 584, 3699, 23, 23, 0, 0}) {
		t.Errorf("%v", lines)
	}
}

func FuzzParseCPU(f *testing.F) {
	f.Add([]byte("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n"))
	f.Add([]byte("cpu99999999999999999999 1 2 3 4\ncpu-1 1 2 3 4\ncpu"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range parseCPU(b, nil) {
			if l.core < cpuAll || l.core > 1<<20 {
				t.Fatalf("core %d", l.core)
			}
			if shares, ok := cpuShares(cpuTimes{}, l.times); ok {
				for _, s := range shares {
					if !(s >= 0 && s <= 1) {
						t.Fatalf("share %v", s)
					}
				}
			}
		}
	})
}
