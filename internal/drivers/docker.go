package drivers

import (
	"context"
	"hash/fnv"

	"reeve/internal/collect"
	"reeve/internal/containers"
	"reeve/internal/workload"
)

var _ = all.Add(containerDriver("docker", containers.Docker, "Containers of Docker."))

var _ = all.Add(containerDriver("podman", containers.Podman, "Containers of Podman."))

// containerDriver answers the driver of an engine. Both speak one protocol.
func containerDriver(name, runtime, doc string) Definition {
	return Definition{
		Name: name, Doc: doc + " A snapshot is an image of the container's file system, reeve-snapshot/NAME:TIME.",
		Operations:  []workload.Operation{workload.Start, workload.Stop, workload.Pause, workload.Resume, workload.Restart, workload.Snapshot},
		Permissions: "the engine's socket: root, or the group of the socket",
		Means: map[string]workload.State{"running": workload.Running, "paused": workload.Paused, "exited": workload.Stopped, "created": workload.Stopped,
			"dead": workload.Stopped, "configured": workload.Stopped, "stopped": workload.Stopped, "initialized": workload.Stopped},
		Transit:   []string{"restarting", "removing", "stopping"},
		Strangers: true,
		Open:      func(env collect.Env) Driver { return engineDriver{env, runtime} },
	}
}

// An engineDriver opens the engine anew each time: it may come and go.
type engineDriver struct {
	env     collect.Env
	runtime string
}

func (d engineDriver) find(ctx context.Context) (*containers.Engine, error) {
	return containers.Find(ctx, d.runtime, containers.Sockets(d.env, d.runtime))
}

// List answers the containers, running or not.
func (d engineDriver) List(ctx context.Context) ([]Workload, error) {
	engine, err := d.find(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	list, err := engine.List(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]Workload, 0, len(list))
	for _, c := range list {
		found = append(found, Workload{Name: c.Name, Label: c.State, Labels: c.Labels, Generation: generation(c), Since: c.Created})
	}
	return found, nil
}

// Do does an operation with the container that has the name and generation.
func (d engineDriver) Do(ctx context.Context, op workload.Operation, t Target) (string, error) {
	engine, err := d.find(ctx)
	if err != nil {
		return "", err
	}
	defer engine.Close()
	list, err := engine.List(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range list {
		if c.Name == t.Name && (t.Generation == 0 || generation(c) == t.Generation) {
			return engine.Operate(ctx, op, c.ID, c.Name)
		}
	}
	return "", gone(t)
}

// generation rises when another container takes a name: by the second in
// which it was made, and within one by its ID.
func generation(c containers.Container) int64 {
	const idBits = 20
	h := fnv.New32a()
	h.Write([]byte(c.ID))
	return c.Created.Unix()<<idBits | int64(h.Sum32()&(1<<idBits-1))
}
