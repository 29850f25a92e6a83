package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "memory_pressure",
	Title: "Programs wait for memory",
	Doc: "The kernel's pressure figures say that tasks stood still for want of memory: some of them, or all at once (full). " +
		"Unlike the share of memory in use this says that it hurts. It clears after three minutes well below the limits.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Capacity,
	Metrics: []string{"pressure_some_ratio", "pressure_full_ratio", "memory_used_ratio"},
	Hold:    time.Minute,
	Clear:   3 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "some", Default: 20, Unit: "percent", Doc: "Share of time in which some task waited: a warning from here on."},
		{Name: "full", Default: 5, Unit: "percent", Doc: "Share of time in which all tasks waited: a warning from here on."},
		{Name: "full_critical", Default: 20, Unit: "percent", Doc: "Share of time in which all tasks waited: critical from here on."},
	},
	Eval: memoryPressure,
	Causes: []string{
		"The working set of the programs is larger than the memory: the kernel evicts pages that are needed again at once.",
		"A container is at its memory limit and reclaims all the time.",
		"A process leaks memory and pushes the others out.",
	},
	Checks: []string{
		"See the figures as the kernel gives them: `cat /proc/pressure/memory`.",
		"See what uses memory: `ps -eo pid,rss,cmd --sort=-rss | head`; containers: `docker stats --no-stream`.",
		"See whether pages go in and out: `vmstat 1 5`, columns si, so and bi.",
		"Stop or move a workload, or add memory; swap alone does not help against this.",
	},
})

func memoryPressure(s detect.Subject) detect.Verdict {
	someSeries, ok1 := labelled(s, "pressure_some_ratio", "what", "memory")
	fullSeries, ok2 := labelled(s, "pressure_full_ratio", "what", "memory")
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	some, ok1 := s.Fresh(someSeries)
	full, ok2 := s.Fresh(fullSeries)
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	state, sev := pressureLevel(s, points(some), points(full))
	v := say(state, sev, "Tasks waited for memory %s of the time, all of them at once %s", percent(some), percent(full)).
		With(someSeries, fullSeries).Fact("some", "%s", percent(some)).Fact("full", "%s", percent(full))
	if used, ok := s.Value("memory_used_ratio"); ok {
		v = v.Fact("memory_used", "%s", percent(used))
	}
	return v
}

// The figures swing widely, so they count as good only below half the limits.
func pressureLevel(s detect.Subject, some, full float64) (detect.State, ops.Severity) {
	switch {
	case full >= s.Limit("full_critical"):
		return detect.Bad, ops.Critical
	case full >= s.Limit("full") || some >= s.Limit("some"):
		return detect.Bad, ops.Warning
	case full < s.Limit("full")/2 && some < s.Limit("some")/2:
		return detect.Good, ""
	}
	return detect.Between, ""
}
