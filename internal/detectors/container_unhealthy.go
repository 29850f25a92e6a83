package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "container_unhealthy",
	Title: "Container is unhealthy",
	Doc: "The container runs but its own health check says unhealthy for thirty seconds; the check itself tries several times before it says so. " +
		"It clears when it was healthy for thirty seconds, or stopped.",
	Kinds: []ops.Kind{ops.KindContainer},
	Role:  detect.Workload,
	Hold:  30 * time.Second,
	Clear: 30 * time.Second,
	Eval:  containerUnhealthy,
	Causes: []string{
		"The program hangs, is overloaded or lost something that it needs (database, network, disk).",
		"The health check is too strict, or calls a tool that is not in the image.",
	},
	Checks: []string{
		"See what the check says: `docker inspect --format '{{json .State.Health}}' CONTAINER`.",
		"Read its log: `docker logs --tail 100 CONTAINER`.",
		"See its use of resources: `docker stats --no-stream CONTAINER`.",
		"Restart it: `docker restart CONTAINER`.",
	},
})

func containerUnhealthy(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok1 := attrs.Text("state")
	health, ok2 := attrs.Text("health")
	switch {
	case !ok1 || !ok2:
		return detect.NoData()
	case state != "running":
		return fine("%s does not run", name)
	case health == "starting":
		return say(detect.Between, "", "%s is starting", name)
	case health != "unhealthy":
		return fine("The health of %s is %s", name, health)
	}
	return detect.Badf(ops.Warning, "%s runs but its health check fails", name).Fact("health", "%s", health)
}
