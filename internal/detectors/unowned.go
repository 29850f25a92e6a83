package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "unowned",
	Title: "Workload was not declared",
	Doc:   "Something runs on a host where workloads of its kind are declared, and nobody declared this one. It clears when it is declared or gone; nothing removes it but a person.",
	Kinds: []ops.Kind{ops.KindWorkload},
	Role:  detect.Symptom,
	Hold:  10 * time.Minute, // who declares several things one by one is not told of each
	Eval:  workloadUnowned,
	Causes: []string{
		"It was started by hand and forgotten.",
		"A new service whose declaration is missing.",
	},
	Checks: []string{
		"See what it is: `docker inspect NAME`.",
		"Take it in: `reeve workload declare HOST/NAME --desired running`.",
		"Leave it so: `reeve suppress FINDING --kind accepted --reason WHY`.",
	},
})

func workloadUnowned(s detect.Subject) detect.Verdict {
	v := workloadProblem(s, "unowned", ops.Warning)
	v.Hold = nil
	return v
}
