package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "unit_flapping",
	Title: "Unit restarts again and again",
	Doc: "Systemd restarted a unit at least the given number of times within ten minutes. It opens at once and clears when there was " +
		"no restart for ten minutes.",
	Kinds:   []ops.Kind{ops.KindUnit},
	Role:    detect.Workload,
	Metrics: []string{"unit_restarts_total"},
	Window:  10 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "restarts", Default: 3, Unit: "restarts", Doc: "Within ten minutes."},
	},
	Eval: unitFlapping,
	Causes: []string{
		"The program ends soon after it starts: configuration, permissions, a port in use, something it needs that is not there.",
		"It is killed: out of memory, a watchdog.",
	},
	Checks: []string{
		"See state and last lines: `systemctl status UNIT`.",
		"Read its log over several starts: `journalctl -u UNIT -n 200 --no-pager`.",
		"Stop it while you look: `systemctl stop UNIT`.",
	},
})

func unitFlapping(s detect.Subject) detect.Verdict {
	x, ok := s.One("unit_restarts_total")
	if !ok {
		return detect.NoData()
	}
	if _, ok := s.Fresh(x); !ok {
		return detect.NoData()
	}
	rise, ok := detect.Increase(x)
	if !ok {
		return detect.NoData()
	}
	state, sev := detect.Good, ops.Severity("")
	switch {
	case rise >= s.Limit("restarts"):
		state, sev = detect.Bad, ops.Warning
	case rise > 0:
		state = detect.Between
	}
	return say(state, sev, "%s restarted %s within 10 min", s.Resource.Name, count(int(rise), "time", "times")).
		With(x).Fact("restarts", "%.0f", rise).AtOnce()
}
