// Package command is the only place that starts other programs. It knows a
// closed list of them, finds them in the system's own directories, and runs
// them without a shell, with a bounded output and for a bounded time.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

const (
	maxOutput   = 4 << 20
	maxMessages = 64 << 10
	maxTime     = 2 * time.Minute
	maxAtOnce   = 4
	// afterExit is how long a child that a program left behind may keep its
	// output open.
	afterExit = 2 * time.Second
)

// catalogue lists every program that Reeve may start on a host.
var catalogue = []string{
	"apk", "apt", "apt-cache", "apt-get", "checkupdates", "chronyc", "dnf", "dpkg-query", "journalctl", "lvs", "mdadm",
	"needs-restarting", "nvidia-smi", "nvme", "pacman", "pvs", "rocm-smi", "rpm", "smartctl", "systemctl",
	"systemd-detect-virt", "timedatectl", "vgs", "yum", "zfs", "zpool", "zypper",
}

// directories are searched in order, instead of PATH: whoever starts Reeve
// from an odd environment must not change what it starts.
var directories = []string{
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/rocm/bin", "/run/current-system/sw/bin",
}

// Known reports whether a program is on the list.
func Known(tool string) bool { return slices.Contains(catalogue, tool) }

// A Runner starts programs of the list on this machine.
type Runner struct {
	directories []string
	slots       chan struct{} // at most maxAtOnce programs run; others wait
}

// New makes a runner. Directories are searched before the system's own.
func New(first ...string) *Runner {
	return &Runner{directories: append(slices.Clone(first), directories...), slots: make(chan struct{}, maxAtOnce)}
}

// Path answers where a program is. It looks each time, so that a program
// that was just installed is found.
func (r *Runner) Path(tool string) (string, bool) {
	if !Known(tool) {
		return "", false
	}
	for _, dir := range r.directories {
		path := filepath.Join(dir, tool)
		info, err := os.Stat(path)
		// What everybody may write to is not run.
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 && info.Mode().Perm()&0o002 == 0 {
			return path, true
		}
	}
	return "", false
}

// Run starts a program of the list and waits for it. A status other than 0 is
// no error: many programs tell something by it.
func (r *Runner) Run(ctx context.Context, tool string, args ...string) (collect.Output, error) {
	path, ok := r.Path(tool)
	switch {
	case !Known(tool):
		return collect.Output{}, ops.Errorf(ops.Forbidden, "%s is not among the programs that Reeve starts", tool)
	case !ok:
		return collect.Output{}, ops.Errorf(ops.NotFound, "%s is not installed", tool)
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return collect.Output{}, fmt.Errorf("run %s: %w", tool, context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, fmt.Errorf("it ran for more than %v", maxTime))
	defer cancel()
	return run(ctx, path, args)
}

func run(ctx context.Context, path string, args []string) (collect.Output, error) {
	tool := filepath.Base(path)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout := &limited{limit: maxOutput, over: func() { stop(fmt.Errorf("it printed more than %d bytes", maxOutput)) }}
	stderr := &limited{limit: maxMessages, over: func() {}}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", stdout, stderr
	cmd.Env = []string{"LC_ALL=C", "LANG=C", "TERM=dumb", "HOME=/", "PATH=" + strings.Join(directories, ":")}
	// A group of its own, so that what the program started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = afterExit
	err := cmd.Run()
	out := collect.Output{Stdout: stdout.kept, Stderr: stderr.kept}
	if cmd.ProcessState != nil {
		out.Exit = cmd.ProcessState.ExitCode()
	}
	if cause := context.Cause(ctx); cause != nil {
		return out, fmt.Errorf("run %s: %w", tool, cause)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		// The program ended well, but a child of it did not. The group still
		// has that child, so its number cannot be another's.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return out, nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("run %s: %w", tool, err)
	}
	return out, nil
}

// limited keeps the first bytes of an output and says when there are more.
type limited struct {
	kept  []byte
	limit int
	over  func()
}

// Write takes everything, so that the program is not stopped by a full pipe.
func (l *limited) Write(p []byte) (int, error) {
	room := l.limit - len(l.kept)
	if len(p) > room {
		l.over()
	}
	l.kept = append(l.kept, p[:min(len(p), room)]...)
	return len(p), nil
}
