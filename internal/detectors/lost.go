package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "lost",
	Title: "Workload is lost",
	Doc:   "Something that should be on the host was missing from two complete lists of its driver. Success of an operation is never inferred from absence. It clears when it is seen again, or no longer declared.",
	Kinds: []ops.Kind{ops.KindWorkload},
	Role:  detect.Workload,
	Eval:  workloadLost,
	Causes: []string{
		"It was removed by hand, or by a tool that cleans up.",
		"It was renamed: names are what is declared.",
		"The engine lost its state.",
	},
	Checks: []string{
		"See what is there: `docker ps -a`, `podman ps -a`, `systemctl list-units --all --type=service`.",
		"Make it again from its compose file or image.",
		"If it should not be there: `reeve workload declare HOST/NAME --desired none`.",
	},
})

func workloadLost(s detect.Subject) detect.Verdict { return workloadProblem(s, "lost", ops.Critical) }
