// Package dockerd gives tests a real Docker Engine of their own: a dockerd
// with its own directory and socket, without a network bridge or firewall
// rules, and one small image in it. It needs root and Debian's packages
// docker.io and busybox-static; a test fails, with the daemon's own words,
// where they are missing.
package dockerd

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Image is the name of the image that Start imports: a static busybox.
const Image = "reeve/box:1"

// patience is how long a step of the daemon may take on a busy machine.
const patience = 90 * time.Second

// A Daemon is a running dockerd.
type Daemon struct {
	// Socket is the path of its API.
	Socket string
	API    *client.Client
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts a dockerd that ends with the test.
func Start(t testing.TB) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "reeve-dockerd-")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Socket: filepath.Join(dir, "d.sock"), dir: dir}
	t.Cleanup(func() { d.remove(t) })
	d.Up(t)
	if d.API, err = client.New(client.WithHost("unix://" + d.Socket)); err != nil {
		t.Fatal(err)
	}
	d.load(t)
	return d
}

// Up starts the daemon, the first time or after Down, and waits until it
// answers.
func (d *Daemon) Up(t testing.TB) {
	t.Helper()
	program, err := exec.LookPath("dockerd")
	if err != nil {
		t.Fatal("dockerd is not installed: apt-get install docker.io busybox-static")
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(program,
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "vfs",
		"--default-ulimit", "nofile=1024:1024", "--default-ulimit", "nproc=4096:4096",
		"--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--host", "unix://"+d.Socket)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// Its own process group keeps an interrupt of the test run from it, so
	// that it is ended in order.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		t.Fatalf("start dockerd: %v", err)
	}
	exited := make(chan struct{})
	d.exited = exited
	cmd := d.cmd
	go func() { cmd.Wait(); close(exited) }()
	d.await(t)
}

func (d *Daemon) await(t testing.TB) {
	t.Helper()
	api, err := client.New(client.WithHost("unix://" + d.Socket))
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err = api.Ping(ctx, client.PingOptions{})
		cancel()
		if err == nil {
			return
		}
		select {
		case <-d.exited:
			t.Fatalf("dockerd ended at once; its log:\n%s", d.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("dockerd does not answer: %v; its log:\n%s", err, d.Log())
}

// Down stops the daemon and what runs in it, in order.
func (d *Daemon) Down(t testing.TB) {
	t.Helper()
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(patience):
		d.cmd.Process.Kill()
		<-d.exited
		t.Errorf("dockerd did not end; its log:\n%s", d.Log())
	}
}

// Log answers the end of the daemon's log.
func (d *Daemon) Log() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(b[max(0, len(b)-8000):])
}

// remove ends everything and removes the directory, with whatever the daemon
// left mounted below it.
func (d *Daemon) remove(t testing.TB) {
	if d.API != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if all, err := d.API.ContainerList(ctx, client.ContainerListOptions{All: true}); err == nil {
			for _, c := range all.Items {
				d.API.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
			}
		}
		d.API.Close()
	}
	d.Down(t)
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], d.dir+"/") {
			syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		t.Logf("remove the directory of dockerd: %v", err)
	}
}

// load imports the image.
func (d *Daemon) load(t testing.TB) {
	t.Helper()
	root, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := d.API.ImageImport(ctx, client.ImageImportSource{Source: root, SourceName: "-"}, Image, client.ImageImportOptions{})
	if err != nil {
		t.Fatalf("import the image: %v", err)
	}
	defer answer.Close()
	if said, err := io.ReadAll(answer); err != nil || bytes.Contains(said, []byte(`"error"`)) {
		t.Fatalf("import the image: %v %s", err, said)
	}
}

// tree answers the image's root file system as a tar archive.
func tree() (io.Reader, error) {
	const missing = "a static busybox is needed: apt-get install busybox-static"
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("%s", missing)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("%s is linked dynamically; %s", path, missing)
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777})
	w.WriteHeader(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755})
	w.WriteHeader(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))})
	w.Write(program)
	for _, name := range strings.Fields("sh sleep cat echo dd head tail true false kill yes seq date httpd nc printf touch rm test") {
		w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777})
	}
	return &b, w.Close()
}

// Options say how to run a container.
type Options struct {
	Name    string
	Command []string // a shell line is {"sh", "-c", LINE}
	Memory  int64    // limit in bytes, 0 for none
	Network string   // none or host; default none
	Restart string   // restart policy; default no
	Labels  map[string]string
	Health  *container.HealthConfig
	TTY     bool
}

// Run creates and starts a container and answers its ID.
func (d *Daemon) Run(t testing.TB, o Options) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if o.Network == "" {
		o.Network = "none"
	}
	made, err := d.API.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   o.Name,
		Config: &container.Config{Image: Image, Cmd: o.Command, Labels: o.Labels, Healthcheck: o.Health, Tty: o.TTY},
		HostConfig: &container.HostConfig{
			NetworkMode:   container.NetworkMode(o.Network),
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(o.Restart)},
			Resources:     container.Resources{Memory: o.Memory, MemorySwap: o.Memory},
		},
	})
	if err != nil {
		t.Fatalf("create container %s: %v", o.Name, err)
	}
	if _, err := d.API.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatalf("start container %s: %v; log of dockerd:\n%s", o.Name, err, d.Log())
	}
	return made.ID
}

// Exec starts a command in a running container and does not wait for it.
func (d *Daemon) Exec(t testing.TB, name string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	made, err := d.API.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: command})
	if err != nil {
		t.Fatalf("prepare a command in container %s: %v", name, err)
	}
	if _, err := d.API.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true}); err != nil {
		t.Fatalf("run a command in container %s: %v", name, err)
	}
}

// Stop stops a container as a person does, with a second of patience.
func (d *Daemon) Stop(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	second := 1
	if _, err := d.API.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &second}); err != nil {
		t.Fatalf("stop container %s: %v", name, err)
	}
}

// Again starts a container that was stopped.
func (d *Daemon) Again(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := d.API.ContainerStart(ctx, name, client.ContainerStartOptions{}); err != nil {
		t.Fatalf("start container %s: %v", name, err)
	}
}

// Remove removes a container, running or not.
func (d *Daemon) Remove(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := d.API.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatalf("remove container %s: %v", name, err)
	}
}
