package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const containers = 50

// measureContainers is the agent on the small host, beside a real dockerd
// with fifty containers.
func measureContainers(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	d, err := startDockerd(ctx, dir)
	if err != nil {
		return err
	}
	defer d.stop()
	if err := d.fill(ctx); err != nil {
		return err
	}
	for _, x := range []struct{ what, socket string }{{"no container", nowhere}, {fmt.Sprintf("%d containers", containers), d.socket}} {
		core, rss, anon, err := b.agentCost(ctx, "", x.socket)
		if err != nil {
			return err
		}
		b.add(Line{What: "Agent, " + x.what + ": processor a minute, at its own paces", Value: core.Seconds(), Unit: "s", Note: fmt.Sprintf("highest memory %.1f MB, %.1f MB its own", rss, anon)})
	}
	return nil
}

// A dockerd is an engine of the measure's own.
type dockerd struct {
	dir, socket string
	cmd         *exec.Cmd
}

// startDockerd starts an engine without a bridge or firewall rules.
func startDockerd(ctx context.Context, dir string) (*dockerd, error) {
	d := &dockerd{dir: dir, socket: filepath.Join(dir, "d.sock")}
	log, err := os.Create(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.CommandContext(ctx, "dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "vfs",
		"--default-ulimit", "nofile=1024:1024", "--default-ulimit", "nproc=4096:4096", "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"), "--host", "unix://"+d.socket)
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start dockerd (apt-get install docker.io busybox-static): %w", err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if _, err := d.docker(ctx, "info"); err == nil {
			return d, nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			break
		}
	}
	return nil, errors.Join(errors.New("dockerd does not answer"), d.stop())
}

func (d *dockerd) docker(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "docker", append([]string{"--host", "unix://" + d.socket}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w: %.300s", args[0], err, out)
	}
	return out, err
}

// fill makes an image of busybox alone and runs the containers.
func (d *dockerd) fill(ctx context.Context) error {
	tar := filepath.Join(d.dir, "box.tar")
	if out, err := exec.CommandContext(ctx, "tar", "-cf", tar, "-C", "/", "bin/busybox").CombinedOutput(); err != nil {
		return fmt.Errorf("pack busybox: %w: %.200s", err, out)
	}
	if _, err := d.docker(ctx, "import", tar, "box:1"); err != nil {
		return err
	}
	for i := range containers {
		if _, err := d.docker(ctx, "run", "--detach", "--network", "none", "--name", fmt.Sprintf("web-%02d", i), "box:1", "/bin/busybox", "sleep", "100000"); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the containers and then the engine.
func (d *dockerd) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range containers {
		d.docker(ctx, "kill", fmt.Sprintf("web-%02d", i)) // one that does not run needs none
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(30*time.Second, func() { d.cmd.Process.Kill() })
	defer late.Stop()
	return d.cmd.Wait()
}
