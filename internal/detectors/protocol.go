package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "protocol",
	Title: "Agent says what nobody understands",
	Doc:   "The driver of the host calls the state of a workload something that this version of Reeve does not know. The last known state stands. It clears with a known word.",
	Kinds: []ops.Kind{ops.KindWorkload},
	Role:  detect.Symptom,
	Eval:  workloadProtocol,
	Causes: []string{
		"The engine is newer than Reeve.",
		"The agent is newer than the server.",
	},
	Checks: []string{
		"See the word: `reeve workloads -o json`, `raw_label`.",
		"Upgrade the server, or report it.",
	},
})

func workloadProtocol(s detect.Subject) detect.Verdict {
	return workloadProblem(s, "protocol", ops.Warning)
}
