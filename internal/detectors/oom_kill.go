package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "oom_kill",
	Title: "Kernel killed a process for want of memory",
	Doc: "The kernel ended a process because memory ran out, on the host or in a group with a limit. It opens at once, is critical " +
		"from the third kill on, and clears when there was none for thirty minutes.",
	Kinds:  []ops.Kind{ops.KindHost},
	Role:   detect.Capacity,
	Events: []ops.EventType{ops.EventOOMKill},
	Window: 30 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "critical", Default: 3, Unit: "kills", Doc: "This many within thirty minutes are critical."},
	},
	Eval: oomKill,
	Causes: []string{
		"The process needed more memory than its limit, or than the host has.",
		"A memory leak.",
		"Several workloads reached their peak at the same time.",
	},
	Checks: []string{
		"Read the kernel's report with the table of processes: `journalctl -k -g 'out of memory|oom-kill' --since -1h` or `dmesg -T | grep -iA30 oom`.",
		"See whether it was a limit of a group (constraint=CONSTRAINT_MEMCG) or the whole host (CONSTRAINT_NONE).",
		"See who uses memory: `ps -eo pid,rss,cmd --sort=-rss | head`.",
		"Raise the limit, fix the leak, or move a workload; check that what was killed runs again.",
	},
})

func oomKill(s detect.Subject) detect.Verdict {
	events, times := happened(s, ops.EventOOMKill, 30*time.Minute)
	if times == 0 {
		return fine("No process was killed for want of memory in the last 30 min")
	}
	last := events[len(events)-1]
	process := last.Facts["process"]
	if process == "" {
		process = "a process"
	}
	sev := ops.Warning
	if float64(times) >= s.Limit("critical") {
		sev = ops.Critical
	}
	v := detect.Badf(sev, "The kernel killed %s for want of memory at %s", process, clock(last.At)).AtOnce().
		Fact("process", "%s", process).Fact("kills", "%d", times).Fact("at", "%s", last.At.UTC().Format(time.RFC3339))
	if times > 1 {
		v.Summary += ", the last of " + count(times, "kill", "kills") + " within 30 min"
	}
	if group := last.Facts["cgroup"]; group != "" {
		v = v.Fact("cgroup", "%s", group)
	}
	v.Quotes = lines(events)
	return v
}
