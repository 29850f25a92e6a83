package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "reboot_required",
	Title: "Host must be started again",
	Doc: "An update is installed that only takes effect when the host is started again, for an hour: " +
		"someone who is updating it now need not hear of it. It clears when the host no longer asks for it.",
	Kinds: []ops.Kind{ops.KindHost},
	Role:  detect.Symptom,
	Hold:  time.Hour,
	Eval:  rebootRequired,
	Causes: []string{
		"A new kernel or a library that everything uses was installed.",
	},
	Checks: []string{
		"See what asks for it: `cat /var/run/reboot-required.pkgs` or `needs-restarting -r`.",
		"Choose a time and run `systemctl reboot`; see first that what runs here comes back by itself.",
	},
})

func rebootRequired(s detect.Subject) detect.Verdict {
	required, ok := s.Resource.Observed.Bool("reboot_required")
	if !ok {
		return detect.NoData()
	}
	if !required {
		return fine("%s need not be started again", s.Resource.Name)
	}
	v := detect.Badf(ops.Warning, "%s must be started again for an update to take effect", s.Resource.Name)
	if reason, ok := s.Resource.Observed.Text("reboot_reason"); ok && reason != "" {
		v.Summary += ": " + reason
		v = v.Fact("reason", "%s", reason)
	}
	return v
}
