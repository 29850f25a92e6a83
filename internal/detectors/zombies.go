package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "zombies",
	Title: "Ended processes are not cleared away",
	Doc: "More processes than the limit have ended without their parent taking note, for ten minutes. They use no memory, but numbers of " +
		"processes, and show that the parent is ill. It clears after five minutes with half of the limit or fewer.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Workload,
	Metrics: []string{"processes_zombie_count"},
	Hold:    10 * time.Minute,
	Clear:   5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 20, Unit: "processes", Doc: "More than this many."},
	},
	Eval: zombies,
	Causes: []string{
		"A program starts others and never waits for them.",
		"A container whose first process is not made to clear away others (start it with `docker run --init`).",
		"The parent hangs, for example on a disk.",
	},
	Checks: []string{
		"See them with their parents: `ps -eo pid,ppid,state,etime,cmd | awk '$3 ~ /Z/'`.",
		"See the parent: `ps -o pid,state,wchan,cmd -p PPID`; restart it, which clears them away.",
	},
})

func zombies(s detect.Subject) detect.Verdict {
	n, x, ok := reading(s, "processes_zombie_count")
	if !ok {
		return detect.NoData()
	}
	state, sev := detect.Between, ops.Severity("")
	switch {
	case n > s.Limit("warning"):
		state, sev = detect.Bad, ops.Warning
	case n <= s.Limit("warning")/2:
		state = detect.Good
	}
	return say(state, sev, "%s not cleared away", count(int(n), "ended process is", "ended processes are")).
		With(x).Fact("zombies", "%.0f", n)
}
