package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "stopped_unexpectedly",
	Title: "Workload stopped",
	Doc:   "Something that should run, or be paused, is stopped or paused. It clears when it is as declared.",
	Kinds: []ops.Kind{ops.KindWorkload},
	Role:  detect.Workload,
	Eval:  workloadStoppedUnexpectedly,
	Causes: []string{
		"It crashed or was killed; see its end and exit code.",
		"Somebody stopped it by hand.",
		"The host was started anew and it is not started by itself.",
	},
	Checks: []string{
		"See its end: `docker logs --tail 50 NAME`, `journalctl -u UNIT -n 50`.",
		"Start it: `reeve workload start HOST/NAME`.",
	},
})

func workloadStoppedUnexpectedly(s detect.Subject) detect.Verdict {
	return workloadProblem(s, "stopped_unexpectedly", ops.Critical)
}
