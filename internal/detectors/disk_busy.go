package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "disk_busy",
	Title: "Disk cannot keep up",
	Doc: "The disk is busy above the limit, as a mean over five minutes, for ten minutes, and requests wait for it longer than a disk " +
		"that keeps up would let them. Fast disks that are busy and still answer at once are no problem. It clears after five minutes well below.",
	Kinds:   []ops.Kind{ops.KindDisk},
	Role:    detect.Capacity,
	Metrics: []string{"disk_busy_ratio", "disk_await_seconds", "disk_read_bytes_per_s", "disk_write_bytes_per_s"},
	Window:  6 * time.Minute,
	Hold:    10 * time.Minute,
	Clear:   5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 90, Unit: "percent", Doc: "Share of time in which requests were under way."},
		{Name: "margin", Default: 20, Unit: "percent", Doc: "It clears when it is this far below the warning."},
		{Name: "wait", Default: 20, Unit: "milliseconds", Doc: "Mean wait of a request, where that is known: below it the disk keeps up."},
		{Name: "wait_critical", Default: 500, Unit: "milliseconds", Doc: "Mean wait of a request that makes it critical."},
	},
	Eval: diskBusy,
	Causes: []string{
		"A backup, scrub, rebuild or import reads or writes everything.",
		"The host swaps, or a database lacks memory for its cache.",
		"A failing disk answers slowly and retries.",
		"Several workloads share one slow disk.",
	},
	Checks: []string{
		"See the figures: `iostat -x 1 5`, columns %util and await.",
		"See who reads and writes: `iotop -oPa`, or `pidstat -d 5 1`.",
		"See whether a rebuild or scrub runs: `cat /proc/mdstat`, `zpool status`.",
		"See whether the disk is ill: `smartctl -a /dev/DISK`, `dmesg -T | grep -i DISK`.",
	},
})

func diskBusy(s detect.Subject) detect.Verdict {
	x, ok := s.One("disk_busy_ratio")
	if !ok {
		return detect.NoData()
	}
	busy, ok := mean(s, x, 5*time.Minute)
	if !ok {
		return detect.NoData()
	}
	state, sev := detect.Levels(points(busy), s.Limit("warning"), 1e9, s.Limit("margin"))
	v := say(state, sev, "%s is %s busy", s.Resource.Name, percent(busy)).With(x).Fact("busy", "%s", percent(busy))
	waits, ok := s.One("disk_await_seconds")
	if !ok {
		return v
	}
	wait, ok := mean(s, waits, 5*time.Minute)
	if !ok {
		return v
	}
	took := span(seconds(wait))
	v = v.With(waits).Fact("wait", "%s", took)
	v.Summary += " and a request takes " + took
	switch {
	case v.State == detect.Bad && wait*1000 < s.Limit("wait"):
		v.State, v.Severity = detect.Good, ""
	case v.State == detect.Bad && wait*1000 >= s.Limit("wait_critical"):
		v.Severity = ops.Critical
	}
	return v
}
