// Package dockerd gives tests a real Docker Engine of their own: a dockerd
// with its own directory and socket, without a network bridge or firewall
// rules, and one small image in it. It needs root and Debian's packages
// docker.io and busybox-static; a test fails, with the daemon's own words,
// where they are missing.
package dockerd

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"reeve/test/engine"
)

// Image is the name of the image that Start imports: a static busybox.
const Image = "reeve/box:1"

const patience = engine.Patience

// Options say how to run a container.
type Options = engine.Options

// A Daemon is a running dockerd.
type Daemon struct {
	*engine.Engine
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
	d := &Daemon{dir: dir}
	d.Engine = engine.Connect(t, filepath.Join(dir, "d.sock"), Image, d.log)
	t.Cleanup(func() { d.remove(t) })
	d.Up(t)
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

// log answers the end of the daemon's log.
func (d *Daemon) log() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(b[max(0, len(b)-8000):])
}

// remove ends everything and removes the directory, with whatever the daemon
// left mounted below it.
func (d *Daemon) remove(t testing.TB) {
	d.Clear()
	d.Down(t)
	engine.RemoveFolder(t, d.dir)
}

// load imports the image.
func (d *Daemon) load(t testing.TB) {
	t.Helper()
	root, err := engine.Box()
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
