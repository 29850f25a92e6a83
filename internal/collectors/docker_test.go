package collectors

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/test/dockerd"
)

// engineEnv answers an Env over the socket of a real engine.
func engineEnv(t *testing.T, socket string) collect.Env {
	env := liveEnv()
	env.DockerSockets = []string{socket}
	env.StateDir = t.TempDir()
	return env
}

// watch passes again and again until ok says so of what one pass saw, and
// answers that and every event on the way.
func watch(t *testing.T, c collect.Collector, what string, ok func(ops.Observation) bool) (ops.Observation, []ops.Event) {
	t.Helper()
	var events []ops.Event
	var obs ops.Observation
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		obs = mustPass(t, c, time.Now())
		d, _ := Get("docker")
		checkDocumented(t, d, obs)
		events = append(events, obs.Events...)
		if ok(obs) {
			return obs, events
		}
	}
	t.Fatalf("never saw %s; the last pass:\n%+v", what, obs.Sightings)
	return obs, nil
}

func attrsOf(obs ops.Observation, key string) ops.Attrs {
	for _, s := range obs.Sightings {
		if s.Key.Key == key {
			return s.Observed
		}
	}
	return nil
}

// ended reports whether a container has ended and it is known who ended it,
// which is unknown until the event of its end is there.
func ended(o ops.Observation, key string) bool {
	a := attrsOf(o, key)
	_, known := a.Text("stopped_by_user")
	return a.Is("state", "exited") && known
}

func eventsOf(events []ops.Event, key string, what ops.EventType) (of []ops.Event) {
	for _, e := range events {
		if e.Resource.Key == key && e.Type == what {
			of = append(of, e)
		}
	}
	return of
}

func shell(line string) []string { return []string{"sh", "-c", line} }

func TestDocker(t *testing.T) {
	d := dockerd.Start(t)
	c := open(t, "docker", engineEnv(t, d.Socket))
	mustPass(t, c, time.Now())

	t.Run("running", func(t *testing.T) {
		id := d.Run(t, dockerd.Options{Name: "busy", Memory: 64 << 20, Restart: "always", Network: "host",
			Command: shell("while true; do :; done"), Labels: map[string]string{"reeve.tier": "front"}})
		obs, _ := watch(t, c, "use of the processor", func(o ops.Observation) bool {
			v, ok := find(o, "busy", "container_cpu_ratio")
			return ok && v > 0.05
		})
		s := seen(t, obs, "busy")
		if s.Generation != id || s.Kind != ops.KindContainer || s.Labels["tier"] != "front" {
			t.Errorf("sighting %+v", s)
		}
		want := ops.Attrs{"state": "running", "health": "none", "restart_policy": "always", "runtime": "docker",
			"image": dockerd.Image, "stopped_by_user": "false", "oom_killed": "false", "restart_count": "0"}
		for k, v := range want {
			if s.Observed[k] != v {
				t.Errorf("%s is %q, want %q", k, s.Observed[k], v)
			}
		}
		if limit := value(t, obs, "busy", "container_memory_limit_bytes"); limit != 64<<20 {
			t.Errorf("limit %v", limit)
		}
		if used := value(t, obs, "busy", "container_memory_used_ratio"); used <= 0 || used > 0.5 {
			t.Errorf("a loop that does nothing uses %v of 64 MB", used)
		}
		if n := value(t, obs, "busy", "container_pids_count"); n < 1 {
			t.Errorf("pids %v", n)
		}
		if !slices.Contains(obs.Complete, ops.KindContainer) {
			t.Error("a whole list is not said to be whole")
		}
		d.Remove(t, "busy")
		if obs := mustPass(t, c, time.Now()); attrsOf(obs, "busy") != nil {
			t.Error("a removed container is still seen")
		}
	})

	t.Run("crash loop", func(t *testing.T) {
		d.Run(t, dockerd.Options{Name: "crash", Restart: "always", Command: shell("exit 3")})
		seen := 0 // Events come by themselves, maybe after the count of restarts.
		_, events := watch(t, c, "three restarts and the exits before them", func(o ops.Observation) bool {
			v, _ := find(o, "crash", "container_restarts_total")
			seen += len(eventsOf(o.Events, "crash", ops.EventContainerExit))
			return v >= 3 && seen >= 2
		})
		exits := eventsOf(events, "crash", ops.EventContainerExit)
		if len(exits) < 2 || exits[0].Facts["exit_code"] != "3" || exits[0].Facts["by_user"] != "false" {
			t.Errorf("exits %+v", exits)
		}
		ids := map[string]bool{}
		for _, e := range exits {
			ids[e.SourceID] = true
		}
		if len(ids) != len(exits) {
			t.Error("an exit is told of twice")
		}
		d.Stop(t, "crash")
		watch(t, c, "that a person stopped it", func(o ops.Observation) bool {
			return attrsOf(o, "crash").Is("state", "exited") && attrsOf(o, "crash").Is("stopped_by_user", "true")
		})
		d.Remove(t, "crash")
	})

	t.Run("unhealthy", func(t *testing.T) {
		d.Run(t, dockerd.Options{Name: "sick", Command: []string{"sleep", "1000"}, Health: &container.HealthConfig{
			Test: []string{"CMD", "test", "-e", "/tmp/well"}, Interval: 200 * time.Millisecond, Timeout: 5 * time.Second, Retries: 2}})
		watch(t, c, "an unhealthy container", func(o ops.Observation) bool { return attrsOf(o, "sick").Is("health", "unhealthy") })
		d.Remove(t, "sick")
	})

	t.Run("out of memory", func(t *testing.T) {
		d.Run(t, dockerd.Options{Name: "greedy", Memory: 16 << 20, Command: shell("exec tail -c 100000000 /dev/zero")})
		// The engine may tell of the end before it tells of the kill.
		told := 0
		obs, events := watch(t, c, "an OOM-killed container, its end and its kill", func(o ops.Observation) bool {
			told += len(eventsOf(o.Events, "greedy", ops.EventContainerExit)) + min(1, len(eventsOf(o.Events, "greedy", ops.EventContainerOOM)))
			return ended(o, "greedy") && attrsOf(o, "greedy").Is("oom_killed", "true") && told >= 2
		})
		if a := attrsOf(obs, "greedy"); !a.Is("exit_code", "137") || !a.Is("stopped_by_user", "false") {
			t.Errorf("attributes %v", a)
		}
		exits := eventsOf(events, "greedy", ops.EventContainerExit)
		if len(exits) != 1 || exits[0].Facts["oom_killed"] != "true" || len(eventsOf(events, "greedy", ops.EventContainerOOM)) == 0 {
			t.Errorf("events %+v", events)
		}
	})

	t.Run("exited badly and stopped", func(t *testing.T) {
		d.Run(t, dockerd.Options{Name: "bad", Command: shell("exit 7")})
		d.Run(t, dockerd.Options{Name: "stopped", Command: []string{"sleep", "1000"}})
		d.Stop(t, "stopped")
		obs, _ := watch(t, c, "the ends", func(o ops.Observation) bool {
			return ended(o, "bad") && ended(o, "stopped")
		})
		if a := attrsOf(obs, "bad"); !a.Is("exit_code", "7") || !a.Is("stopped_by_user", "false") {
			t.Errorf("bad: %v", a)
		}
		if a := attrsOf(obs, "stopped"); !a.Is("exit_code", "137") || !a.Is("stopped_by_user", "true") {
			t.Errorf("stopped: %v", a)
		}
	})
	t.Run("compose", func(t *testing.T) { testCompose(t, d, c) })
}

