package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "service_down",
	Title: "Service does not run",
	Doc: "None of the containers that a compose service should have runs, for thirty seconds. Services that someone stopped want none. " +
		"It clears when one ran for thirty seconds.",
	Kinds: []ops.Kind{ops.KindService},
	Role:  detect.Symptom,
	Hold:  30 * time.Second,
	Clear: 30 * time.Second,
	Eval:  serviceDown,
	Causes: []string{
		"Its containers ended with an error or are in a restart loop.",
		"Something that it needs to start is not there: image, volume, network, another service.",
		"The host or the container engine was restarted and it has no restart policy.",
	},
	Checks: []string{
		"See its containers: `docker compose -p PROJECT ps -a SERVICE`.",
		"Read their last words: `docker compose -p PROJECT logs --tail 50 SERVICE`.",
		"Start it: `docker compose -p PROJECT up -d SERVICE`.",
	},
})

func serviceDown(s detect.Subject) detect.Verdict {
	desired, ok1 := s.Resource.Observed.Number("desired")
	running, ok2 := s.Resource.Observed.Number("running")
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	name := s.Resource.Name
	switch {
	case desired == 0:
		return fine("%s is not meant to run", name)
	case running > 0:
		return fine("%s runs %.0f of %.0f containers", name, running, desired)
	}
	return detect.Badf(ops.Critical, "%s does not run: none of %s is up", name, count(int(desired), "container", "containers")).
		Fact("running", "0").Fact("desired", "%.0f", desired)
}
