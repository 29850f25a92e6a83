package detectors

import (
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "server_away",
	Title: "A server of Reeve is away",
	Doc: "One of several servers on a database has not said for a minute that it lives, and did not end in order. The others do its work; with one fewer of them. " +
		"It clears when the server is back, or was away for a week.",
	Kinds: []ops.Kind{ops.KindComponent},
	Role:  detect.Workload,
	Hold:  time.Minute,
	Eval:  serverAway,
	Causes: []string{
		"The server or its machine was killed or is down.",
		"It cannot reach the database.",
	},
	Checks: []string{
		"See which servers live: `reeve servers`.",
		"On its machine: `systemctl status reeve`, `journalctl -u reeve -n 100`.",
		"If it shall not come back: `reeve suppress ID --kind accepted --reason '...'`.",
	},
})

func serverAway(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "server:") {
		return fine("%s is no server", s.Resource.Name)
	}
	state, ok := s.Resource.Observed.Text("state")
	switch {
	case !ok:
		return detect.NoData()
	case state != "away":
		return fine("%s lives", s.Resource.Name)
	}
	since, _ := s.Resource.Observed.Text("seen_at")
	return detect.Badf(ops.Warning, "%s has not been heard of since %s", s.Resource.Name, since).Fact("seen_at", "%s", since)
}
