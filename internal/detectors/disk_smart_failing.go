package detectors

import (
	"fmt"
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "disk_smart_failing",
	Title: "Disk says that it is failing",
	Doc: "The disk's own health check failed (critical), or it counts sectors it could not read, media errors, many reallocated sectors " +
		"or almost no spare room (warning). It clears when the disk reports none of it any more.",
	Kinds: []ops.Kind{ops.KindDisk},
	Role:  detect.Hardware,
	Metrics: []string{
		"disk_smart_passed", "disk_pending_count", "disk_uncorrectable_count",
		"disk_media_errors_count", "disk_reallocated_count", "disk_spare_ratio",
	},
	Window: 3 * time.Hour, // SMART is read rarely
	Step:   5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "pending", Default: 1, Unit: "sectors", Doc: "Sectors that could not be read and wait to be written over."},
		{Name: "uncorrectable", Default: 1, Unit: "sectors", Doc: "Sectors that could not be corrected."},
		{Name: "media_errors", Default: 1, Unit: "errors", Doc: "NVMe: errors of the medium that were not recovered."},
		{Name: "reallocated", Default: 10, Unit: "sectors", Doc: "Sectors replaced by spare ones."},
		{Name: "spare", Default: 10, Unit: "percent", Doc: "NVMe: spare room at or below this."},
	},
	Eval: diskSMARTFailing,
	Causes: []string{
		"The disk wears out or is damaged: it will probably fail.",
		"A bad cable, backplane or power supply can make some of these errors too.",
	},
	Checks: []string{
		"Make sure now that there is a backup of what is on it.",
		"Read it all: `smartctl -x /dev/DISK`; start a self-test: `smartctl -t long /dev/DISK`.",
		"See kernel errors: `dmesg -T | grep -iE 'DISK|i/o error'`.",
		"Plan to replace it; in an array, replace it before a second one fails.",
	},
})

func diskSMARTFailing(s detect.Subject) detect.Verdict {
	passed, known := smartPassed(s)
	var wrong []string
	var evidence []ops.Series
	facts := map[string]string{}
	for _, c := range []struct{ metric, limit, what string }{
		{"disk_pending_count", "pending", "unreadable sectors"},
		{"disk_uncorrectable_count", "uncorrectable", "uncorrectable sectors"},
		{"disk_media_errors_count", "media_errors", "media errors"},
		{"disk_reallocated_count", "reallocated", "reallocated sectors"},
	} {
		n, x, ok := slow(s, c.metric)
		known = known || ok
		if ok && n >= s.Limit(c.limit) {
			wrong = append(wrong, fmt.Sprintf("%.0f %s", n, c.what))
			evidence, facts[c.limit] = append(evidence, x), fmt.Sprintf("%.0f", n)
		}
	}
	if spare, x, ok := slow(s, "disk_spare_ratio"); ok && points(spare) <= s.Limit("spare") {
		wrong = append(wrong, percent(spare)+" spare room left")
		evidence, facts["spare"] = append(evidence, x), percent(spare)
	}
	name := s.Resource.Name
	switch {
	case !known:
		return detect.NoData()
	case !passed:
		reason, ok := s.Resource.Observed.Text("smart_reason")
		if ok && reason != "" {
			wrong = append([]string{reason}, wrong...)
		}
		return smartVerdict(ops.Critical, name+" failed its own health check", wrong, evidence, facts)
	case len(wrong) > 0:
		return smartVerdict(ops.Warning, name+" reports signs of failure", wrong, evidence, facts)
	}
	return fine("%s passed its own health check", name)
}

// SmartPassed takes the worse of the attribute and the metric; a disk that
// is not known to have failed has passed, and known says whether either was
// there.
func smartPassed(s detect.Subject) (passed, known bool) {
	passed = true
	if p, ok := s.Resource.Observed.Bool("smart_passed"); ok {
		passed, known = p, true
	}
	if n, _, ok := slow(s, "disk_smart_passed"); ok {
		passed, known = passed && n > 0, true
	}
	return passed, known
}

func smartVerdict(sev ops.Severity, what string, wrong []string, evidence []ops.Series, facts map[string]string) detect.Verdict {
	if len(wrong) > 0 {
		what += ": " + strings.Join(wrong, ", ")
	}
	v := detect.Badf(sev, "%s", what).With(evidence...)
	v.Facts = facts
	return v
}
