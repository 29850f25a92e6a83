// Package program builds the real binary once and starts it for end-to-end
// tests, on a folder and a port of the test's own.
package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"reeve/internal/ops"
)

// given names a program that is built already, such as one of a package that
// is to be released; without it the program is built from the sources here.
const given = "TEST_PROGRAM"

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(given); path != "" {
		return path, nil
	}
	// Beside the test's own binary, in a folder that go test removes.
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "program", "reeve") // go build makes the folder
	cmd := exec.Command("go", "build", "-o", path, "reeve/cmd/reeve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -tags=grpcnotrace")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// Path builds the program, once in a test process, and answers where it is.
func Path(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A Program is the running program.
type Program struct {
	URL   string
	Token string
	Dir   string // its data folder
	Link  string // the sign-in link, when it is printed already: see SignInLink
	t     testing.TB
	setup Setup
	file  string // its configuration
	cmd   *exec.Cmd
	out   *lockedBuffer
}

// A Setup is how a program is started where that is not the usual way.
type Setup struct {
	Verb   string // up or server
	Dir    string // its data folder
	Config string // YAML
	Listen string // its address the first time
	// Command makes the process, Client reaches it: it may have a network of
	// its own.
	Command func(name string, args ...string) *exec.Cmd
	Client  *http.Client
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Start starts `reeve up` with a configuration (YAML) on a new folder and
// waits until it is ready. It is stopped at the end of the test.
func Start(t testing.TB, config string) *Program {
	t.Helper()
	return StartIn(t, t.TempDir(), config)
}

// StartIn is Start on a given data folder.
func StartIn(t testing.TB, dir, config string) *Program {
	t.Helper()
	return Setup{Verb: "up", Dir: dir, Config: config, Listen: "127.0.0.1:0", Command: exec.Command, Client: http.DefaultClient}.Start(t)
}

// Start is Start in another way.
func (s Setup) Start(t testing.TB) *Program {
	t.Helper()
	p := s.make(t)
	t.Cleanup(p.Stop)
	p.start(s.Listen)
	return p
}

// Refused starts a program that must end by itself with an error, and answers
// what it printed.
func (s Setup) Refused(t testing.TB) string {
	t.Helper()
	p := s.make(t)
	t.Cleanup(p.Kill)
	p.launch(s.Listen)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err == nil {
			t.Fatalf("the program ended without an error\n%s", p.tail())
		}
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-done
		t.Fatalf("the program runs although it should refuse\n%s", p.tail())
	}
	return p.Log()
}

func (s Setup) make(t testing.TB) *Program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reeve.yaml")
	if err := os.WriteFile(file, []byte(s.Config), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Program{Dir: s.Dir, t: t, setup: s, file: file, out: &lockedBuffer{}}
}

// For answers the same program for a test within the one that started it.
func (p *Program) For(t testing.TB) *Program {
	q := *p
	q.t = t
	return &q
}

// Again starts a program that was stopped or killed once more, on the folder,
// the configuration and the address that it had.
func (p *Program) Again() {
	p.t.Helper()
	p.start(strings.TrimPrefix(p.URL, "http://"))
}

func (p *Program) start(listen string) {
	p.t.Helper()
	p.launch(listen)
	p.await()
}

func (p *Program) launch(listen string) {
	p.t.Helper()
	p.cmd = p.command(p.setup.Verb, "--data", p.Dir, "--config", p.file, "--listen", listen)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Program) command(args ...string) *exec.Cmd {
	cmd := p.setup.Command(Path(p.t), args...)
	cmd.Env = withoutSettings()
	return cmd
}

// withoutSettings answers the environment without what would set the program.
func withoutSettings() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "REEVE_") })
}

// Order runs a command as a person on the program's machine does, and answers
// what it printed.
func (p *Program) Order(args ...string) (string, error) {
	p.t.Helper()
	out, err := p.command(append(args, "--data", p.Dir)...).CombinedOutput()
	return string(out), err
}

