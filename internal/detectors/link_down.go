package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "link_down",
	Title: "Network link is down",
	Doc: "A physical interface that is switched on and had a link since the agent started has none for thirty seconds. Ports that never " +
		"had a cable, and those switched off, are no problem. It clears when the link was there for thirty seconds.",
	Kinds:   []ops.Kind{ops.KindInterface},
	Role:    detect.Hardware,
	Metrics: []string{"net_carrier"},
	Hold:    30 * time.Second,
	Clear:   30 * time.Second,
	Eval:    linkDown,
	Causes: []string{
		"The cable was pulled or is broken.",
		"The switch, its port or the other machine is off.",
		"A fault of the transceiver, the card or its driver.",
	},
	Checks: []string{
		"See the state: `ip link show dev IFACE`, `ethtool IFACE | grep -i link`.",
		"See when and why: `dmesg -T | grep IFACE`.",
		"Look at the lamps of both ends; try another cable and port.",
		"If it is no longer used: `ip link set IFACE down`.",
	},
})

func linkDown(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	switch {
	case attrs.Is("physical", "false"):
		return fine("%s is not a physical interface", name)
	case attrs.Is("admin_up", "false"):
		return fine("%s is switched off", name)
	}
	carrier, ok := attrs.Bool("carrier")
	if !ok {
		return detect.NoData()
	}
	if carrier {
		return fine("%s has a link", name)
	}
	if !attrs.Is("physical", "true") || !attrs.Is("admin_up", "true") {
		return detect.NoData()
	}
	// While the finding is open an agent that starts anew has not seen the
	// link before; that is no recovery.
	if !attrs.Is("was_up", "true") && !s.Active {
		return fine("%s had no link since the agent started", name)
	}
	v := detect.Badf(ops.Warning, "%s lost its link", name)
	if x, ok := s.One("net_carrier"); ok {
		v = v.With(x)
	}
	if state, ok := attrs.Text("operstate"); ok {
		v = v.Fact("operstate", "%s", state)
	}
	return v
}
