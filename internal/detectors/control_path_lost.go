package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "control_path_lost",
	Title: "Host beats but is not fully there",
	Doc: "Heartbeats of the host's agent come, but it did not answer on the command direction, or sent no complete report, for three intervals. Nothing can be done on the " +
		"host, or what is known of it grows old. It clears when both are there again.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Host,
	Unheard: true,
	Eval:    controlPathLost,
	Causes: []string{
		"Something between the host and Reeve holds what goes to the host back: a proxy that buffers, a middlebox.",
		"The host is so loaded that its agent cannot keep up, or a file system it reads hangs.",
	},
	Checks: []string{
		"See which of the clocks stands: `reeve hosts -o json`.",
		"See the agent on the host: `reeve-agent check`, `journalctl -u reeve-agent -n 50`.",
		"See the load of the host: `uptime`, `cat /proc/pressure/io`.",
	},
})

func controlPathLost(s detect.Subject) detect.Verdict {
	switch ops.HostState(s.Resource.Reachable) {
	case ops.HostDegraded:
		return detect.Badf(ops.Warning, "%s: %s", s.Resource.Name, s.Resource.ReachWhy).AtOnce()
	case ops.HostOnline, ops.HostMaintenance:
		return fine("%s answers and reports", s.Resource.Name)
	}
	return detect.NoData()
}
