package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "service_degraded",
	Title: "Service runs with too few containers",
	Doc: "Of the containers that a compose service should have some run and some do not, for a minute. " +
		"When none runs it is service_down instead. It clears when all ran for thirty seconds.",
	Kinds: []ops.Kind{ops.KindService},
	Role:  detect.Symptom,
	Hold:  time.Minute,
	Clear: 30 * time.Second,
	Eval:  serviceDegraded,
	Causes: []string{
		"One of its containers ended or is in a restart loop.",
		"It was scaled up and there is no room for more: memory, ports.",
	},
	Checks: []string{
		"See its containers: `docker compose -p PROJECT ps -a SERVICE`.",
		"Read their logs: `docker compose -p PROJECT logs --tail 50 SERVICE`.",
		"Start what is missing: `docker compose -p PROJECT up -d SERVICE`.",
	},
})

func serviceDegraded(s detect.Subject) detect.Verdict {
	desired, ok1 := s.Resource.Observed.Number("desired")
	running, ok2 := s.Resource.Observed.Number("running")
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	name := s.Resource.Name
	switch {
	case running >= desired:
		return fine("%s runs %.0f of %.0f containers", name, running, desired)
	case running == 0:
		return fine("%s does not run at all; that is service_down", name)
	}
	return detect.Badf(ops.Warning, "%s runs %.0f of %.0f containers", name, running, desired).
		Fact("running", "%.0f", running).Fact("desired", "%.0f", desired)
}
