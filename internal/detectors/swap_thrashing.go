package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "swap_thrashing",
	Title: "Memory is swapped in and out all the time",
	Doc: "Pages are read from swap and written to it at a high rate for two minutes. A used swap alone is no problem, " +
		"nor is one burst of writing; where the kernel tells memory pressure, there must be some too. It clears after five minutes below half the rate.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Capacity,
	Metrics: []string{"swap_in_bytes_per_s", "swap_out_bytes_per_s", "swap_used_ratio", "pressure_some_ratio"},
	Window:  5 * time.Minute,
	Hold:    2 * time.Minute,
	Clear:   5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 4e6, Unit: "bytes_per_s", Doc: "In and out together, as a mean over a minute: a warning from here on."},
		{Name: "critical", Default: 50e6, Unit: "bytes_per_s", Doc: "In and out together: critical from here on."},
		{Name: "in_share", Default: 20, Unit: "percent", Doc: "Share of reading in it: less is a program being swapped out for good."},
		{Name: "pressure", Default: 5, Unit: "percent", Doc: "Share of time in which tasks must have waited for memory, where that is known."},
	},
	Eval: swapThrashing,
	Causes: []string{
		"Programs need more memory at once than the host has.",
		"A job with a large working set (backup, import, build) runs beside the usual load.",
		"A process leaks memory.",
	},
	Checks: []string{
		"See the traffic: `vmstat 1 5`, columns si and so.",
		"See who is swapped out: `grep -H VmSwap /proc/[0-9]*/status | sort -k2 -n -r | head`.",
		"See who uses memory now: `ps -eo pid,rss,cmd --sort=-rss | head`.",
		"Stop or move the workload that is new; afterwards `swapoff -a && swapon -a` brings pages back if enough memory is free.",
	},
})

func swapThrashing(s detect.Subject) detect.Verdict {
	inSeries, ok1 := s.One("swap_in_bytes_per_s")
	outSeries, ok2 := s.One("swap_out_bytes_per_s")
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	in, ok1 := mean(s, inSeries, time.Minute)
	out, ok2 := mean(s, outSeries, time.Minute)
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	used, usedSeries, ok := reading(s, "swap_used_ratio")
	if !ok {
		return detect.NoData()
	}
	state, sev := swapLevel(s, in, out, used)
	return say(state, sev, "Swap is read at %s/s and written at %s/s; %s of it is used", bytes(in), bytes(out), percent(used)).
		With(inSeries, outSeries, usedSeries).
		Fact("swap_in", "%s/s", bytes(in)).Fact("swap_out", "%s/s", bytes(out)).Fact("swap_used", "%s", percent(used))
}

func swapLevel(s detect.Subject, in, out, used float64) (detect.State, ops.Severity) {
	rate := in + out
	if used <= 0 || rate < s.Limit("warning")/2 {
		return detect.Good, ""
	}
	if rate < s.Limit("warning") || points(in/rate) < s.Limit("in_share") {
		return detect.Between, ""
	}
	if x, ok := labelled(s, "pressure_some_ratio", "what", "memory"); ok {
		if waited, ok := s.Fresh(x); ok && points(waited) < s.Limit("pressure") {
			return detect.Between, ""
		}
	}
	if rate >= s.Limit("critical") {
		return detect.Bad, ops.Critical
	}
	return detect.Bad, ops.Warning
}
