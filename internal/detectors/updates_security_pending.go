package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "updates_security_pending",
	Title: "Security updates wait to be installed",
	Doc: "Security updates were pending without a break for seven days in which the host was watched. Updates that are installed within " +
		"a week, by hand or by themselves, are no finding. It clears when none is pending.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Symptom,
	Metrics: []string{"updates_security_count"},
	Window:  30 * time.Minute, // packages are looked at every few minutes
	Hold:    7 * 24 * time.Hour,
	Thresholds: []detect.Threshold{
		{Name: "pending", Default: 1, Unit: "updates", Doc: "This many pending security updates count."},
	},
	Eval: updatesSecurityPending,
	Causes: []string{
		"Automatic updates are not set up, or hold these packages back.",
		"An update fails: no space, a package that is held, a source that does not answer.",
	},
	Checks: []string{
		"See them: `apt list --upgradable | grep -i security` or `dnf updateinfo list security`.",
		"Install them: `apt upgrade` or `dnf upgrade --security`.",
		"Have it done by itself: `apt install unattended-upgrades`; see its log in /var/log/unattended-upgrades.",
		"See what is held back: `apt-mark showhold`.",
	},
})

func updatesSecurityPending(s detect.Subject) detect.Verdict {
	pending, x, ok := slow(s, "updates_security_count")
	if !ok {
		return detect.NoData()
	}
	if pending < s.Limit("pending") {
		return fine("%s has no security update pending", s.Resource.Name)
	}
	return detect.Badf(ops.Warning, "%s has not installed %s for a week", s.Resource.Name,
		count(int(pending), "security update", "security updates")).With(x).Fact("pending", "%.0f", pending)
}
