package resident

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"reeve/test/mapped"
)

// rss answers how many kB of a file count as memory of this process.
func rss(t *testing.T, file string) int {
	t.Helper()
	return mapped.Resident(t, func(path string) bool { return path == file })
}

func TestWhatIsMappedIsLetGoOfAndIsThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	const size = 8 << 20
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789abcdef", size/16)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	for range 3 {
		for i := range mem {
			if mem[i] != "0123456789abcdef"[i%16] {
				t.Fatalf("byte %d is %q", i, mem[i])
			}
		}
		if n := rss(t, file); n < size>>10 {
			t.Fatalf("%d kB were read", n)
		}
		m, err := Of(func(m *procfs.ProcMap) bool { return m.Pathname == file })
		if err != nil || len(m) == 0 {
			t.Fatal(m, err)
		}
		if err := m.Release(); err != nil {
			t.Fatal(err)
		}
		if n := rss(t, file); n != 0 {
			t.Fatalf("%d kB stayed", n)
		}
	}
}

// TestWhatCanBeWrittenStays: it would be lost.
func TestWhatCanBeWrittenStays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	mem[0] = 1
	if m, err := Of(func(m *procfs.ProcMap) bool { return m.Pathname == file }); err != nil || len(m) != 0 {
		t.Error(m, err)
	}
}

// TestTheProgramGoesOn after its own pages were let go of; those of its start
// stay away.
func TestTheProgramGoesOn(t *testing.T) {
	if !static() {
		t.Fatal("the tests are not built as the program is: CGO_ENABLED=0")
	}
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	before := rss(t, file)
	for range 100 {
		releaseProgram()
	}
	if after := rss(t, file); after >= before {
		t.Errorf("%d kB of the program, then %d", before, after)
	}
}
