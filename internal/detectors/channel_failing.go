package detectors

import (
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "channel_failing",
	Title: "Messages do not reach their channel",
	Doc: "A message to the channel failed three times, or the last one was given up after a day, for a minute: nobody hears through it. " +
		"It clears when the channel takes messages again, or a test of it succeeds.",
	Kinds: []ops.Kind{ops.KindComponent},
	Role:  detect.Workload,
	Hold:  time.Minute,
	Eval:  channelFailing,
	Causes: []string{
		"The address, token or password of the channel is wrong or was withdrawn.",
		"The receiver is down, or cannot be reached from this host.",
		"The receiver refuses what is sent to it: too large, too often, another format.",
	},
	Checks: []string{
		"Try it: `reeve channels test NAME`.",
		"Read the error below and compare the settings of the channel with those of the receiver.",
		"Try the way by hand: `curl -v URL`, `openssl s_client -starttls smtp -connect HOST:PORT`.",
	},
})

func channelFailing(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "channel:") {
		return fine("%s is not a channel", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok := attrs.Text("state")
	if !ok {
		return detect.NoData()
	}
	if state == "ok" || state == "disabled" {
		return fine("%s is %s", name, state)
	}
	v := detect.Badf(ops.Critical, "%s does not deliver", name).Fact("state", "%s", state)
	if failures, ok := attrs.Number("failures"); ok && failures > 0 {
		v = v.Fact("failures", "%.0f", failures)
	}
	if reason, ok := attrs.Text("error"); ok && reason != "" {
		v.Summary += ": " + reason
		v = v.Fact("error", "%s", reason)
	}
	return v
}
