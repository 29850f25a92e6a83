package collectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/procfs"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "memory", Doc: "Main memory. Page cache and the reclaimable part of the ZFS ARC are not used memory.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "memory_total_bytes", Unit: "bytes", Doc: "Memory that the kernel manages."},
		{Name: "memory_available_bytes", Unit: "bytes", Doc: "Memory that programs can have without swapping, the reclaimable part of the ZFS ARC included."},
		{Name: "memory_used_ratio", Unit: "ratio", Doc: "Share of memory that is not available."},
		{Name: "memory_cached_bytes", Unit: "bytes", Doc: "Page cache, buffers and reclaimable slabs, without shared memory."},
		{Name: "zfs_arc_bytes", Unit: "bytes", Doc: "Size of the ZFS cache."},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(_ context.Context, out *collect.Batch) error {
			return collectMemory(env, out)
		})
	},
})

func collectMemory(env collect.Env, out *collect.Batch) error {
	proc, err := procfs.NewFS(env.Proc)
	if err != nil {
		return err
	}
	info, err := proc.Meminfo()
	if err != nil {
		return fmt.Errorf("read memory: %w", err)
	}
	m, err := memoryOf(info)
	if err != nil {
		return err
	}
	host := out.HostRef()
	switch b, err := readSmall(env.ProcPath("spl", "kstat", "zfs", "arcstats")); {
	case err == nil:
		size, least := parseARC(b)
		out.Add(host, "zfs_arc_bytes", float64(size))
		// The kernel does not count the ARC as cache, yet ZFS gives back all
		// above its minimum when programs ask for memory.
		if size > least {
			m.available += size - least
		}
	case !missing(err):
		return err
	}
	available := min(float64(m.available), float64(m.total))
	out.Add(host, "memory_total_bytes", float64(m.total))
	out.Add(host, "memory_available_bytes", available)
	out.Add(host, "memory_used_ratio", 1-available/float64(m.total))
	out.Add(host, "memory_cached_bytes", float64(m.cached))
	return nil
}

// memoryFacts are bytes.
type memoryFacts struct{ total, available, cached uint64 }

// memoryOf reads what counts. Kernels before 3.14 have no MemAvailable: what
// is free or cached comes close to it.
func memoryOf(info procfs.Meminfo) (m memoryFacts, err error) {
	if info.MemTotalBytes == nil || *info.MemTotalBytes == 0 {
		return m, errors.New("read memory: no MemTotal")
	}
	of := func(p *uint64) uint64 {
		if p == nil {
			return 0
		}
		return *p
	}
	m.total = *info.MemTotalBytes
	m.cached = of(info.CachedBytes) + of(info.BuffersBytes) + of(info.SReclaimableBytes)
	m.cached -= min(m.cached, of(info.ShmemBytes))
	if info.MemAvailableBytes != nil {
		m.available = *info.MemAvailableBytes
	} else {
		m.available = of(info.MemFreeBytes) + m.cached
	}
	return m, nil
}

// parseARC reads the size and the minimum size of the ARC from arcstats:
// lines of name, type, value.
func parseARC(b []byte) (size, least uint64) {
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		name, rest := nextField(line)
		_, rest = nextField(rest)
		field, _ := nextField(rest)
		n, ok := parseUint(field)
		if !ok {
			continue
		}
		switch string(name) {
		case "size":
			size = n
		case "c_min":
			least = n
		}
	}
	return size, least
}
