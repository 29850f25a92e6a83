package gather

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

func TestIdentityStays(t *testing.T) {
	root, data := t.TempDir(), filepath.Join(t.TempDir(), "new", "data")
	write(t, filepath.Join(root, "etc", "hostname"), "# name\nnas.example\n")
	write(t, filepath.Join(root, "proc", "sys", "kernel", "random", "boot_id"), "0c7b\n")
	env := RecordedEnv(slog.New(slog.DiscardHandler), Roots{Root: root})
	first, err := Identity(data, env)
	if err != nil {
		t.Fatal(err)
	}
	if first.Name != "nas.example" || first.BootID != "0c7b" || ops.IDKind(first.Key) != "host" {
		t.Errorf("%+v", first)
	}
	again, err := Identity(data, env)
	if err != nil || again.Key != first.Key {
		t.Errorf("%+v %v", again, err)
	}
	if info, err := os.Stat(filepath.Join(data, "host_key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestBrokenKeyIsNotReplaced(t *testing.T) {
	data := t.TempDir()
	write(t, filepath.Join(data, "host_key"), "")
	if _, err := Identity(data, LiveEnv(slog.New(slog.DiscardHandler), Roots{})); ops.KindOf(err) != ops.Invalid {
		t.Errorf("%v", err)
	}
}

func TestHostNameIsSafeText(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "etc", "hostname"), "a\x1b[31m\xff"+strings.Repeat("x", 500))
	name := hostName(collect.Env{Root: root})
	if len(name) > 253 || strings.Contains(name, "\x1b") || !utf8.ValidString(name) {
		t.Errorf("%q", name)
	}
}

func TestLiveEnv(t *testing.T) {
	env := LiveEnv(slog.New(slog.DiscardHandler), Roots{})
	if !env.Live || env.Proc != "/proc" || env.Sys != "/sys" || env.Root != "/" || env.Run == nil || env.Dial == nil || len(env.DockerSockets) == 0 {
		t.Errorf("%+v", env)
	}
	if host, err := Identity(t.TempDir(), env); err != nil || host.Name == "" || len(host.BootID) != 36 {
		t.Errorf("%+v %v", host, err)
	}
}

func TestRecordedEnvReachesNothing(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, ".reeve", "tools", "zpool.json"), `{"list": {"stdout": "tank"}}`)
	env := RecordedEnv(slog.New(slog.DiscardHandler), Roots{Root: root})
	if out, err := env.Run(t.Context(), "zpool", "list"); err != nil || string(out.Stdout) != "tank" {
		t.Errorf("%+v %v", out, err)
	}
	if _, ok := env.Tools("smartctl"); ok {
		t.Error("a tool without a record is there")
	}
	if _, err := env.Dial(t.Context(), "tcp", "127.0.0.1:1"); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("%v", err)
	}
	if len(env.Checks()) != 0 || env.Live || env.Proc != filepath.Join(root, "proc") {
		t.Errorf("%+v", env)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Engines are found where their own clients find them, and where the system
// has them.
func TestSocketsAreFound(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	t.Setenv("CONTAINER_HOST", "unix:///a/p.sock")
	t.Setenv("DOCKER_HOST", "tcp://elsewhere:2375")
	env := LiveEnv(slog.New(slog.DiscardHandler), Roots{})
	if got := strings.Join(env.PodmanSockets, " "); got != "/a/p.sock /run/user/7/podman/podman.sock /run/podman/podman.sock /run/user/*/podman/podman.sock" {
		t.Error(got)
	}
	if got := strings.Join(env.DockerSockets, " "); got != "/run/user/7/docker.sock /run/docker.sock /var/run/docker.sock /run/user/*/docker.sock" {
		t.Error(got)
	}
}
