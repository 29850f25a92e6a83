package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "check_failing",
	Title: "Check fails",
	Doc: "A probe failed twice in a row; for probes that run less often than every five minutes once, and thirty seconds passed. " +
		"It clears when the probe succeeded for a minute.",
	Kinds:   []ops.Kind{ops.KindCheck},
	Role:    detect.Symptom,
	Metrics: []string{"check_up", "check_duration_seconds"},
	Window:  15 * time.Minute,
	Hold:    30 * time.Second,
	Clear:   time.Minute,
	Eval:    checkFailing,
	Causes: []string{
		"What is probed is down, overloaded or restarting.",
		"Something between: DNS, firewall, proxy, certificate, network.",
		"What is probed changed: another address, another answer.",
	},
	Checks: []string{
		"Probe it by hand from this host: `curl -v URL`, `nc -vz HOST PORT`, `ping -c3 HOST`, `dig NAME`.",
		"See whether the service behind it runs, and its log.",
		"See other findings of that host: the check is usually the symptom.",
	},
})

func checkFailing(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	if attrs.Is("type", "heartbeat") {
		return fine("%s is a heartbeat; its silence is heartbeat_missing", name)
	}
	up, ok := attrs.Bool("up")
	if !ok {
		return detect.NoData()
	}
	if up {
		return fine("%s succeeds", name)
	}
	reason, ok := attrs.Text("error")
	if !ok || reason == "" {
		reason = "no reason given"
	}
	v := detect.Badf(ops.Critical, "%s fails: %s", name, reason).Fact("error", "%s", reason)
	for _, fact := range []string{"target", "type", "since"} {
		if text, ok := attrs.Text(fact); ok {
			v = v.Fact(fact, "%s", text)
		}
	}
	x, ok := s.One("check_up")
	if ok {
		v = v.With(x)
	}
	every, _ := attrs.Number("every_ms")
	switch {
	case failedTwice(x):
		return v.AtOnce()
	case every >= 5*60*1000:
		return v
	}
	v.State, v.Severity = detect.Between, ""
	return v
}

func failedTwice(x ops.Series) bool {
	n := len(x.Points)
	return n > 1 && x.Points[n-1].Value == 0 && x.Points[n-2].Value == 0
}
