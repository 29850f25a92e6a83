package detectors

import (
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "data_missing",
	Title: "Readings stopped coming",
	Doc: "A collector that should run was not heard of for three of its periods, at least ninety seconds, or does not come back from a pass. " +
		"What it reads is unknown from then on. It opens after thirty seconds more and clears when it reports again.",
	Kinds:   []ops.Kind{ops.KindComponent},
	Role:    detect.Symptom,
	Metrics: []string{"collector_up"},
	Hold:    30 * time.Second,
	Thresholds: []detect.Threshold{
		{Name: "periods", Default: 3, Unit: "periods", Doc: "Silent for this many periods."},
		{Name: "least", Default: 90, Unit: "seconds", Doc: "And at least this long."},
	},
	Eval: dataMissing,
	Causes: []string{
		"The collector hangs: a device, a mount or a daemon that it reads does not answer.",
		"The agent on the host is stopped or overloaded.",
		"The way from the agent to the server is interrupted.",
	},
	Checks: []string{
		"See every collector and when it last ran: `reeve status`.",
		"See whether something hangs on the host: `ps -eo state,pid,wchan:20,cmd | grep '^D'`, `timeout 5 df -h`.",
		"Restart the agent; if it stays so, switch the collector off and report it.",
	},
})

func dataMissing(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "collector:") {
		return fine("%s is not a collector", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok1 := attrs.Text("state")
	every, ok2 := attrs.Number("every_ms")
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	if state == "disabled" {
		return fine("%s is switched off", name)
	}
	seen := s.Resource.ObservedAt
	x, ok := s.One("collector_up")
	if p, has := x.Last(); has && p.At.After(seen) {
		seen = p.At
	}
	if seen.IsZero() {
		return detect.NoData()
	}
	age := s.Now.Sub(seen)
	limit := max(seconds(s.Limit("periods")*every/1000), seconds(s.Limit("least")))
	v := fine("%s reported %s ago", name, span(age))
	switch {
	case state == "stuck":
		v = detect.Badf(ops.Warning, "%s does not come back from its pass", name)
	case age > limit:
		v = detect.Badf(ops.Warning, "%s has not reported for %s; it should every %s", name, span(age), span(seconds(every/1000)))
	}
	if ok {
		v = v.With(x)
	}
	return v.Fact("last_report", "%s", seen.UTC().Format(time.RFC3339)).Fact("state", "%s", state)
}
