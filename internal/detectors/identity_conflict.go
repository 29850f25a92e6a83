package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "identity_conflict",
	Title: "Two machines have one identity",
	Doc: "A machine came with the key of this host that is another one: most often a copy of its disk. It was refused and nothing of it was merged. " +
		"It clears an hour after the last try, or when a person accepts the other machine as the host.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Host,
	Unheard: true,
	Eval:    identityConflict,
	Causes: []string{
		"A virtual machine was cloned, or a disk image with the agent's key was used twice.",
		"The machine was replaced and its disk moved to another one.",
		"Somebody copied the key.",
	},
	Checks: []string{
		"See what came and from where: `reeve hosts -o json`, `reeve audit`.",
		"On a copy: `reeve-agent forget`, then join it as a new host: `reeve host add NAME`.",
		"If the machine was replaced: `reeve host accept NAME`. If nobody can say: `reeve host revoke NAME`.",
	},
})

func identityConflict(s detect.Subject) detect.Verdict {
	if s.Resource.Conflict == "" {
		return fine("one machine has the identity of %s", s.Resource.Name)
	}
	return detect.Badf(ops.Critical, "%s: %s", s.Resource.Name, s.Resource.Conflict).AtOnce()
}
