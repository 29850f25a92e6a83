package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "agent_outdated",
	Title: "Agent is older than the server",
	Doc: "The agent of the host is of an older version than the server for a day. It goes on working; what is new in the server may be missing there. " +
		"It clears when the agent is brought up to date.",
	Kinds: []ops.Kind{ops.KindHost},
	Role:  detect.Symptom,
	Hold:  24 * time.Hour,
	Eval:  agentOutdated,
	Causes: []string{
		"The server was upgraded and the agent was not.",
		"The agent tried to upgrade itself and went back because the new one did not get through.",
	},
	Checks: []string{
		"See the versions: `reeve hosts`.",
		"Upgrade the agent: install the new package, or `reeve-agent upgrade FILE` on the host.",
	},
})

func agentOutdated(s detect.Subject) detect.Verdict {
	how, ok := s.Resource.Observed.Text("agent_outdated")
	switch {
	case !ok:
		return detect.NoData()
	case how == "":
		return fine("the agent of %s is as new as the server", s.Resource.Name)
	}
	return detect.Badf(ops.Warning, "%s: %s", s.Resource.Name, how)
}
