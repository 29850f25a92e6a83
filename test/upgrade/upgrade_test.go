// Package upgrade tries the upgrade of a real agent, joined to a real server,
// to other real programs.
package upgrade

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/release"
	"reeve/test/program"
)

var (
	key   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	other = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
)

// built answers the agent as it is built for a version, once in a run.
var built = func() func(t *testing.T, version string) string {
	var mu sync.Mutex
	return func(t *testing.T, version string) string {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(filepath.Dir(self), "agent-"+version)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		cmd := exec.Command("go", "build", "-ldflags=-X main.version="+version, "-o", path, "reeve/cmd/reeve-agent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -tags=grpcnotrace")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return path
	}
}()

// TestMain builds the server as it is released, so that it knows which agents
// are older than itself.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "reeve-upgrade-")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "reeve")
	cmd := exec.Command("go", "build", "-ldflags=-X main.released=v1.1.0", "-o", path, "reeve/cmd/reeve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -tags=grpcnotrace")
	if out, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("%v\n%s", err, out)
	}
	os.Setenv("TEST_PROGRAM", path)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// A host is an installed agent of version v1.0.0 that has joined.
type host struct {
	t              *testing.T
	dir, bin, data string
	server         *program.Program
}

func newHost(t *testing.T) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	h := &host{t: t, dir: dir, bin: filepath.Join(dir, "reeve-agent"), data: filepath.Join(dir, "data")}
	h.server = program.Start(t, "listen_tls: "+address+"\nagent: {enabled: false}\ndetectors: {agent_outdated: {hold: 0s, clear: 0s}}\n")
	copyFile(t, built(t, "v1.0.0"), h.bin)
	var line struct{ Command string }
	if err := h.server.Post("/api/v1/hosts", map[string]any{"name": "web1", "watch_only": true, "address": "reeve://" + address}, &line); err != nil {
		t.Fatal(err)
	}
	if out, err := h.agent(strings.Fields(line.Command)[1:]...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.write("data/release.pub", release.PublicText(key.Public().(ed25519.PublicKey)))
	return h
}

func (h *host) write(name string, text []byte) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), text, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// agent runs a command of the installed agent.
func (h *host) agent(args ...string) (string, error) {
	out, err := exec.Command(h.bin, append(args, "--data", h.data)...).CombinedOutput()
	return string(out), err
}

// offer puts a file down with a statement about it.
func (h *host) offer(from string, signer ed25519.PrivateKey, change func(*release.Statement)) (path string) {
	h.t.Helper()
	path = filepath.Join(h.dir, "offered")
	copyFile(h.t, from, path)
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	said := release.Statement{Program: "reeve-agent", Version: "v1.1.0", Platform: runtime.GOOS + "/" + runtime.GOARCH, SHA256: hex.EncodeToString(sum[:])}
	change(&said)
	signed, err := said.Sign(signer)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("offered.sig", signed)
	return path
}

func asItIs(*release.Statement) {}

// version answers what the installed program calls itself.
func (h *host) version() string {
	h.t.Helper()
	out, err := h.agent("version", "-o", "json")
	var is struct{ Version string }
	if err != nil || json.Unmarshal([]byte(out), &is) != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	return is.Version
}

func (h *host) there(suffix string) bool {
	_, err := os.Stat(h.bin + suffix)
	return err == nil
}

// run starts the agent; it ends with the test.
func (h *host) run(args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(h.bin, append([]string{"run", "--data", h.data}, args...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
		if h.t.Failed() {
			h.t.Log(said.String())
		}
	})
	return cmd
}

