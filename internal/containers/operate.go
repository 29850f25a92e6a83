//go:build !readonly

package containers

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"reeve/internal/ops"
	"reeve/internal/workload"
)

// Operate does an operation with the container that has the ID. A snapshot is
// an image of its file system, named after the container and the time.
func (e *Engine) Operate(ctx context.Context, op workload.Operation, id, name string) (note string, err error) {
	switch op {
	case workload.Start:
		_, err = e.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
	case workload.Stop:
		_, err = e.api.ContainerStop(ctx, id, client.ContainerStopOptions{})
	case workload.Restart:
		_, err = e.api.ContainerRestart(ctx, id, client.ContainerRestartOptions{})
	case workload.Pause:
		_, err = e.api.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	case workload.Resume:
		_, err = e.api.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	case workload.Snapshot:
		// An empty configuration changes nothing; Podman fails without one.
		reference := snapshotName(name) + ":" + time.Now().UTC().Format("20060102-150405")
		if _, err = e.api.ContainerCommit(ctx, id, client.ContainerCommitOptions{Reference: reference, Comment: "snapshot of " + name + " by Reeve",
			Config: &container.Config{}}); err == nil {
			note = "image " + reference
		}
	default:
		return "", ops.Errorf(ops.Invalid, "a container cannot %s", op)
	}
	if err != nil {
		return "", fmt.Errorf("%s container %s: %w", op, short(id), err)
	}
	return note, nil
}

// separators are what an image's name may not hold twice in a row, nor at its
// begin or end; a container's may.
var separators = regexp.MustCompile(`[^a-z0-9]+`)

// maxSnapshotName leaves room for the registry and the tag in the 255 bytes
// that an image's name may have.
const maxSnapshotName = 128

// snapshotName answers the name of the image that a container is kept as. Two
// containers may come to one name: the tag is the time, and the comment says of
// which it is.
func snapshotName(container string) string {
	name := separators.ReplaceAllStringFunc(strings.ToLower(container), func(s string) string {
		if s == "." || s == "_" || strings.Trim(s, "-") == "" {
			return s
		}
		return "-"
	})
	name = strings.Trim(name[:min(len(name), maxSnapshotName)], "._-")
	return "reeve-snapshot/" + cmp.Or(name, "container")
}
