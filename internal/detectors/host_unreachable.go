package detectors

import (
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "host_unreachable",
	Title: "Host is unreachable",
	Doc: "No heartbeat of the host's agent came for longer than its grace (90 s unless set otherwise) while others were heard of. What runs on the host is unknown " +
		"until it is heard of again; nothing else is concluded from its silence. It clears with the first heartbeat and complete report.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Host,
	Unheard: true,
	Eval:    hostUnreachable,
	Causes: []string{
		"The host is down: power, crash, shutdown.",
		"Its network or the way between it and Reeve is broken.",
		"Its agent was stopped, or cannot get in: certificate, firewall, address of the server.",
	},
	Checks: []string{
		"See whether it answers: `ping HOST`, or its console.",
		"See its agent on it: `systemctl status reeve-agent`, `reeve-agent check`.",
		"See what Reeve last heard of it: `reeve hosts`.",
	},
})

func hostUnreachable(s detect.Subject) detect.Verdict {
	switch ops.HostState(s.Resource.Reachable) {
	case ops.HostUnreachable:
		return detect.Badf(ops.Critical, "%s is unreachable: %s", s.Resource.Name, s.Resource.ReachWhy).AtOnce()
	case ops.HostOnline, ops.HostDegraded, ops.HostMaintenance:
		return fine("%s is heard of", s.Resource.Name)
	}
	return detect.NoData()
}
