package containers

import (
	"strconv"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

// A place is where a container belongs in compose's order of things.
type place struct {
	Project, Service string
	OneOff           bool // made by `compose run`, not part of the service
}

func (p place) key() string { return p.Project + "/" + p.Service }

// placeOf reads the labels that compose and podman-compose put on what they
// make; ok is false for any other container.
func placeOf(labels map[string]string) (p place, ok bool) {
	get := func(names ...string) string {
		for _, n := range names {
			if v := redact.Line(labels[n], 128); v != "" {
				return v
			}
		}
		return ""
	}
	p.Project = get("com.docker.compose.project", "io.podman.compose.project")
	p.Service = get("com.docker.compose.service", "io.podman.compose.service")
	oneOff, _ := strconv.ParseBool(get("com.docker.compose.oneoff", "io.podman.compose.oneoff"))
	p.OneOff = oneOff
	return p, p.Project != "" && p.Service != ""
}

// wanted reports whether a container of a service is meant to run. Compose
// makes one container a replica, keeps it when it stops, and removes it when
// the service is scaled down, so the containers that exist are the replicas
// that were asked for, less those that
//   - a person stopped or paused,
//   - did their work and ended well under a policy that lets them (no,
//     on-failure): a migration, a set-up step,
//   - were made and never started under a policy that does not keep them
//     running.
func (s state) wanted() bool {
	if s.StoppedKnown && s.Stopped {
		return false
	}
	kept := s.Policy == "always" || s.Policy == "unless-stopped"
	switch s.State {
	case "running", "restarting":
		return true
	case "created":
		return kept
	case "removing":
		return false
	}
	return kept || s.ExitCode != 0 || s.OOMKilled
}

// reportServices reports the compose services and projects that the
// containers add up to.
func (c *Collector) reportServices(out *collect.Batch, states []state) {
	type count struct {
		place
		desired, running int
	}
	services, projects := map[string]*count{}, map[string]bool{}
	for _, s := range states {
		if !s.Placed {
			continue
		}
		projects[s.Place.Project] = true
		if s.Place.OneOff {
			continue
		}
		n := services[s.Place.key()]
		if n == nil {
			n = &count{place: s.Place}
			services[s.Place.key()] = n
		}
		if s.wanted() {
			n.desired++
		}
		if s.State == "running" {
			n.running++
		}
	}
	for p := range projects {
		out.See(ops.Sighting{
			Key: c.projectRef(out, p), Kind: ops.KindProject, Name: p,
			Observed: ops.Attrs{"project": p, "runtime": c.runtime},
		})
	}
	for key, n := range services {
		ref := c.serviceRef(out, n.place)
		out.See(ops.Sighting{
			Key: ref, Kind: ops.KindService, Name: key, Parent: c.projectRef(out, n.Project),
			Observed: ops.Attrs{
				"desired": strconv.Itoa(n.desired), "running": strconv.Itoa(n.running),
				"project": n.Project, "service": n.Service, "runtime": c.runtime,
			},
		})
		out.Add(ref, "service_desired_count", float64(n.desired))
		out.Add(ref, "service_running_count", float64(n.running))
		out.Add(ref, "service_failures_1h_count", float64(c.record.failures1h(key, out.Now)))
		out.Add(ref, "service_restarts_24h_count", float64(c.record.restarts24h(key, out.Now)))
	}
}

func (c *Collector) serviceRef(out *collect.Batch, p place) ops.ResourceKey {
	return out.Ref(c.runtime, "svc:"+p.key())
}

func (c *Collector) projectRef(out *collect.Batch, project string) ops.ResourceKey {
	return out.Ref(c.runtime, "prj:"+project)
}
