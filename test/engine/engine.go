// Package engine is what the real container engines of tests have in common:
// containers of a small image, run through the engine's API. Packages dockerd
// and podman start the engines.
package engine

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Patience is how long a step of an engine may take on a busy machine.
const Patience = 90 * time.Second

// An Engine is a running container engine with an image in it.
type Engine struct {
	// Socket is the path of its API.
	Socket string
	API    *client.Client
	Image  string
	// Log answers the end of what the engine printed.
	Log func() string
}

// Connect opens the API of an engine that answers at a socket.
func Connect(t testing.TB, socket, image string, log func() string) *Engine {
	t.Helper()
	api, err := client.New(client.WithHost("unix://" + socket))
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{Socket: socket, API: api, Image: image, Log: log}
}

// Options say how to run a container.
type Options struct {
	Name    string
	Command []string // a shell line is {"sh", "-c", LINE}
	Memory  int64    // limit in bytes, 0 for none
	Network string   // none or host; default none
	Restart string   // restart policy; default no
	Retries int      // of the policy on-failure, 0 for any number
	Labels  map[string]string
	Health  *container.HealthConfig
	TTY     bool
}

// Run creates and starts a container and answers its ID.
func (e *Engine) Run(t testing.TB, o Options) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if o.Network == "" {
		o.Network = "none"
	}
	made, err := e.API.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   o.Name,
		Config: &container.Config{Image: e.Image, Cmd: o.Command, Labels: o.Labels, Healthcheck: o.Health, Tty: o.TTY},
		HostConfig: &container.HostConfig{
			NetworkMode:   container.NetworkMode(o.Network),
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(o.Restart), MaximumRetryCount: o.Retries},
			Resources:     container.Resources{Memory: o.Memory, MemorySwap: o.Memory},
		},
	})
	if err != nil {
		t.Fatalf("create container %s: %v", o.Name, err)
	}
	if _, err := e.API.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatalf("start container %s: %v; log of the engine:\n%s", o.Name, err, e.Log())
	}
	return made.ID
}

// Exec starts a command in a running container and does not wait for it.
func (e *Engine) Exec(t testing.TB, name string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	made, err := e.API.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: command})
	if err != nil {
		t.Fatalf("prepare a command in container %s: %v", name, err)
	}
	if _, err := e.API.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true}); err != nil {
		t.Fatalf("run a command in container %s: %v", name, err)
	}
}

// Stop stops a container as a person does, with a second of patience.
func (e *Engine) Stop(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	second := 1
	if _, err := e.API.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &second}); err != nil {
		t.Fatalf("stop container %s: %v", name, err)
	}
}

// Again starts a container that was stopped.
func (e *Engine) Again(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if _, err := e.API.ContainerStart(ctx, name, client.ContainerStartOptions{}); err != nil {
		t.Fatalf("start container %s: %v", name, err)
	}
}

// Remove removes a container, running or not.
func (e *Engine) Remove(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if _, err := e.API.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatalf("remove container %s: %v", name, err)
	}
}

// Clear removes every container and closes the API.
func (e *Engine) Clear() {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if all, err := e.API.ContainerList(ctx, client.ContainerListOptions{All: true}); err == nil {
		for _, c := range all.Items {
			e.API.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
		}
	}
	e.API.Close()
}

// Rename gives a container another name.
func (e *Engine) Rename(t testing.TB, name, next string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if _, err := e.API.ContainerRename(ctx, name, client.ContainerRenameOptions{NewName: next}); err != nil {
		t.Fatalf("rename container %s: %v", name, err)
	}
}

// State answers the engine's word for the state of a container.
func (e *Engine) State(t testing.TB, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	answer, err := e.API.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatalf("inspect container %s: %v", name, err)
	}
	return string(answer.Container.State.Status)
}

// ImageCommand answers what an image runs.
func (e *Engine) ImageCommand(t testing.TB, reference string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	image, err := e.API.ImageInspect(ctx, reference)
	if err != nil || image.Config == nil {
		t.Fatalf("inspect image %s: %v", reference, err)
	}
	return image.Config.Cmd
}
