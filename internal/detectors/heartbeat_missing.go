package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "heartbeat_missing",
	Title: "Heartbeat did not come",
	Doc: "A job that should call its heartbeat address did not do so within its period and the grace time; also when it never called. " +
		"It clears with the next call. One that came due while Reeve did not run is waited for as long as its grace time after the start, " +
		"three minutes at most, because its call may have found nobody.",
	Kinds:   []ops.Kind{ops.KindCheck},
	Role:    detect.Symptom,
	Metrics: []string{"check_heartbeat_age_seconds"},
	Eval:    heartbeatMissing,
	Causes: []string{
		"The job did not run: its timer, cron or host is down.",
		"The job failed before it reached the call, or still runs.",
		"The job cannot reach Reeve: address, token, network.",
	},
	Checks: []string{
		"See whether it ran: `systemctl list-timers --all`, `journalctl -u JOB --since -1d`, `grep CRON /var/log/syslog`.",
		"Run it by hand and look at its end.",
		"Call the address by hand from that host: `curl -fsS URL`.",
	},
})

// startGrace is how long after a start a heartbeat that is late is waited for,
// at most.
const startGrace = 180 * time.Second

func heartbeatMissing(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	if !attrs.Is("type", "heartbeat") {
		return fine("%s is a probe, not a heartbeat", name)
	}
	every, ok := attrs.Number("every_ms")
	if !ok {
		return detect.NoData()
	}
	graceMS, _ := attrs.Number("grace_ms")
	period := seconds(every / 1000)
	grace := seconds(graceMS / 1000)
	age, x, ok := heartbeatAge(s)
	if !ok {
		return detect.NoData()
	}
	if age <= period+grace {
		return fine("%s is not late: it should come every %s", name, span(period))
	}
	if waited := min(grace, startGrace) - s.Now.Sub(s.Started); waited > 0 {
		v := fine("%s is late, but may have called while Reeve did not run; it is waited for another %s", name, span(waited))
		v.State = detect.Between
		return v
	}
	v := detect.Badf(ops.Critical, "%s was last heard of %s ago; it should come every %s", name, span(age), span(period)).
		Fact("last_beat", "%s", s.Now.Add(-age).UTC().Format(time.RFC3339))
	if _, came := attrs.Text("last_beat"); !came {
		v = detect.Badf(ops.Critical, "%s never came; it should come every %s", name, span(period))
	}
	return v.With(x).Fact("every", "%s", span(period)).Fact("grace", "%s", span(grace)).AtOnce()
}

// HeartbeatAge answers how long ago it came, or was first expected: the age
// at the last reading and the time since that.
func heartbeatAge(s detect.Subject) (age time.Duration, x ops.Series, ok bool) {
	old, x, ok := reading(s, "check_heartbeat_age_seconds")
	if !ok {
		return 0, x, false
	}
	p, _ := x.Last()
	return seconds(old) + s.Now.Sub(p.At), x, true
}
