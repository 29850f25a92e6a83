// Package podman gives tests a real Podman of their own: its service on a
// socket, with its own storage and settings, without a network, and one small
// image in it. It needs root and Debian's packages podman, runc and
// busybox-static; a test fails, with Podman's own words, where they are
// missing.
package podman

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"reeve/test/engine"
)

// Image is the name of the image that Start imports: a static busybox.
const Image = "localhost/reeve/box:1"

// settings keep Podman from the system's own: no systemd, no network, no
// overlay, and limits that need no right to raise them.
const settings = `[containers]
netns = "none"
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

const storage = `[storage]
driver = "vfs"
graphroot = %q
runroot = %q
`

// A Service is a running Podman.
type Service struct {
	*engine.Engine
	// Dir is its folder; the socket lies in it where it lies in a user's
	// XDG_RUNTIME_DIR.
	Dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts a Podman that ends with the test.
func Start(t testing.TB) *Service {
	t.Helper()
	dir, err := os.MkdirTemp("", "reeve-podman-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Dir: dir}
	// Containers outlive the service, so they go first.
	t.Cleanup(func() { s.remove(t) })
	s.configure(t)
	s.load(t)
	s.Engine = engine.Connect(t, filepath.Join(dir, "podman", "podman.sock"), Image, s.log)
	s.serve(t)
	return s
}

func (s *Service) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

func (s *Service) configure(t testing.TB) {
	t.Helper()
	for _, dir := range []string{"podman", "home", "tmp", "state"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		os.WriteFile(s.path("containers.conf"), []byte(settings), 0o600),
		os.WriteFile(s.path("storage.conf"), fmt.Appendf(nil, storage, s.path("storage"), s.path("run")), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// command prepares a command of Podman on the test's storage.
func (s *Service) command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("podman")
	if err != nil {
		t.Fatal("podman is not installed: apt-get install podman runc busybox-static")
	}
	cmd := exec.Command(program, append([]string{"--root", s.path("storage"), "--runroot", s.path("run"), "--tmpdir", s.path("state")}, args...)...)
	cmd.Dir = s.Dir
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + s.path("home"), "TMPDIR=" + s.path("tmp"),
		"CONTAINERS_CONF=" + s.path("containers.conf"), "CONTAINERS_STORAGE_CONF=" + s.path("storage.conf"), "XDG_RUNTIME_DIR=" + s.Dir,
	}
	return cmd
}

// load imports the image.
func (s *Service) load(t testing.TB) {
	t.Helper()
	root, err := engine.Box()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command(t, "import", "-", Image)
	cmd.Stdin = root
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("import the image: %v\n%s", err, said)
	}
}

// serve starts the service and waits until it answers.
func (s *Service) serve(t testing.TB) {
	t.Helper()
	log, err := os.Create(s.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = s.command(t, "system", "service", "--time=0", "unix://"+s.Socket)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// Its own process group keeps an interrupt of the test run from it, so
	// that it is ended in order.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start podman: %v", err)
	}
	s.exited = make(chan struct{})
	go func() { s.cmd.Wait(); close(s.exited) }()
	for end := time.Now().Add(engine.Patience); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err = s.API.Ping(ctx, client.PingOptions{})
		cancel()
		if err == nil {
			return
		}
		select {
		case <-s.exited:
			t.Fatalf("podman ended at once; its log:\n%s", s.log())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("podman does not answer: %v; its log:\n%s", err, s.log())
}

// Probe runs the health check of a container once. Podman leaves its timing
// to systemd, which need not run here.
func (s *Service) Probe(t testing.TB, name string) {
	t.Helper()
	said, err := s.command(t, "healthcheck", "run", name).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Errorf("run the health check of %s: %v\n%s", name, err, said)
	}
}

func (s *Service) log() string {
	b, _ := os.ReadFile(s.path("log"))
	return string(b[max(0, len(b)-8000):])
}

// remove ends everything and removes the folder.
func (s *Service) remove(t testing.TB) {
	if s.Engine != nil {
		s.Clear()
	}
	if s.exited != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(engine.Patience):
			s.cmd.Process.Kill()
			<-s.exited
			t.Errorf("podman did not end; its log:\n%s", s.log())
		}
	}
	for end := time.Now().Add(engine.Patience); s.endHelpers() > 0 && time.Now().Before(end); {
		<-time.After(20 * time.Millisecond)
	}
	engine.RemoveFolder(t, s.Dir)
}

// endHelpers ends the processes that watch containers and commands in them,
// and those that clean up after them, and answers how many there were. They
// stay for minutes, and would make the folder again.
func (s *Service) endHelpers() (n int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, err := os.ReadFile(path)
		pid, err2 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		program, args, _ := strings.Cut(string(line), "\x00")
		helper := filepath.Base(program) == "conmon" || filepath.Base(program) == "podman"
		if err == nil && err2 == nil && helper && strings.Contains(args, s.Dir+"/") {
			syscall.Kill(pid, syscall.SIGKILL)
			n++
		}
	}
	return n
}
