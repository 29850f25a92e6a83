// Package disks makes real, small file systems for tests and fills them.
package disks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Mount makes an ext4 file system in a file and mounts it until the test ends.
// It answers where; options go to mkfs.ext4.
func Mount(t testing.TB, size int64, options ...string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	MountAt(t, at, size, options...)
	return at
}

// MountAt is Mount on a folder that is there.
func MountAt(t testing.TB, at string, size int64, options ...string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	Run(t, "mkfs.ext4", append(options, "-q", "-m", "0", "-F", image)...)
	Run(t, "mount", "-o", "loop", image, at)
	t.Cleanup(func() { Run(t, "umount", at) })
}

// Fill writes until a file system is used to a ratio, as df counts it, and
// answers the file that fills it.
func Fill(t testing.TB, at string, ratio float64) string {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(at, &fs); err != nil {
		t.Fatal(err)
	}
	used, avail := float64(fs.Blocks-fs.Bfree), float64(fs.Bavail)
	path := filepath.Join(at, "filler")
	if err := os.WriteFile(path, make([]byte, int64((ratio*(used+avail)-used)*float64(fs.Bsize))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs a program of the system, also one of the administrator's; the test
// fails when it does.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		cmd = exec.Command(path, args...)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
