package detectors

import (
	"strings"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "collector_failing",
	Title: "Collector fails",
	Doc: "A collector of Reeve failed three times in a row, so what it reads is not watched. What a collector cannot read for want of a tool or a " +
		"permission is shown as a gap and is no failure. It clears with the first pass that works.",
	Kinds:   []ops.Kind{ops.KindComponent},
	Role:    detect.Symptom,
	Metrics: []string{"collector_up"},
	Thresholds: []detect.Threshold{
		{Name: "failures", Default: 3, Unit: "failures", Doc: "In a row."},
	},
	Eval: collectorFailing,
	Causes: []string{
		"What it reads is gone or answers differently: a daemon was stopped, a tool was replaced.",
		"It needs longer than its time limit because the host is overloaded or a device hangs.",
	},
	Checks: []string{
		"Read the error below; `reeve status` lists every collector.",
		"See whether the daemon it asks runs, for example `systemctl status docker`.",
		"If you do not need it, switch it off in reeve.yaml: `collectors: {NAME: {enabled: false}}`.",
	},
})

func collectorFailing(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "collector:") {
		return fine("%s is not a collector", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok := attrs.Text("state")
	if !ok {
		return detect.NoData()
	}
	if state != "failing" {
		return fine("%s is %s", name, state)
	}
	failures, ok := attrs.Number("failures")
	if !ok {
		return detect.NoData()
	}
	reason, ok := attrs.Text("error")
	if !ok || reason == "" {
		reason = "no reason given"
	}
	if failures < s.Limit("failures") {
		return say(detect.Between, "", "%s failed %s: %s", name, count(int(failures), "time", "times"), reason)
	}
	v := detect.Badf(ops.Warning, "%s failed %s in a row: %s", name, count(int(failures), "time", "times"), reason).
		Fact("failures", "%.0f", failures).Fact("error", "%s", reason)
	if x, ok := s.One("collector_up"); ok {
		v = v.With(x)
	}
	return v
}
