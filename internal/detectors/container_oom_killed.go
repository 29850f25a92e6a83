package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "container_oom_killed",
	Title: "Container was killed for want of memory",
	Doc: "The kernel killed a process of the container because it was at its memory limit. It opens at once, is critical from the third " +
		"time on, and clears when that did not happen for thirty minutes.",
	Kinds:  []ops.Kind{ops.KindContainer},
	Role:   detect.Workload,
	Events: []ops.EventType{ops.EventContainerOOM, ops.EventContainerExit},
	Window: 30 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "critical", Default: 3, Unit: "kills", Doc: "This many within thirty minutes are critical."},
	},
	Eval: containerOOMKilled,
	Causes: []string{
		"Its memory limit is too low for its work.",
		"A memory leak.",
		"One large request, import or query.",
	},
	Checks: []string{
		"See limit and use: `docker stats --no-stream CONTAINER`, `docker inspect --format '{{.HostConfig.Memory}}' CONTAINER`.",
		"See its memory over the last day on its page: a steady rise is a leak.",
		"Raise the limit (`mem_limit` in compose, `docker update --memory`) or lower what the program takes (heap, workers, cache).",
		"Read its log from before: `docker logs --tail 100 CONTAINER`.",
	},
})

func containerOOMKilled(s detect.Subject) detect.Verdict {
	name := s.Resource.Name
	kills, last := oomKills(s.Events)
	if kills == 0 {
		last = killedBefore(s)
		if last.IsZero() || s.Now.Sub(last) > 30*time.Minute {
			return fine("%s was not killed for want of memory in the last 30 min", name)
		}
		kills = 1
	}
	sev := ops.Warning
	if float64(kills) >= s.Limit("critical") {
		sev = ops.Critical
	}
	v := detect.Badf(sev, "%s was killed for want of memory at %s", name, clock(last)).AtOnce().
		Fact("kills", "%d", kills).Fact("at", "%s", last.UTC().Format(time.RFC3339))
	if kills > 1 {
		v.Summary += ", the last of " + count(kills, "kill", "kills") + " within 30 min"
	}
	v.Quotes = lines(s.Events)
	return v
}

// OomKills counts kills. The kernel's event and the end of the container that
// follows are one; the larger number counts.
func oomKills(events []ops.Event) (n int64, last time.Time) {
	var ooms, ends int64
	for _, e := range events {
		switch {
		case e.Type == ops.EventContainerOOM:
			ooms += max(e.Count, 1)
		case e.Facts["oom_killed"] == "true":
			ends += max(e.Count, 1)
		default:
			continue
		}
		last = e.At
	}
	return max(ooms, ends), last
}

// KilledBefore answers when the container, which is down, ended for want of
// memory; the zero time when it did not.
func killedBefore(s detect.Subject) time.Time {
	attrs := s.Resource.Observed
	if !attrs.Is("oom_killed", "true") {
		return time.Time{}
	}
	text, _ := attrs.Text("finished_at")
	at, _ := time.Parse(time.RFC3339, text)
	return at
}
