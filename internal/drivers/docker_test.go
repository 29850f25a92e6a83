package drivers

import (
	"slices"
	"strings"
	"testing"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/workload"
	"reeve/test/dockerd"
	"reeve/test/engine"
	"reeve/test/podman"
)

func TestDockerDoesEveryOperation(t *testing.T) {
	d := dockerd.Start(t)
	everyOperation(t, "docker", d.Engine, collect.Env{DockerSockets: []string{d.Socket}})
}

func TestPodmanDoesEveryOperation(t *testing.T) {
	s := podman.Start(t)
	everyOperation(t, "podman", s.Engine, collect.Env{PodmanSockets: []string{s.Socket}})
}

// everyOperation carries out each on a real container and looks at what the
// driver lists, and at what the engine has, after it.
func everyOperation(t *testing.T, name string, e *engine.Engine, env collect.Env) {
	def, ok := Get(name)
	if !ok {
		t.Fatal("no driver", name)
	}
	driver := def.Open(env)
	command := []string{"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"}
	e.Run(t, engine.Options{Name: "shop", Labels: map[string]string{"team": "sales"}, Command: command})
	listed := func() (Workload, workload.State) {
		t.Helper()
		all, err := driver.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == "shop" })
		if i < 0 {
			t.Fatalf("not listed: %+v", all)
		}
		state, inTransit := def.State(all[i].Label)
		if inTransit {
			t.Errorf("between states: %+v", all[i])
		}
		return all[i], state
	}
	first, state := listed()
	if state != workload.Running || first.Labels["team"] != "sales" || first.Generation == 0 || first.Since.IsZero() {
		t.Fatalf("%+v is %s", first, state)
	}
	for _, step := range []struct {
		op   workload.Operation
		then workload.State
	}{
		{workload.Pause, workload.Paused}, {workload.Resume, workload.Running}, {workload.Restart, workload.Running},
		{workload.Snapshot, workload.Running}, {workload.Stop, workload.Stopped}, {workload.Snapshot, workload.Stopped}, {workload.Start, workload.Running},
	} {
		if err := def.Refuse(step.op, "shop"); err != nil {
			t.Errorf("%s is not offered: %v", step.op, err)
		}
		said, err := driver.Do(t.Context(), step.op, Target{"shop", first.Generation})
		if err != nil {
			t.Fatalf("%s: %v", step.op, err)
		}
		if w, is := listed(); is != step.then || w.Generation != first.Generation {
			t.Errorf("after %s it is %s: %+v", step.op, is, w)
		}
		if step.op != workload.Snapshot {
			continue
		}
		if runs := e.ImageCommand(t, strings.TrimPrefix(said, "image ")); !slices.Equal(runs, command) {
			t.Errorf("the snapshot %q runs %q", said, runs)
		}
	}
	if _, err := driver.Do(t.Context(), workload.Stop, Target{"shop", first.Generation + 1}); ops.KindOf(err) != ops.NotFound && ops.KindOf(err) != ops.Conflict {
		t.Errorf("another container of the name was stopped: %v", err)
	}
	if _, is := listed(); is != workload.Running {
		t.Error("a container was stopped that was not meant")
	}
}
