package detectors

import (
	"math"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "clock_skew",
	Title: "Clock differs from the server's",
	Doc: "The clock of the host and that of the Reeve server differ by more than the limit for a minute. Reeve sets the times of the host's samples and events right; " +
		"certificates, tokens and logs on the host are not. It clears below the limit.",
	Kinds: []ops.Kind{ops.KindHost},
	Role:  detect.Capacity,
	Hold:  time.Minute,
	Clear: time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 10, Unit: "seconds", Doc: "Difference that is a warning."},
		{Name: "critical", Default: 300, Unit: "seconds", Doc: "Difference that is critical: certificates and tokens fail."},
	},
	Eval: clockSkew,
	Causes: []string{
		"No time service runs on the host, or it reaches no server.",
		"A virtual machine that was paused, moved or restored.",
		"The clock of the Reeve server is wrong: then every host differs by the same.",
	},
	Checks: []string{
		"See both clocks: `timedatectl` on the host and on the server.",
		"See whether a service runs: `systemctl status systemd-timesyncd chrony ntp`.",
	},
})

func clockSkew(s detect.Subject) detect.Verdict {
	skew, ok := s.Resource.Observed.Number("clock_skew_seconds")
	if !ok {
		return detect.NoData()
	}
	off, way := math.Abs(skew), "ahead of"
	if skew < 0 {
		way = "behind"
	}
	severity := ops.Warning
	switch {
	case off >= s.Limit("critical"):
		severity = ops.Critical
	case off <= s.Limit("warning"):
		return fine("the clock of %s differs by %s", s.Resource.Name, span(seconds(off)))
	}
	return detect.Badf(severity, "The clock of %s is %s %s the server's", s.Resource.Name, span(seconds(off)), way).Fact("skew", "%.0f s", skew)
}
