package detectors

import (
	"strings"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "loop_failing",
	Title: "A part of Reeve fails",
	Doc: "A background loop of Reeve failed three times in a row: what it does is not done. " +
		"It clears with its first pass that works.",
	Kinds: []ops.Kind{ops.KindComponent},
	Role:  detect.Workload,
	Thresholds: []detect.Threshold{
		{Name: "failures", Default: 3, Unit: "failures", Doc: "In a row."},
	},
	Eval: loopFailing,
	Causes: []string{
		"The database or the disk below it is slow, full or cannot be reached.",
		"Something outside that the loop needs does not answer.",
		"A fault in Reeve.",
	},
	Checks: []string{
		"Read the error below; `reeve status` lists every loop.",
		"See whether there is space where Reeve keeps its data: `df -h`.",
		"Read Reeve's log: `journalctl -u reeve -n 100`.",
		"If it is a fault in Reeve, report it with the lines of the log.",
	},
})

func loopFailing(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "loop:") {
		return fine("%s is not a loop", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	failures, ok := attrs.Number("failures")
	if !ok {
		return detect.NoData()
	}
	reason, ok := attrs.Text("error")
	if !ok || reason == "" {
		reason = "no reason given"
	}
	switch {
	case failures == 0:
		return fine("%s works", name)
	case failures < s.Limit("failures"):
		return say(detect.Between, "", "%s failed %s: %s", name, count(int(failures), "time", "times"), reason)
	}
	return detect.Badf(ops.Critical, "%s failed %s in a row: %s", name, count(int(failures), "time", "times"), reason).
		Fact("failures", "%.0f", failures).Fact("error", "%s", reason)
}