func testCompose(t *testing.T, d *dockerd.Daemon, c collect.Collector) {
	for i := 1; i <= 3; i++ {
		d.Run(t, dockerd.Options{Name: "shop-web-" + strconv.Itoa(i), Restart: "on-failure",
			Command: shell("while ! test -e /tmp/fail; do sleep 0.1; done; kill -9 $$"),
			Labels:  composeLabels("shop", "web", "False")})
	}
	d.Run(t, dockerd.Options{Name: "shop-migrate", Command: []string{"true"}, Labels: composeLabels("shop", "migrate", "False")})
	d.Run(t, dockerd.Options{Name: "shop-web-run-1", Command: []string{"sleep", "1000"}, Labels: composeLabels("shop", "web", "True")})
	counts := func(o ops.Observation) string {
		a := attrsOf(o, "svc:shop/web")
		return a["running"] + "/" + a["desired"]
	}
	obs, _ := watch(t, c, "three replicas", func(o ops.Observation) bool { return counts(o) == "3/3" })
	web := seen(t, obs, "shop-web-1")
	if web.Parent.Key != "svc:shop/web" || seen(t, obs, "svc:shop/web").Parent.Key != "prj:shop" {
		t.Errorf("parents %v", web.Parent)
	}
	if run := seen(t, obs, "shop-web-run-1"); run.Parent.Key != "host" {
		t.Errorf("a one-off run belongs to %v", run.Parent)
	}
	watch(t, c, "a step that is done and not wanted any more", func(o ops.Observation) bool {
		return attrsOf(o, "svc:shop/migrate").Is("desired", "0")
	})
	d.Stop(t, "shop-web-3")
	watch(t, c, "one replica less wanted", func(o ops.Observation) bool { return counts(o) == "2/2" })
	d.Run(t, dockerd.Options{Name: "shop-web-4", Command: shell("exit 5"), Labels: composeLabels("shop", "web", "False")})
	obs, _ = watch(t, c, "a replica missing, and its event", func(o ops.Observation) bool {
		n, _ := find(o, "svc:shop/web", "service_failures_1h_count")
		return counts(o) == "2/3" && n > 0
	})
	if n := value(t, obs, "svc:shop/web", "service_failures_1h_count"); n != 1 {
		t.Errorf("failures in an hour: %v", n)
	}
	d.Again(t, "shop-web-4")
	watch(t, c, "a restart", func(o ops.Observation) bool {
		v, _ := find(o, "svc:shop/web", "service_restarts_24h_count")
		return v == 1
	})
}

