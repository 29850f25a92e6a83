package upgrade

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An installation is a folder in which install-agent runs, with programs of
// the machine that only note what they are asked.
type installation struct {
	t         *testing.T
	root, bin string
}

const fakeSystemctl = `case $1 in
--version) exit 0 ;;
is-active) cat "$STATE"; [ "$(cat "$STATE")" = active ] ;;
stop) echo inactive >"$STATE" ;;
start | restart) echo active >"$STATE" ;;
esac
`

// fakeAgent joins unless it is told otherwise.
const fakeAgent = `case $1 in
version) echo 'reeve-agent v3.0.0' ;;
join) [ "$2" != reeve://spent ] || { echo 'the token is spent' >&2; exit 3; } ;;
esac
`

func newInstallation(t *testing.T, service string) *installation {
	t.Helper()
	in := &installation{t: t, root: t.TempDir(), bin: t.TempDir()}
	for name, text := range map[string]string{"systemctl": fakeSystemctl, "reeve-agent": fakeAgent, "id": "echo 0\n", "chown": ""} {
		if err := os.WriteFile(filepath.Join(in.bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(in.root, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	in.write("state", service+"\n")
	return in
}

func (in *installation) write(name, text string) {
	in.t.Helper()
	path := filepath.Join(in.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		in.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) service() string {
	in.t.Helper()
	state, err := os.ReadFile(filepath.Join(in.root, "state"))
	if err != nil {
		in.t.Fatal(err)
	}
	return strings.TrimSpace(string(state))
}

func (in *installation) install(args ...string) (string, error) {
	in.t.Helper()
	cmd := exec.Command("../../scripts/install-agent", append([]string{"--binary", filepath.Join(in.bin, "reeve-agent")}, args...)...)
	cmd.Env = []string{"PATH=" + in.bin + ":/usr/sbin:/usr/bin:/sbin:/bin", "DESTDIR=" + in.root, "STATE=" + filepath.Join(in.root, "state")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestInstallingByHandEndsWhatWasUpgraded(t *testing.T) {
	in := newInstallation(t, "inactive")
	in.write("usr/bin/reeve-agent", "the second")
	for _, left := range []string{"previous", "upgrade", "rolled-back"} {
		in.write("usr/bin/reeve-agent."+left, "of the first")
	}
	if out, err := in.install("--no-start"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	there, err := filepath.Glob(filepath.Join(in.root, "usr/bin", "*"))
	hidden, _ := filepath.Glob(filepath.Join(in.root, "usr/bin", ".*"))
	if there = append(there, hidden...); err != nil || len(there) != 1 || filepath.Base(there[0]) != "reeve-agent" {
		t.Errorf("%v %v", there, err)
	}
}

func TestLineThatDoesNotWorkLeavesTheAgentAsItWas(t *testing.T) {
	for _, was := range []string{"active", "activating", "inactive"} {
		in := newInstallation(t, was)
		out, err := in.install("--join", "reeve-agent join reeve://spent --token x")
		failed, ok := err.(*exec.ExitError)
		if !ok || failed.ExitCode() != 1 || !strings.Contains(out, "the token is spent") || !strings.Contains(out, "did not join") {
			t.Errorf("%s: %v: %s", was, err, out)
		}
		if want := map[bool]string{true: "inactive", false: "active"}[was == "inactive"]; in.service() != want {
			t.Errorf("the service was %s and is %s", was, in.service())
		}
	}
	in := newInstallation(t, "active")
	in.write("var/lib/reeve-agent/server.json", "{}")
	if out, err := in.install("--join", "reeve-agent join reeve://server --token x"); err != nil || in.service() != "active" {
		t.Errorf("%v, %s: %s", err, in.service(), out)
	}
}
