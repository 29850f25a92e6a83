package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "container_restart_loop",
	Title: "Container ends and is started again and again",
	Doc: "A container was started again, or ended without being asked to, at least three times within five minutes. It opens at once and " +
		"clears when that did not happen for five minutes.",
	Kinds:   []ops.Kind{ops.KindContainer},
	Role:    detect.Workload,
	Metrics: []string{"container_restarts_total"},
	Events:  []ops.EventType{ops.EventContainerExit},
	Window:  5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "restarts", Default: 3, Unit: "restarts", Doc: "Within five minutes."},
	},
	Eval: containerRestartLoop,
	Causes: []string{
		"The program ends soon after it starts: configuration, missing variable or file, a port in use.",
		"Something that it needs at the start is not there: database, network, volume.",
		"It is killed for want of memory (exit code 137).",
	},
	Checks: []string{
		"Read its last words: `docker logs --tail 50 CONTAINER`.",
		"See exit code and whether memory was the cause: `docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}' CONTAINER`.",
		"Stop it while you look: `docker stop CONTAINER`.",
		"Try it by hand: `docker run --rm -it --entrypoint sh IMAGE`.",
	},
})

func containerRestartLoop(s detect.Subject) detect.Verdict {
	state, ok := s.Resource.Observed.Text("state")
	if !ok {
		return detect.NoData()
	}
	name := s.Resource.Name
	var exits int64
	var last []ops.Event
	for _, e := range s.Events {
		if e.Facts["by_user"] != "true" {
			exits += max(e.Count, 1)
			last = append(last, e)
		}
	}
	x, _ := s.One("container_restarts_total")
	rise, _ := detect.Increase(x)
	n := max(exits, int64(rise))
	switch {
	case state == "exited" && s.Resource.Observed.Is("stopped_by_user", "true"):
		return fine("%s was stopped by someone", name)
	case n == 0:
		return fine("%s was not restarted within 5 min", name)
	case float64(n) < s.Limit("restarts"):
		return say(detect.Between, "", "%s was restarted %s within 5 min", name, count(n, "time", "times"))
	}
	v := detect.Badf(ops.Critical, "%s was restarted %s within 5 min", name, count(n, "time", "times")).AtOnce().Fact("restarts", "%d", n)
	if len(x.Points) > 0 {
		v = v.With(x)
	}
	if code, ok := s.Resource.Observed.Text("exit_code"); ok {
		v.Summary += "; the last exit code is " + code
		v = v.Fact("exit_code", "%s", code)
	}
	v.Quotes = lines(last)
	return v
}
