package program

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An Agent is the real agent of one more host. It runs on this machine, on a
// folder of its own.
type Agent struct {
	Dir     string // its data folder
	machine Machine
	t       testing.TB
	cmd     *exec.Cmd
	out     *lockedBuffer
}

// A Machine is where an agent runs.
type Machine struct {
	// Command makes the process: it may have a network of its own.
	Command func(name string, args ...string) *exec.Cmd
	Flags   []string // that say what it sees
}

// Join lets an agent join with the line that the server gave for its host. It
// does not run yet.
func Join(t testing.TB, line string) *Agent {
	t.Helper()
	return Machine{Command: exec.Command}.Join(t, line)
}

// Agent answers the agent on a folder that one may have joined with.
func (m Machine) Agent(t testing.TB, dir string) *Agent {
	return &Agent{Dir: dir, machine: m, t: t, out: &lockedBuffer{}}
}

// Join is Join on this machine.
func (m Machine) Join(t testing.TB, line string) *Agent {
	t.Helper()
	a := m.Agent(t, t.TempDir())
	if out, err := a.Join(line); err != nil {
		t.Fatalf("the agent does not join: %v\n%s", err, out)
	}
	return a
}

// Join lets the agent join, and answers what it printed.
func (a *Agent) Join(line string) (string, error) {
	a.t.Helper()
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "reeve-agent" || words[1] != "join" {
		a.t.Fatalf("no line to join with: %q", line)
	}
	return a.Order(words[1:]...)
}

// Order runs a command of the agent, and answers what it printed.
func (a *Agent) Order(args ...string) (string, error) {
	a.t.Helper()
	out, err := a.command(args...).CombinedOutput()
	return string(out), err
}

func (a *Agent) command(args ...string) *exec.Cmd {
	flags := append([]string{"agent", "--data", a.Dir}, a.machine.Flags...)
	cmd := a.machine.Command(Path(a.t), append(flags, args...)...)
	cmd.Env = withoutSettings()
	return cmd
}

// Run starts it, with more of its flags. It is stopped at the end of the test.
func (a *Agent) Run(more ...string) {
	a.t.Helper()
	a.cmd = a.command(append([]string{"run"}, more...)...)
	a.cmd.Stdout, a.cmd.Stderr = a.out, a.out
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(a.Stop)
}

// Log answers what it printed.
func (a *Agent) Log() string { return a.out.String() }

// Kill kills it as a power cut would.
func (a *Agent) Kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

// Stop stops it as its service manager would, and by force when it does not.
func (a *Agent) Stop() {
	a.t.Helper()
	if a.cmd == nil || a.cmd.ProcessState != nil {
		return
	}
	a.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- a.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			a.t.Errorf("the agent stopped with %v\n%s", err, a.Log())
		}
	case <-time.After(20 * time.Second):
		a.cmd.Process.Kill()
		<-done
		a.t.Errorf("the agent did not stop within 20 s\n%s", a.Log())
	}
}
