package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "host_cpu_high",
	Title: "CPU is busy all the time",
	Doc: "The processors of the host are busy above the limit, as a mean over one minute, for five minutes. " +
		"It clears when they were below the limit less the margin for five minutes.",
	Kinds:      []ops.Kind{ops.KindHost},
	Role:       detect.Capacity,
	Metrics:    []string{"cpu_busy_ratio", "cpu_mode_ratio"},
	Window:     5 * time.Minute,
	Hold:       5 * time.Minute,
	Clear:      5 * time.Minute,
	Thresholds: steps("percent", 80, 95, 5),
	Eval:       hostCPUHigh,
	Causes: []string{
		"A process is in an endless loop or has more work than usual.",
		"A scheduled job (backup, index, compression, update) runs longer than it used to.",
		"Too many workloads share this host.",
		"On a virtual machine: the hypervisor gives it less time than it asks for (steal).",
	},
	Checks: []string{
		"See what uses the processors: `top -o %CPU` or `ps -eo pid,pcpu,etime,cmd --sort=-pcpu | head`.",
		"See which container it is: `docker stats --no-stream`.",
		"If steal is high (`vmstat 1 5`, column st), look at the hypervisor and not at this host.",
		"Look for jobs that began at that time: `systemctl list-timers --all`.",
	},
})

func hostCPUHigh(s detect.Subject) detect.Verdict {
	busy, ok := s.One("cpu_busy_ratio")
	if !ok {
		return detect.NoData()
	}
	ratio, ok := mean(s, busy, time.Minute)
	if !ok {
		return detect.NoData()
	}
	v := judge(s, points(ratio), "The CPU is %s busy", percent(ratio)).With(busy).Fact("busy", "%s", percent(ratio))
	for _, mode := range []string{"iowait", "steal"} {
		x, ok := labelled(s, "cpu_mode_ratio", "mode", mode)
		if !ok {
			continue
		}
		part, ok := mean(s, x, time.Minute)
		if !ok {
			continue
		}
		v = v.Fact(mode, "%s", percent(part))
		if mode == "steal" && part >= 0.1 {
			v = v.With(x)
			v.Summary += "; the hypervisor withholds " + percent(part)
		}
	}
	return v
}
