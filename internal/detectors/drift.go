package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "drift",
	Title: "Workload does more than it should",
	Doc:   "Something runs that should be paused, stopped or absent. It clears when it is as declared.",
	Kinds: []ops.Kind{ops.KindWorkload},
	Role:  detect.Workload,
	Eval:  workloadDrift,
	Causes: []string{
		"Somebody started it by hand.",
		"A restart policy or a dependency started it.",
	},
	Checks: []string{
		"See who started it: `docker events --since 1h`, `journalctl -u UNIT`.",
		"Bring it back with `reeve workload stop HOST/NAME`, or declare what it is.",
	},
})

func workloadDrift(s detect.Subject) detect.Verdict { return workloadProblem(s, "drift", ops.Warning) }
