package fleet

import (
	"testing"
	"time"

	"github.com/moby/moby/client"

	"reeve/test/dockerd"
)

// startedAt answers when a container was last started.
func startedAt(t testing.TB, d *dockerd.Daemon, name string) time.Time {
	t.Helper()
	x, err := d.API.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, x.Container.State.StartedAt)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
