package faults

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"reeve/internal/ops"
	"reeve/test/engine"
	"reeve/test/podman"
	"reeve/test/program"
)

// wellPods are those of Podman's containers that are broken once they run.
var wellPods = []engine.Options{
	{Name: "pod-moody", Command: shell("touch /well; sleep 600"), Health: &container.HealthConfig{
		Test: []string{"CMD", "test", "-e", "/well"}, Interval: time.Second, Timeout: time.Minute, Retries: 2}},
	{Name: "pod-hungry", Command: shell(wait + "exec tail /dev/zero"), Memory: 16 << 20},
	{Name: "pod-leaky", Command: shell(wait + "tail /dev/zero; sleep 600"), Memory: 16 << 20},
	{Name: "pod-mortal", Command: shell(wait + "exit 7")},
	{Name: "pod-crasher", Command: shell("echo out of luck >&2; sleep 1; exit 3"), Restart: "on-failure", Retries: 300},
	{Name: "pod-tight", Command: shell("sleep 600"), Memory: 32 << 20},
	{Name: "pod-reader", Command: shell("dd if=/dev/zero of=/large bs=1M count=96; cat /large >/dev/null; sleep 600"), Memory: 32 << 20},
	{Name: "pod-asked", Command: shell("sleep 600")},
	{Name: "pod-web-1", Command: shell("sleep 600"), Labels: podCompose("web")},
	{Name: "pod-web-2", Command: shell(wait + "exit 1"), Labels: podCompose("web")},
}

func podCompose(service string) map[string]string {
	return map[string]string{"io.podman.compose.project": "stall", "io.podman.compose.service": service}
}

// TestPodman breaks containers of a real Podman in every way.
func TestPodman(t *testing.T) {
	t.Parallel()
	d := podman.Start(t)
	for _, o := range wellPods {
		d.Run(t, o)
	}
	faults := podFaults(t, d)
	s := live(faults)
	s["agent"].(map[string]any)["podman_sockets"] = []string{d.Socket}
	p := program.Start(t, s.text(t))
	p.Until(60*time.Second, "the container that is to be stopped is there", func() bool { return judgedWell(p, "pod-asked", "container_exited_badly") })
	seenAs(t, p, "pod-asked", map[string]string{"runtime": "podman", "state": "running", "image": podman.Image})
	d.Stop(t, "pod-asked")
	proveLive(t, p, faults)
	p.Until(30*time.Second, "the stopped container is seen as such", func() bool {
		r, ok := named(p, "pod-asked")
		return ok && r.Observed.Is("state", "exited") && r.Observed.Is("stopped_by_user", "true")
	})
	for _, f := range append(p.Findings("active"), p.Findings("resolved")...) {
		switch name := nameOf(p, f.ResourceID); {
		case name == "pod-asked":
			t.Errorf("a container that someone stopped is told of: %s", f.Summary)
		case name == "pod-reader":
			t.Errorf("a container that only reads files is told of: %s", f.Summary)
		}
	}
}

func podFaults(t *testing.T, d *podman.Service) []fault {
	tell := func(name string, mend func()) func() func() {
		return func() func() {
			d.Exec(t, name, "touch", "/go")
			return mend
		}
	}
	again := func(name string) func() { return func() { d.Again(t, name) } }
	probe := func(command ...string) {
		d.Exec(t, "pod-moody", command...)
		for range 3 {
			d.Probe(t, "pod-moody")
		}
	}
	return []fault{
		{condition: "container_unhealthy", resource: "pod-moody", severity: ops.Warning, says: "its health check fails", start: func() func() {
			probe("rm", "/well")
			return func() { probe("touch", "/well") }
		}},
		{condition: "container_oom_killed", resource: "pod-hungry", severity: ops.Warning, says: "for want of memory", start: tell("pod-hungry", nil)},
		{condition: "container_exited_badly", resource: "pod-hungry", severity: ops.Warning, says: "exit code 137", start: func() func() { return again("pod-hungry") }},
		{condition: "container_oom_killed", resource: "pod-leaky", severity: ops.Warning, says: "for want of memory", start: tell("pod-leaky", nil)},
		{condition: "container_exited_badly", resource: "pod-mortal", severity: ops.Warning, says: "exit code 7", start: tell("pod-mortal", again("pod-mortal"))},
		{condition: "container_restart_loop", resource: "pod-crasher", severity: ops.Critical, says: "was restarted", noisy: true, start: func() func() { return nil }},
		{condition: "service_degraded", resource: "stall/web", severity: ops.Warning, says: "runs 1 of 2 containers", start: tell("pod-web-2", again("pod-web-2"))},
		{condition: "container_memory_near_limit", resource: "pod-tight", severity: ops.Warning, says: "of its memory limit",
			thresholds: map[string]float64{"warning": 80, "critical": 101}, start: func() func() {
				d.Exec(t, "pod-tight", "dd", "if=/dev/zero", "of=/dev/shm/f", "bs=1M", "count=28")
				return func() { d.Exec(t, "pod-tight", "rm", "/dev/shm/f") }
			}},
	}
}

// seenAs waits until a resource is observed as given.
func seenAs(t *testing.T, p *program.Program, name string, want map[string]string) {
	t.Helper()
	p.Until(60*time.Second, name+" is seen", func() bool {
		r, ok := named(p, name)
		for k, v := range want {
			ok = ok && r.Observed.Is(k, v)
		}
		return ok
	})
}

// named answers the container of a name.
func named(p *program.Program, name string) (ops.Resource, bool) {
	var list struct{ Items []ops.Resource }
	if p.Get("/api/v1/resources?limit=500", &list) != nil {
		return ops.Resource{}, false
	}
	for _, r := range list.Items {
		if r.Kind == ops.KindContainer && r.Name == name {
			return r, true
		}
	}
	return ops.Resource{}, false
}

// TestPodmanIsFound: nothing is configured; the socket lies where the user's
// Podman has it. What stands behind Docker's path is taken for what it is.
func TestPodmanIsFound(t *testing.T) {
	d := podman.Start(t)
	d.Run(t, engine.Options{Name: "pod-found", Command: shell("sleep 600")})
	seen := map[string]string{"runtime": "podman", "state": "running"}
	for way, set := range map[string]func(t *testing.T, agent map[string]any){
		"in the user's runtime directory": func(t *testing.T, agent map[string]any) {
			t.Setenv("XDG_RUNTIME_DIR", d.Dir)
			delete(agent, "podman_sockets")
		},
		"named by the environment": func(t *testing.T, agent map[string]any) {
			t.Setenv("CONTAINER_HOST", "unix://"+d.Socket)
			delete(agent, "podman_sockets")
		},
		"behind Docker's path": func(_ *testing.T, agent map[string]any) { agent["docker_sockets"] = []string{d.Socket} },
	} {
		t.Run(way, func(t *testing.T) {
			s := live(nil)
			set(t, s["agent"].(map[string]any))
			seenAs(t, program.Start(t, s.text(t)), "pod-found", seen)
		})
	}
}
