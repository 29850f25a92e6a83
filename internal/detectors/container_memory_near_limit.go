package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "container_memory_near_limit",
	Title: "Container is near its memory limit",
	Doc: "The memory that a container cannot give back is above the given share of its limit for two minutes: soon the kernel kills a process of it. " +
		"It clears after two minutes below the limit less the margin. Containers without a limit have no such figure.",
	Kinds:      []ops.Kind{ops.KindContainer},
	Role:       detect.Workload,
	Metrics:    []string{"container_memory_used_ratio", "container_memory_bytes", "container_memory_limit_bytes"},
	Hold:       2 * time.Minute,
	Clear:      2 * time.Minute,
	Thresholds: steps("percent", 90, 95, 5),
	Eval:       containerMemoryNearLimit,
	Causes: []string{
		"Its memory limit is too low for its work.",
		"A memory leak: use rises steadily since it was started.",
		"A program that fills what it is given by design (heap, cache); then set its own limit below that of the container.",
	},
	Checks: []string{
		"See limit and use: `docker stats --no-stream CONTAINER`.",
		"See its memory over the last day on its page.",
		"Raise the limit: `docker update --memory 1g --memory-swap 1g CONTAINER`, and in its compose file.",
	},
})

func containerMemoryNearLimit(s detect.Subject) detect.Verdict {
	// A container that does not run has no memory to be short of.
	if state, ok := s.Resource.Observed.Text("state"); ok && state != "running" && state != "paused" {
		return fine("%s does not run", s.Resource.Name)
	}
	ratio, x, ok := reading(s, "container_memory_used_ratio")
	if !ok {
		return detect.NoData()
	}
	v := judge(s, points(ratio), "%s uses %s of its memory limit", s.Resource.Name, percent(ratio)).With(x).Fact("used", "%s", percent(ratio))
	used, ok1 := s.Value("container_memory_bytes")
	limit, ok2 := s.Value("container_memory_limit_bytes")
	if ok1 && ok2 {
		v.Summary += ": " + bytes(used) + " of " + bytes(limit)
		v = v.Fact("memory", "%s", bytes(used)).Fact("limit", "%s", bytes(limit))
	}
	return v
}
