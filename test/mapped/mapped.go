// Package mapped tells what of mapped files counts as memory of a test.
package mapped

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Resident answers how many kB of the files that are ours count as memory of
// this process.
func Resident(t testing.TB, ours func(path string) bool) (kb int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if first, _, _ := strings.Cut(line, " "); strings.Contains(first, "-") {
			at := strings.IndexByte(line, '/') // an address, rights, an offset, a device and an inode come before
			counts = at > 0 && ours(line[at:])
			continue
		}
		if n := 0; counts {
			if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err == nil {
				kb += n
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return kb
}
