package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "host_memory_high",
	Title: "Memory is almost used up",
	Doc: "The memory that programs use is above the limit for five minutes. Page cache and the ZFS cache can be " +
		"given back at any time and do not count as used. It clears when use was below the limit less the margin for five minutes.",
	Kinds:      []ops.Kind{ops.KindHost},
	Role:       detect.Capacity,
	Metrics:    []string{"memory_used_ratio", "memory_available_bytes", "memory_total_bytes"},
	Hold:       5 * time.Minute,
	Clear:      5 * time.Minute,
	Thresholds: steps("percent", 85, 95, 5),
	Eval:       hostMemoryHigh,
	Causes: []string{
		"A process leaks memory: its use only ever grows.",
		"A container without a memory limit took what it could get.",
		"The host runs more than fits into its memory.",
	},
	Checks: []string{
		"See what uses it: `ps -eo pid,rss,etime,cmd --sort=-rss | head`.",
		"See containers and their limits: `docker stats --no-stream`.",
		"Compare `free -h`: what counts is the column available, not free.",
		"Restart the process that grew, and give containers a limit so that one cannot take all.",
	},
})

func hostMemoryHigh(s detect.Subject) detect.Verdict {
	ratio, used, ok := reading(s, "memory_used_ratio")
	if !ok {
		return detect.NoData()
	}
	v := judge(s, points(ratio), "Memory is %s used", percent(ratio)).With(used).Fact("used", "%s", percent(ratio))
	available, x, ok := reading(s, "memory_available_bytes")
	if !ok {
		return v
	}
	v = v.With(x).Fact("available", "%s", bytes(available))
	if total, ok := s.Value("memory_total_bytes"); ok {
		v = v.Fact("total", "%s", bytes(total))
		v.Summary += ": " + bytes(available) + " of " + bytes(total) + " available"
	}
	return v
}
