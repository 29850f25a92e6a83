package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "gpu_memory_full",
	Title: "Memory of the graphics processor is full",
	Doc: "The memory of the graphics processor is used at or above the limit for ten minutes: the next allocation fails. " +
		"It clears after two minutes below the limit less the margin.",
	Kinds:   []ops.Kind{ops.KindGPU},
	Role:    detect.Capacity,
	Metrics: []string{"gpu_memory_used_ratio", "gpu_memory_total_bytes"},
	Hold:    10 * time.Minute,
	Clear:   2 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 95, Unit: "percent", Doc: "A warning from here on."},
		{Name: "margin", Default: 3, Unit: "percent", Doc: "It clears when it is this far below the warning."},
	},
	Eval: gpuMemoryFull,
	Causes: []string{
		"More models or jobs are loaded than fit.",
		"A process that ended badly, or a notebook that nobody uses, keeps its memory.",
		"A program that takes all memory in advance by design; then raise the limit for this card.",
	},
	Checks: []string{
		"See who holds it: `nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv` or `rocm-smi --showpids`.",
		"End processes that are no longer needed.",
		"Load a smaller or more quantised model, or fewer at once.",
	},
})

func gpuMemoryFull(s detect.Subject) detect.Verdict {
	used, x, ok := reading(s, "gpu_memory_used_ratio")
	if !ok {
		return detect.NoData()
	}
	state, sev := detect.Levels(points(used), s.Limit("warning"), 1e9, s.Limit("margin"))
	v := say(state, sev, "The memory of %s is %s used", s.Resource.Name, percent(used)).With(x).Fact("used", "%s", percent(used))
	if total, ok := s.Value("gpu_memory_total_bytes"); ok {
		v.Summary += ": " + bytes(total*(1-used)) + " of " + bytes(total) + " left"
		v = v.Fact("total", "%s", bytes(total))
	}
	return v
}
