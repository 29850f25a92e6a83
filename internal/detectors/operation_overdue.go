package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "operation_overdue",
	Title: "Operation did not end in time",
	Doc:   "An operation on a workload passed its deadline (2 minutes, snapshots 15), or the driver has said for 15 minutes that it is between two states. It clears with the next list that shows a state.",
	Kinds: []ops.Kind{ops.KindWorkload},
	Role:  detect.Workload,
	Eval:  workloadOperationOverdue,
	Causes: []string{
		"The engine hangs: storage, a stuck process.",
		"The agent died in the middle.",
		"A container that ignores its signal to stop.",
	},
	Checks: []string{
		"See the action: `reeve actions`.",
		"See the engine: `systemctl status docker`, `docker ps`.",
	},
})

func workloadOperationOverdue(s detect.Subject) detect.Verdict {
	return workloadProblem(s, "operation_overdue", ops.Warning)
}
