// Package e2e drives the real program with scripts, as a person at a terminal
// does: every file of testdata starts servers, asks them and compares what is
// printed.
package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"reeve/test/program"
)

// within is how long a script waits for what must come.
const within = 40 * time.Second

func TestScripts(t *testing.T) {
	path := program.Path(t)
	trees, err := filepath.Abs("../../internal/collectors/testdata/trees")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("REEVE_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TREES", trees)
			e.Setenv("TZ", "UTC")
			receive(e)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exits, "await": await, "recorded": recorded, "received": received, "keep": keep, "keys": keys,
		},
		ContinueOnError: false,
	})
}

// until tries again until it works, or fails the script.
func until(ts *testscript.TestScript, what string, works func() bool) {
	deadline := time.Now().Add(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !works() {
		if time.Now().After(deadline) {
			ts.Fatalf("did not come within %v: %s", within, what)
		}
		<-tick.C
	}
}

// ready waits until the server of the data folder answers that it is ready.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	until(ts, "a server that is ready", func() bool {
		text, err := os.ReadFile(filepath.Join(ts.Getenv("REEVE_DATA"), "client.json"))
		var c struct{ URL string }
		if err != nil || json.Unmarshal(text, &c) != nil {
			return false
		}
		r, err := http.Get(c.URL + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		ts.Setenv("SERVER", c.URL)
		return r.StatusCode == http.StatusOK
	})
}

// exits runs a command and compares its exit code: exits 2 reeve ack.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](ts.Exec(args[1], args[2:]...)); ok {
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// await runs a command again and again until it prints something: await
// PATTERN reeve findings.
func await(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[0])
	until(ts, strings.Join(args, " "), func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && pattern.MatchString(ts.ReadFile("stdout"))
	})
}

// recorded lets the next server watch a recorded machine.
func recorded(ts *testscript.TestScript, _ bool, args []string) {
	tree := filepath.Join(ts.Getenv("TREES"), args[0])
	ts.Setenv("REEVE_AGENT_ROOT", tree)
	ts.Setenv("REEVE_AGENT_PROC", filepath.Join(tree, "proc"))
	ts.Setenv("REEVE_AGENT_SYS", filepath.Join(tree, "sys"))
}

// keep puts what matches in the last output into a variable: keep ID
// 'fnd_\w+'.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], found[len(found)-1])
}

// keys checks that the last output is one JSON object with these keys.
func keys(ts *testscript.TestScript, _ bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		ts.Fatalf("no JSON object: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		ts.Fatalf("more than one document")
	}
	for _, k := range args {
		if _, ok := object[k]; !ok {
			ts.Fatalf("no key %s", k)
		}
	}
}

// An inbox is a real receiver of webhooks.
type inbox struct {
	mu    sync.Mutex
	texts []string
}

type inboxKey struct{}

// receive starts a receiver for one script, whose address is $RECEIVER.
func receive(e *testscript.Env) {
	in := &inbox{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err == nil {
			in.mu.Lock()
			in.texts = append(in.texts, string(text))
			in.mu.Unlock()
		}
	}))
	e.Defer(server.Close)
	e.Setenv("RECEIVER", server.URL)
	e.Values[inboxKey{}] = in
}

// received waits until a message with a text came.
func received(ts *testscript.TestScript, _ bool, args []string) {
	in := ts.Value(inboxKey{}).(*inbox)
	pattern := regexp.MustCompile(args[0])
	until(ts, "a message with "+args[0], func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		for _, text := range in.texts {
			if pattern.MatchString(text) {
				return true
			}
		}
		return false
	})
}