// known waits until the server knows the host online in a version.
func (h *host) known(version string) {
	h.t.Helper()
	h.server.Until(time.Minute, "the server knows the agent as "+version, func() bool {
		var list struct{ Items []struct{ Fleet ops.Host } }
		if err := h.server.Get("/api/v1/hosts", &list); err != nil {
			return false
		}
		for _, x := range list.Items {
			if x.Fleet.Name == "web1" && x.Fleet.Version == version && x.Fleet.State == ops.HostOnline {
				return true
			}
		}
		return false
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(to) // it may run
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

// script is a program of which the agent knows only what it prints.
func (h *host) script(text string) string {
	path := filepath.Join(h.dir, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return path
}

const pretender = `case $1 in version) echo '{"version": "v1.1.0", "read_only": false}' ;; check) echo '{"joined": true, "server_reached": REACHED}' ;; *) exit 7 ;; esac`

func TestWhatIsNotBelievedChangesNothing(t *testing.T) {
	h := newHost(t)
	before, err := os.ReadFile(h.bin)
	if err != nil {
		t.Fatal(err)
	}
	next := built(t, "v1.1.0")
	refused := func(name string, exit int, args ...string) {
		t.Helper()
		out, err := h.agent(append([]string{"upgrade", filepath.Join(h.dir, "offered")}, args...)...)
		failed, ok := err.(*exec.ExitError)
		if !ok || failed.ExitCode() != exit {
			t.Errorf("%s: %v, not status %d: %s", name, err, exit, out)
		}
		now, err := os.ReadFile(h.bin)
		left, _ := filepath.Glob(filepath.Join(h.dir, ".reeve-agent*"))
		if err != nil || !bytes.Equal(now, before) || h.there(".upgrade") || h.there(".previous") || len(left) > 0 {
			t.Fatalf("%s: something was changed: %v %v", name, err, left)
		}
	}
	const wrong, forbidden, unreachable = 2, 3, 4
	h.offer(next, other, asItIs)
	refused("another key", forbidden)
	h.offer(next, key, func(s *release.Statement) { s.SHA256 = strings.Repeat("00", 32) })
	refused("another file", forbidden)
	h.offer(next, key, asItIs)
	h.write("offered", append(before, 0))
	refused("a file that was changed", forbidden)
	h.offer(next, key, func(s *release.Statement) { s.Platform = "linux/riscv64" })
	refused("another machine", wrong)
	h.offer(next, key, func(s *release.Statement) { s.Program = "reeve-agent-readonly" })
	refused("another build", forbidden)
	h.offer(next, key, func(s *release.Statement) { s.Version = "v0.9.0" })
	refused("an older one", forbidden)
	refused("one that is not what was signed", forbidden, "--allow-downgrade")
	h.offer(h.script("kill -SEGV $$"), key, asItIs)
	refused("one that crashes", wrong)
	h.offer(h.script(strings.Replace(pretender, "REACHED", "false", 1)), key, asItIs)
	refused("one that does not reach the server", unreachable)
	h.offer(next, key, asItIs)
	os.Remove(filepath.Join(h.dir, "offered.sig"))
	refused("no signature", wrong)
	h.offer(next, key, asItIs)
	os.Chmod(filepath.Join(h.data, "release.pub"), 0o666)
	refused("a key that others may write", forbidden)
	os.Remove(filepath.Join(h.data, "release.pub"))
	refused("no key", forbidden)
}

func TestUpgradeThatReachesTheServerStays(t *testing.T) {
	h := newHost(t)
	old := h.run()
	h.known("v1.0.0")
	h.server.Await(time.Minute, "active", "agent_outdated", "web1")
	if out, err := h.agent("upgrade", h.offer(built(t, "v1.1.0"), key, asItIs)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !h.there(".upgrade") || !h.there(".previous") || h.version() != "v1.1.0" {
		t.Fatal("the new program is not in place, on trial")
	}
	old.Process.Signal(syscall.SIGTERM)
	old.Wait()
	if out, err := exec.Command(h.bin+".previous", "rollback", "--if-needed", "--data", h.data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.run()
	h.known("v1.1.0")
	h.server.Await(time.Minute, "resolved", "agent_outdated", "web1")
	h.server.Until(10*time.Second, "the trial is passed", func() bool {
		_, err := os.Stat(filepath.Join(h.data, "reached"))
		return err == nil
	})
	for range 5 { // as before every later start
		if out, err := exec.Command(h.bin+".previous", "rollback", "--if-needed", "--data", h.data).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if h.there(".upgrade") || h.version() != "v1.1.0" {
		t.Error("a program that passed its trial is still on trial, or was taken back")
	}
	// A person may go back all the same.
	if out, err := h.agent("rollback"); err != nil || h.version() != "v1.0.0" {
		t.Errorf("%v %s: %s", err, h.version(), out)
	}
}

func TestUpgradeThatNeverReachesTheServerIsTakenBack(t *testing.T) {
	h := newHost(t)
	if out, err := h.agent("upgrade", h.offer(built(t, "v1.1.0"), key, asItIs)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.server.Stop()
	cmd := h.run("--trial-time", "1s")
	h.server.Until(30*time.Second, "the program before is back and runs", func() bool {
		now, err := os.Readlink("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/exe")
		return err == nil && now == h.bin && !h.there(".previous") && h.version() == "v1.0.0"
	})
	if h.there(".upgrade") || !h.there(".rolled-back") {
		t.Error("it is not on record that the upgrade was taken back")
	}
	h.server.Again()
	h.known("v1.0.0")
}

func TestUpgradeThatCrashesIsTakenBackBeforeAStart(t *testing.T) {
	h := newHost(t)
	if out, err := h.agent("upgrade", h.offer(h.script(strings.Replace(pretender, "REACHED", "true", 1)), key, asItIs)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	starts := 0
	for ; h.there(".previous") && starts < 10; starts++ { // as the service does
		if out, err := exec.Command(h.bin+".previous", "rollback", "--if-needed", "--data", h.data).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if h.there(".previous") && exec.Command(h.bin, "run", "--data", h.data).Run() == nil {
			t.Fatal("the program does not crash")
		}
	}
	if h.version() != "v1.0.0" || starts != 4 {
		t.Errorf("%s after %d starts", h.version(), starts)
	}
	h.run()
	h.known("v1.0.0")
}
