package program

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An Agent is the real agent of one more host. It runs on this machine, on a
// folder of its own.
type Agent struct {
	Dir string // its data folder
	t   testing.TB
	cmd *exec.Cmd
	out *lockedBuffer
}

// Join lets an agent join with the line that the server gave for its host. It
// does not run yet.
func Join(t testing.TB, line string) *Agent {
	t.Helper()
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "reeve-agent" || words[1] != "join" {
		t.Fatalf("no line to join with: %q", line)
	}
	a := &Agent{Dir: t.TempDir(), t: t, out: &lockedBuffer{}}
	if out, err := a.command(words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("the agent does not join: %v\n%s", err, out)
	}
	return a
}

func (a *Agent) command(args ...string) *exec.Cmd {
	cmd := exec.Command(Path(a.t), append([]string{"agent", "--data", a.Dir}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "REEVE_") })
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
