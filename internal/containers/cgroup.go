package containers

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"reeve/internal/collect"
)

// A memoryTree is where the kernel tells of control groups' memory.
type memoryTree struct{ proc, cgroup string }

func newMemoryTree(env collect.Env) *memoryTree {
	if !env.Live {
		return nil // a recorded kernel knows nothing of an engine's containers
	}
	return &memoryTree{proc: env.Proc, cgroup: env.SysPath("fs", "cgroup")}
}

// net takes file pages off a use of memory that holds them, as Podman tells
// it: without that a container that reads files is always near its limit. The
// figure stays as it is where the kernel cannot be asked.
func (m *memoryTree) net(u *Usage, id string, pid int) {
	if m == nil || !u.Gross || u.Memory == nil || pid <= 0 {
		return
	}
	groups, err := readBounded(filepath.Join(m.proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return
	}
	dir, ok := memoryGroup(string(groups), id)
	if !ok {
		return
	}
	stat, err := readBounded(filepath.Join(m.cgroup, dir, "memory.stat"))
	if err != nil {
		return
	}
	used := workingSet(container.MemoryStats{Usage: *u.Memory, Stats: memoryStat(stat)})
	u.Memory, u.Gross = &used, false
}

// memoryGroup answers the folder, below the root of control groups, of a
// container's own group, out of what /proc/PID/cgroup says of a process in it.
// A group that is not named after the container is none: the process number
// may belong to another by now.
func memoryGroup(groups, id string) (dir string, ok bool) {
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 || id == "" {
			continue
		}
		at := strings.Index(parts[2], id)
		if at < 0 || strings.Contains(parts[2], "..") {
			continue
		}
		path := parts[2][:at+len(id)]
		if rest, ok := strings.CutPrefix(parts[2][len(path):], ".scope"); ok && (rest == "" || rest[0] == '/') {
			path += ".scope"
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			if name == "memory" {
				return filepath.Join("memory", path), true
			}
		}
		if parts[1] == "" {
			dir, ok = path, true // version 2, unless memory is still version 1's
		}
	}
	return dir, dir != ""
}

// memoryStat reads a memory.stat: a name and a number a line.
func memoryStat(b []byte) map[string]uint64 {
	stats := map[string]uint64{}
	for line := range bytes.Lines(b) {
		name, text, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			stats[name] = n
		}
	}
	return stats
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}
