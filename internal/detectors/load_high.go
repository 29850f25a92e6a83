package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "load_high",
	Title: "More work waits than the processors can do",
	Doc: "The load average over five minutes is above the limit per processor, and that over one minute too, so that it is " +
		"not merely the memory of a burst. It must last for five minutes and clears after five minutes below.",
	Kinds:      []ops.Kind{ops.KindHost},
	Role:       detect.Capacity,
	Metrics:    []string{"load1", "load5", "processes_blocked_count"},
	Hold:       5 * time.Minute,
	Clear:      5 * time.Minute,
	Thresholds: steps("per processor", 2, 4, 0.5),
	Eval:       loadHigh,
	Causes: []string{
		"Many processes want the processors at once.",
		"Processes are blocked on a slow or dead disk or network file system; these count as load too.",
		"A job starts more workers than there are processors.",
	},
	Checks: []string{
		"See whether it is CPU or waiting: `vmstat 1 5`, columns r (wants CPU) and b (blocked).",
		"See who is blocked: `ps -eo state,pid,wchan:20,cmd | grep '^D'`.",
		"If many are blocked: `iostat -x 1 3`, `dmesg | tail`, and whether a network mount answers: `timeout 5 df -h`.",
		"If they want CPU: `top`.",
	},
})

func loadHigh(s detect.Subject) detect.Verdict {
	load5, x5, ok1 := reading(s, "load5")
	load1, x1, ok2 := reading(s, "load1")
	cores, ok3 := s.Resource.Observed.Number("cpu_count")
	if !ok1 || !ok2 || !ok3 || cores < 1 {
		return detect.NoData()
	}
	per := load5 / cores
	v := judge(s, per, "Load is %.1f on %s, %.1f for each", load5, count(int(cores), "processor", "processors"), per).
		With(x5, x1).Fact("load5", "%.1f", load5).Fact("load1", "%.1f", load1).Fact("processors", "%.0f", cores)
	if v.State == detect.Bad && load1/cores < s.Limit("warning") {
		v.State, v.Severity = detect.Between, ""
	}
	if blocked, ok := s.Value("processes_blocked_count"); ok {
		v = v.Fact("blocked", "%.0f", blocked)
		if blocked >= max(cores, 2) {
			v.Summary += "; " + count(int(blocked), "process is", "processes are") + " blocked on input or output"
		}
	}
	return v
}
