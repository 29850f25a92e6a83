package detectors

import (
	"math"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "clock_unsynchronised",
	Title: "Clock is not synchronised",
	Doc: "The kernel says that nothing keeps the clock right, or the clock is off by more than the limit, for ten minutes. " +
		"It clears when both were right for two minutes.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Capacity,
	Metrics: []string{"clock_synchronised", "clock_offset_seconds"},
	Hold:    10 * time.Minute,
	Clear:   2 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 0.5, Unit: "seconds", Doc: "Offset that is a warning."},
		{Name: "critical", Default: 5, Unit: "seconds", Doc: "Offset that is critical: certificates, tokens and logs go wrong."},
	},
	Eval: clockUnsynchronised,
	Causes: []string{
		"No time service runs (systemd-timesyncd, chrony, ntpd).",
		"The time servers cannot be reached: firewall, DNS, network.",
		"A virtual machine that was paused, moved or restored.",
	},
	Checks: []string{
		"See the state: `timedatectl`, and `timedatectl timesync-status` or `chronyc tracking`.",
		"See whether a service runs: `systemctl status systemd-timesyncd chrony ntp`.",
		"Install one if there is none: `apt install systemd-timesyncd` or `apt install chrony`.",
		"See whether servers answer: `chronyc sources`; UDP port 123 must be open to the outside.",
	},
})

func clockUnsynchronised(s detect.Subject) detect.Verdict {
	synced, x, ok1 := reading(s, "clock_synchronised")
	offset, y, ok2 := reading(s, "clock_offset_seconds")
	off := math.Abs(offset)
	how := span(seconds(off))
	switch {
	case ok2 && off >= s.Limit("critical"):
		return detect.Badf(ops.Critical, "The clock is off by %s", how).With(y).Fact("offset", "%s", how)
	case ok2 && off > s.Limit("warning"):
		return detect.Badf(ops.Warning, "The clock is off by %s", how).With(y).Fact("offset", "%s", how)
	case ok1 && synced == 0:
		return detect.Badf(ops.Warning, "Nothing keeps the clock synchronised").With(x).Fact("synchronised", "no")
	case !ok1:
		return detect.NoData()
	}
	return fine("The clock is synchronised")
}
