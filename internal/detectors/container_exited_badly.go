package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "container_exited_badly",
	Title: "Container ended with an error",
	Doc: "A container ended by itself with an exit code other than 0 and was not started again for thirty seconds. One that someone stopped " +
		"is no problem, nor is one that ended long before Reeve saw it. It is critical where it should have been started again. It clears when it runs.",
	Kinds:  []ops.Kind{ops.KindContainer},
	Role:   detect.Workload,
	Events: []ops.EventType{ops.EventContainerExit},
	Window: time.Hour,
	Hold:   30 * time.Second,
	Thresholds: []detect.Threshold{
		{Name: "recent", Default: 24, Unit: "hours", Doc: "What ended longer ago when it is first looked at is history."},
	},
	Eval: containerExitedBadly,
	Causes: []string{
		"The program met an error that it could not handle.",
		"It was killed from outside (137 is SIGKILL, 143 SIGTERM, 139 a crash of the program).",
		"Its command or a file that it needs does not exist (126, 127).",
	},
	Checks: []string{
		"Read its last words: `docker logs --tail 100 CONTAINER`.",
		"See how it ended: `docker inspect --format '{{json .State}}' CONTAINER`.",
		"Start it: `docker start CONTAINER`; if it is no longer needed: `docker rm CONTAINER`.",
		"If it should always run, give it a restart policy: `docker update --restart unless-stopped CONTAINER`.",
	},
})

func containerExitedBadly(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok := attrs.Text("state")
	if !ok {
		return detect.NoData()
	}
	if state != "exited" && state != "dead" {
		return fine("%s is %s", name, state)
	}
	code, ok := attrs.Number("exit_code")
	if !ok {
		return detect.NoData()
	}
	byUser, known := attrs.Bool("stopped_by_user")
	switch {
	case code == 0:
		return fine("%s ended well", name)
	case byUser:
		return fine("%s was stopped by someone", name)
	case !known && (code == 130 || code == 137 || code == 143):
		return detect.NoData() // these are also how a container ends that someone stops
	case longAgo(s) && !s.Active:
		return fine("%s ended with code %.0f long ago", name, code)
	}
	sev := ops.Warning
	policy, _ := attrs.Text("restart_policy")
	if policy == "always" || policy == "unless-stopped" || policy == "on-failure" {
		sev = ops.Critical
	}
	v := detect.Badf(sev, "%s ended with exit code %.0f", name, code).Fact("exit_code", "%.0f", code)
	for _, fact := range []string{"finished_at", "restart_policy", "image", "error"} {
		if text, ok := attrs.Text(fact); ok && text != "" {
			v = v.Fact(fact, "%s", text)
		}
	}
	v.Quotes = lines(s.Events)
	return v
}

func longAgo(s detect.Subject) bool {
	text, _ := s.Resource.Observed.Text("finished_at")
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && s.Now.Sub(at).Hours() > s.Limit("recent")
}
