package collectors

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "swap", Doc: "Swap space, and how fast pages go in and out of it.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "swap_total_bytes", Unit: "bytes", Doc: "Size of all swap areas; 0 without swap."},
		{Name: "swap_used_ratio", Unit: "ratio", Doc: "Share of swap in use; absent without swap."},
		{Name: "swap_in_bytes_per_s", Unit: "bytes_per_s", Doc: "Rate of reading pages back from swap."},
		{Name: "swap_out_bytes_per_s", Unit: "bytes_per_s", Doc: "Rate of writing pages to swap."},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open:  func(env collect.Env) collect.Collector { return &swap{env: env} },
})

type swap struct {
	env   collect.Env
	buf   []byte
	rates rates[string]
}

func (s *swap) Collect(_ context.Context, out *collect.Batch) error {
	proc, err := procfs.NewFS(s.env.Proc)
	if err != nil {
		return err
	}
	info, err := proc.Meminfo()
	if err != nil {
		return fmt.Errorf("read swap: %w", err)
	}
	if info.SwapTotalBytes == nil || info.SwapFreeBytes == nil {
		return fmt.Errorf("read swap: %s tells nothing of swap", s.env.ProcPath("meminfo"))
	}
	host, total, free := out.HostRef(), *info.SwapTotalBytes, *info.SwapFreeBytes
	out.Add(host, "swap_total_bytes", float64(total))
	if total > 0 {
		out.Add(host, "swap_used_ratio", 1-float64(min(free, total))/float64(total))
	}
	if s.buf, err = readInto(s.buf, s.env.ProcPath("vmstat")); err != nil {
		return err
	}
	page := s.pageSize()
	in, gone := parseSwapped(s.buf)
	if v, ok := s.rates.per("in", in, out.Now); ok {
		out.Add(host, "swap_in_bytes_per_s", v*page)
	}
	if v, ok := s.rates.per("out", gone, out.Now); ok {
		out.Add(host, "swap_out_bytes_per_s", v*page)
	}
	return nil
}

// pageSize answers the running kernel's page size; a recorded tree does not
// tell, and nearly every kernel uses 4 KiB.
func (s *swap) pageSize() float64 {
	if s.env.Live {
		return float64(unix.Getpagesize())
	}
	return 4096
}

// parseSwapped reads the pages that were swapped in and out since the boot
// from /proc/vmstat.
func parseSwapped(b []byte) (in, gone uint64) {
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		name, rest := nextField(line)
		switch string(name) {
		case "pswpin", "pswpout":
		default:
			continue
		}
		field, _ := nextField(rest)
		n, _ := parseUint(field)
		if string(name) == "pswpin" {
			in = n
		} else {
			gone = n
		}
	}
	return in, gone
}
