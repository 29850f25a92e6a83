package gather

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/command"
	"reeve/internal/ops"
)

// Roots say where a host's trees are. What is empty is found.
type Roots struct {
	Proc, Sys, Root              string
	DockerSockets, PodmanSockets []string
	// StateDir is where collectors keep their cursors, each in files that
	// begin with its name.
	StateDir string
	// ToolDirs are searched for programs before the system's directories.
	ToolDirs []string
	// Checks answers the checks that this host runs; nil for none.
	Checks func() []collect.Check
}

// LiveEnv answers the Env of the machine that this process runs on. In a
// container its trees may be mounted elsewhere.
func LiveEnv(log *slog.Logger, r Roots) collect.Env {
	runner, dialer := command.New(r.ToolDirs...), &net.Dialer{Timeout: 10 * time.Second}
	r.Root = cmp.Or(r.Root, "/")
	env := baseEnv(log, r)
	env.Live, env.Run, env.Tools, env.Dial = true, runner.Run, runner.Path, dialer.DialContext
	if env.DockerSockets == nil {
		env.DockerSockets = dockerSockets(r.Root)
	}
	if env.PodmanSockets == nil {
		env.PodmanSockets = podmanSockets(r.Root)
	}
	return env
}

// RecordedEnv answers the Env of a recorded tree below Root: its programs
// answer from the record, and it reaches no network.
func RecordedEnv(log *slog.Logger, r Roots) collect.Env {
	recorded, env := command.NewRecorded(r.Root), baseEnv(log, r)
	env.Run, env.Tools = recorded.Run, recorded.Path
	env.Dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		return nil, ops.Errorf(ops.Unavailable, "%s cannot be reached from a recorded tree", addr)
	}
	return env
}

func baseEnv(log *slog.Logger, r Roots) collect.Env {
	checks := r.Checks
	if checks == nil {
		checks = func() []collect.Check { return nil }
	}
	return collect.Env{
		Log: log, Root: r.Root,
		Proc: cmp.Or(r.Proc, filepath.Join(r.Root, "proc")), Sys: cmp.Or(r.Sys, filepath.Join(r.Root, "sys")),
		DockerSockets: r.DockerSockets, PodmanSockets: r.PodmanSockets, StateDir: r.StateDir,
		Option: func(string) string { return "" }, Checks: checks,
	}
}

// dockerSockets answers where Docker listens: what DOCKER_HOST says, the
// system's socket, and those of users who run it without root. The last is a
// pattern: users come and go.
func dockerSockets(root string) []string {
	return append(ownSockets("DOCKER_HOST", "docker.sock"), filepath.Join(root, "run", "docker.sock"),
		filepath.Join(root, "var", "run", "docker.sock"), filepath.Join(root, "run", "user", "*", "docker.sock"))
}

// podmanSockets is dockerSockets for Podman.
func podmanSockets(root string) []string {
	return append(ownSockets("CONTAINER_HOST", "podman", "podman.sock"), filepath.Join(root, "run", "podman", "podman.sock"),
		filepath.Join(root, "run", "user", "*", "podman", "podman.sock"))
}

// ownSockets answers where the agent's own environment says that an engine
// listens: by the variable that its client reads, and in the user's folder.
func ownSockets(variable string, elem ...string) (sockets []string) {
	if path, ok := strings.CutPrefix(os.Getenv(variable), "unix://"); ok {
		sockets = append(sockets, path)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(append([]string{dir}, elem...)...))
	}
	return sockets
}