func composeLabels(project, service, oneOff string) map[string]string {
	return map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service, "com.docker.compose.oneoff": oneOff}
}

// What the collector has counted and what it knows of a stop survive a start
// of the agent; a daemon that is away takes no container with it.
func TestDockerAwayAndBack(t *testing.T) {
	d := dockerd.Start(t)
	env := engineEnv(t, d.Socket)
	c := open(t, "docker", env)
	d.Run(t, dockerd.Options{Name: "stays", Restart: "always", Command: []string{"sleep", "1000"}})
	d.Run(t, dockerd.Options{Name: "stopped", Command: []string{"sleep", "1000"}})
	mustPass(t, c, time.Now())
	d.Stop(t, "stopped")
	mustPass(t, c, time.Now().Add(2*time.Minute))
	d.Down(t)
	obs, err := pass(t, c, time.Now())
	if err == nil || errors.Is(err, collect.ErrAbsent) || len(obs.Complete) > 0 {
		t.Fatalf("a daemon that is down: %v, complete %v", err, obs.Complete)
	}
	d.Up(t)
	c = open(t, "docker", env)
	obs, _ = watch(t, c, "the container again", func(o ops.Observation) bool { return attrsOf(o, "stays").Is("state", "running") })
	if a := attrsOf(obs, "stopped"); !a.Is("stopped_by_user", "true") {
		t.Errorf("what a person did was forgotten: %v", a)
	}
}

// Docker remembers 256 events. When more happen within a pass, who stopped a
// container may be among the lost, and must not be made up.
func TestDockerForgetsEvents(t *testing.T) {
	d := dockerd.Start(t)
	c := open(t, "docker", engineEnv(t, d.Socket))
	d.Run(t, dockerd.Options{Name: "stopped", Command: []string{"sleep", "1000"}})
	d.Run(t, dockerd.Options{Name: "kept", Restart: "always", Command: []string{"sleep", "1000"}})
	other := d.Run(t, dockerd.Options{Name: "noise", Command: []string{"true"}})
	mustPass(t, c, time.Now())
	d.Stop(t, "stopped")
	d.Stop(t, "kept")
	for i := range 300 {
		if _, err := d.API.ContainerRename(t.Context(), other, client.ContainerRenameOptions{NewName: "noise" + strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	obs := mustPass(t, c, time.Now())
	a := attrsOf(obs, "stopped")
	if _, known := a["stopped_by_user"]; !a.Is("state", "exited") || known {
		t.Errorf("stopped: %v", a)
	}
	if a := attrsOf(obs, "kept"); !a.Is("stopped_by_user", "true") {
		t.Errorf("its policy keeps it running, so somebody stopped it: %v", a)
	}
	if n := len(eventsOf(obs.Events, "stopped", ops.EventContainerExit)); n != 1 {
		t.Errorf("%d ends told of", n)
	}
}

func TestDockerAbsentDeniedDead(t *testing.T) {
	env := engineEnv(t, "/nonexistent/docker.sock")
	if _, err := pass(t, open(t, "docker", env), time.Now()); !errors.Is(err, collect.ErrAbsent) {
		t.Errorf("no socket: %v", err)
	}
	dir := t.TempDir()
	path := dir + "/s"
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	syscall.Close(fd)
	if _, err := pass(t, open(t, "docker", engineEnv(t, path)), time.Now()); err == nil || errors.Is(err, collect.ErrAbsent) {
		t.Errorf("a socket without a daemon: %v", err)
	}
	if os.Getuid() != 0 {
		return
	}
	c := open(t, "docker", engineEnv(t, path))
	obs := asNobody(t, dir, func() ops.Observation { return mustPass(t, c, time.Now()) })
	if len(obs.Gaps) != 1 || obs.Gaps[0].Remedy == "" || len(obs.Complete) > 0 {
		t.Errorf("gaps %+v", obs.Gaps)
	}
}

// asNobody runs f on a thread that has no rights to the socket in dir.
func asNobody(t *testing.T, dir string, f func() ops.Observation) (obs ops.Observation) {
	if err := os.Chmod(dir+"/s", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setreuid(-1, 65534); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	}()
	return f()
}
