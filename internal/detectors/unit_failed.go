package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "unit_failed",
	Title: "Unit failed",
	Doc: "A systemd unit is in the state failed for thirty seconds: it ended badly and systemd does not start it again by itself. " +
		"It clears when it was in another state for thirty seconds.",
	Kinds:  []ops.Kind{ops.KindUnit},
	Role:   detect.Workload,
	Events: []ops.EventType{ops.EventUnitFailed},
	Window: time.Hour,
	Hold:   30 * time.Second,
	Clear:  30 * time.Second,
	Eval:   unitFailed,
	Causes: []string{
		"The program ended with an error: configuration, permissions, a port in use, something it needs that is not there.",
		"It was killed: out of memory, a watchdog, a time limit.",
		"It failed too often in a row and systemd gave up.",
	},
	Checks: []string{
		"See state and last lines: `systemctl status UNIT`.",
		"Read its log: `journalctl -u UNIT -n 100 --no-pager`.",
		"After the fix: `systemctl restart UNIT`; if it no longer matters: `systemctl reset-failed UNIT`.",
	},
})

func unitFailed(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok := attrs.Text("active_state")
	if !ok {
		return detect.NoData()
	}
	if state != "failed" {
		return fine("%s is %s", name, state)
	}
	v := detect.Badf(ops.Warning, "%s failed", name)
	if result, ok := attrs.Text("result"); ok && result != "" {
		v.Summary += " (" + result + ")"
		v = v.Fact("result", "%s", result)
	}
	if enabled, ok := attrs.Text("enabled"); ok {
		v = v.Fact("enabled", "%s", enabled)
	}
	events, _ := happened(s, ops.EventUnitFailed, time.Hour)
	v.Quotes = lines(events)
	return v
}
