package faults

import (
	"log/slog"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"reeve/internal/collect"
	"reeve/internal/gather"
	"reeve/internal/ops"
	"reeve/test/dockerd"
	"reeve/test/program"
)

func compose(service string) map[string]string {
	return map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": service, "com.docker.compose.oneoff": "False"}
}

func shell(line string) []string { return []string{"sh", "-c", line} }

// wait is what a container does until it is told to go on.
const wait = "while ! test -e /go; do sleep 0.2; done; rm /go; "

// wellContainers are those that are broken once they run.
var wellContainers = []dockerd.Options{
	{Name: "moody", Command: shell("touch /well; sleep 600"), Health: &container.HealthConfig{
		Test: []string{"CMD", "test", "-e", "/well"}, Interval: time.Second, Timeout: 5 * time.Second, Retries: 2}},
	{Name: "hungry", Command: shell(wait + "exec tail /dev/zero"), Memory: 16 << 20},
	{Name: "mortal", Command: shell(wait + "exit 7")},
	{Name: "crasher", Command: shell("echo out of luck >&2; sleep 0.3; exit 3"), Restart: "always"},
	{Name: "tight", Command: shell("sleep 600"), Memory: 32 << 20},
	{Name: "thrashing", Command: shell("dd if=/dev/zero of=/large bs=1M count=96; " + wait + "while true; do cat /large > /dev/null; done"), Memory: 16 << 20},
	{Name: "chatty", Command: shell("while true; do " + wait + "for i in $(seq 60); do echo \"ERROR payment $i failed: connection refused\" >&2; done; done")},
	{Name: "asked", Command: shell("sleep 600")},
	{Name: "shop-web-1", Command: shell("sleep 600"), Labels: compose("web")},
	{Name: "shop-web-2", Command: shell(wait + "exit 1"), Labels: compose("web")},
	{Name: "shop-api-1", Command: shell(wait + "exit 1"), Labels: compose("api")},
}

// TestContainers breaks containers of a real Docker Engine in every way.
func TestContainers(t *testing.T) {
	t.Parallel()
	d, dir := dockerd.Start(t), t.TempDir()
	for _, o := range wellContainers {
		d.Run(t, o)
	}
	faults := containerFaults(t, d)
	s := live(faults)
	s["agent"].(map[string]any)["docker_sockets"] = []string{d.Socket}
	// A log is judged once it was watched for a while.
	past(t, dir, gather.LiveEnv(slog.New(slog.DiscardHandler), gather.Roots{}), time.Now().Add(-2*time.Hour), func(_ time.Time, b *collect.Batch) {
		b.See(ops.Sighting{Key: b.Ref("docker", "chatty"), Kind: ops.KindContainer, Name: "chatty", Observed: ops.Attrs{"state": "running"}})
	})
	p := program.StartIn(t, dir, s.text(t))
	p.Until(30*time.Second, "the container that is to be stopped is there", func() bool { return judgedWell(p, "asked", "container_exited_badly") })
	d.Stop(t, "asked")
	proveLive(t, p, faults)
	for _, f := range append(p.Findings("active"), p.Findings("resolved")...) {
		if nameOf(p, f.ResourceID) == "asked" {
			t.Errorf("a container that someone stopped is told of: %s", f.Summary)
		}
	}
}

func containerFaults(t *testing.T, d *dockerd.Daemon) []fault {
	// Tell lets a container go on; the engine starts what ended again.
	tell := func(name string, mend func()) func() func() {
		return func() func() {
			d.Exec(t, name, "touch", "/go")
			return mend
		}
	}
	again := func(name string) func() { return func() { d.Again(t, name) } }
	return []fault{
		{condition: "container_unhealthy", resource: "moody", severity: ops.Warning, says: "its health check fails", start: func() func() {
			d.Exec(t, "moody", "rm", "/well")
			return func() { d.Exec(t, "moody", "touch", "/well") }
		}},
		{condition: "container_oom_killed", resource: "hungry", severity: ops.Warning, says: "for want of memory", start: tell("hungry", nil)},
		{condition: "container_exited_badly", resource: "mortal", severity: ops.Warning, says: "exit code 7", start: tell("mortal", again("mortal"))},
		{condition: "container_restart_loop", resource: "crasher", severity: ops.Critical, says: "was restarted", noisy: true, start: func() func() { return nil }},
		{condition: "service_degraded", resource: "shop/web", severity: ops.Warning, says: "runs 1 of 2 containers", start: tell("shop-web-2", again("shop-web-2"))},
		{condition: "service_down", resource: "shop/api", severity: ops.Critical, says: "does not run", start: tell("shop-api-1", again("shop-api-1"))},
		{condition: "log_errors_surging", resource: "chatty", severity: ops.Warning, says: "error lines within 5 min", start: tell("chatty", nil)},
		{condition: "memory_pressure", resource: hostname(t), severity: ops.Warning, says: "Tasks waited for memory", noisy: true,
			thresholds: map[string]float64{"some": 1, "full": 1, "full_critical": 101},
			start:      tell("thrashing", func() { d.Remove(t, "thrashing") })},
		{condition: "container_memory_near_limit", resource: "tight", severity: ops.Warning, says: "of its memory limit",
			thresholds: map[string]float64{"warning": 80, "critical": 101}, start: func() func() {
				d.Exec(t, "tight", "dd", "if=/dev/zero", "of=/dev/shm/f", "bs=1M", "count=28")
				return func() { d.Exec(t, "tight", "rm", "/dev/shm/f") }
			}},
	}
}