// await waits until the program says that it is ready.
func (p *Program) await() {
	p.t.Helper()
	p.Until(30*time.Second, "the program is ready", func() bool {
		if p.URL == "" {
			p.read()
		}
		if p.URL == "" {
			return false
		}
		r, err := p.setup.Client.Get(p.URL + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// read takes the address and the link from what was printed, and the token
// from the data folder.
func (p *Program) read() {
	for line := range strings.SplitSeq(p.out.String(), "\n") {
		what, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		switch {
		case what == "page":
			p.URL = value
		case strings.HasPrefix(strings.TrimSpace(line), "sign in"):
			p.Link = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "sign in"))
		}
	}
	var client struct{ Token string }
	if text, err := os.ReadFile(filepath.Join(p.Dir, "client.json")); err == nil && json.Unmarshal(text, &client) == nil {
		p.Token = client.Token
	}
	if p.Token == "" {
		p.URL = ""
	}
}

// SignInLink waits for the one-time link, which is printed after the program
// is ready, and only while nobody could sign in otherwise.
func (p *Program) SignInLink() string {
	p.t.Helper()
	p.Until(10*time.Second, "a sign-in link is printed", func() bool {
		p.read()
		return p.Link != ""
	})
	return p.Link
}

// Until polls until the condition holds; the test fails when it does not in
// time.
func (p *Program) Until(within time.Duration, what string, holds func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			p.t.Fatalf("not within %v: %s\n%s", within, what, p.tail())
		case <-tick.C:
		}
	}
}

// Log answers what the program printed.
func (p *Program) Log() string { return p.out.String() }

func (p *Program) tail() string {
	text := p.out.String()
	return text[max(0, len(text)-6000):]
}

// Stop stops the program as a person would, and by force when it does not.
func (p *Program) Stop() {
	p.t.Helper()
	if p.cmd.Process == nil || p.cmd.ProcessState != nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			p.t.Errorf("the program stopped with %v\n%s", err, p.tail())
		}
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-done
		p.t.Errorf("the program did not stop within 30 s\n%s", p.tail())
	}
}

// Kill kills the program as a power cut would.
func (p *Program) Kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// PID answers the process ID.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Command runs a command of the command line on its folder, as a person does
// on the server's machine, and answers what it printed.
func (p *Program) Command(args ...string) (string, error) {
	cmd := exec.Command(Path(p.t), append(args, "--data", p.Dir)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "REEVE_") || strings.HasPrefix(e, "XDG_") })
	cmd.Env = append(cmd.Env, "HOME="+p.Dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Get reads JSON from the API.
func (p *Program) Get(path string, into any) error { return p.do(http.MethodGet, path, nil, into) }

// Post sends JSON to the API.
func (p *Program) Post(path string, body, into any) error {
	return p.do(http.MethodPost, path, body, into)
}

// Delete removes what the API has at a path.
func (p *Program) Delete(path string) error { return p.do(http.MethodDelete, path, nil, nil) }

func (p *Program) do(method, path string, body, into any) error {
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, p.URL+path, send)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	r, err := p.setup.Client.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, r.Status, text)
	}
	if err != nil || into == nil {
		return err
	}
	return errors.Join(json.Unmarshal(text, into))
}

// Findings answers the findings in a state: active, resolved ...
func (p *Program) Findings(state string) []ops.Finding {
	p.t.Helper()
	var list struct{ Items []ops.Finding }
	if err := p.Get("/api/v1/findings?limit=500&state="+state, &list); err != nil {
		p.t.Fatal(err)
	}
	return list.Items
}

// Resource answers a resource.
func (p *Program) Resource(id string) ops.Resource {
	p.t.Helper()
	var r ops.Resource
	if err := p.Get("/api/v1/resources/"+id, &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// Finding answers the first finding in a state with a condition on a resource
// whose name contains a text.
func (p *Program) Finding(state, condition, name string) (ops.Finding, bool) {
	p.t.Helper()
	for _, f := range p.Findings(state) {
		if f.Condition == condition && (name == "" || strings.Contains(p.Resource(f.ResourceID).Name, name)) {
			return f, true
		}
	}
	return ops.Finding{}, false
}

// Await waits for a finding.
func (p *Program) Await(within time.Duration, state, condition, name string) (f ops.Finding) {
	p.t.Helper()
	p.Until(within, fmt.Sprintf("a finding %s of %q is %s", condition, name, state), func() (ok bool) {
		f, ok = p.Finding(state, condition, name)
		return ok
	})
	return f
}
