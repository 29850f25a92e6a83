package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"reeve/internal/dial"
	"reeve/internal/ops"
	"reeve/internal/term"
)

// run runs one command line and answers what it printed.
func run(t *testing.T, env []string, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), Program{Version: "test", Args: args, In: strings.NewReader(""), Out: &o, Err: &e, Env: append(env, "REEVE_DATA="+t.TempDir())})
	return o.String(), e.String(), code
}

func TestMistypedWordsNameTheNearest(t *testing.T) {
	for line, want := range map[string]string{
		"statsu": "did you mean `reeve status`?", "findings --stat x": "did you mean --state?", "audit verfy": "did you mean `reeve audit verify`?",
		"status x": "takes no argument", "ack": "needs the ID", "status -o yaml": "-o json", "zzzzzz": "there is no `reeve zzzzzz`", "config chekc": "did you mean `reeve config check`?",
		"query up --range soon": "90m, 6h or 7d", "suppress x --reason r": "--until", "host maintenance x --until 2h --end": "either --until", "check add a tcp x --every often": "--every",
	} {
		if _, errs, code := run(t, nil, strings.Fields(line)...); code != exitWrongUse || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %q", line, code, errs)
		}
	}
}

// TestTheShellIsOfferedValuesAndNoFiles for what has a few values.
func TestTheShellIsOfferedValuesAndNoFiles(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/approvers") {
			io.WriteString(w, `{"sets":[{"keys":[{"id":"key_1","name":"anna"}]}]}`)
			return
		}
		io.WriteString(w, `{"items":[{"id":"host_1","name":"web1","reachability":"online"}]}`)
	}))
	defer server.Close()
	for line, want := range map[string]string{
		"workloads --driver": "podman\n", "workloads --host": "web1\tonline", "resources --host": "web1\tonline",
		"workload declare web1/nginx --driver": "systemd\n", "workload declare web1/nginx --desired": "none\n", "approver remove": "key_1\tanna", "approver init": ":4",
	} {
		out, errs, code := run(t, []string{"REEVE_URL=" + server.URL}, append(append([]string{"__complete"}, strings.Fields(line)...), "")...)
		if code != 0 || !strings.Contains(out, want) || !strings.Contains(out, "\n:4") && !strings.HasPrefix(out, ":4") {
			t.Errorf("%s: %d %q %q", line, code, out, errs)
		}
	}
}

func TestATokenGoesOnlyToItsServer(t *testing.T) {
	var got atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		io.WriteString(w, `{"items":[]}`)
	}))
	defer other.Close()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, dial.ClientFile), []byte(`{"url":"http://127.0.0.1:9","token":"mine"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := run(t, nil, "hosts", "--data", data, "--url", other.URL); code != 0 || got.Load() != "" {
		t.Errorf("%d %s: the other server got %q", code, errs, got.Load())
	}
	if _, _, code := run(t, []string{"REEVE_TOKEN=theirs"}, "hosts", "--data", data, "--url", other.URL); code != 0 || got.Load() != "Bearer theirs" {
		t.Errorf("%q", got.Load())
	}
	redirect := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer redirect.Close()
	got.Store("none")
	if _, _, code := run(t, []string{"REEVE_TOKEN=theirs"}, "hosts", "--url", redirect.URL); code != exitFailed || got.Load() != "none" {
		t.Errorf("%d: a redirect was followed, with %q", code, got.Load())
	}
}

func TestAnythingButAReeveIsNamedAsSuch(t *testing.T) {
	for body, want := range map[string]string{"<html>": "another version", `{"items":7}`: "another version", "": "another version"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
		if _, errs, code := run(t, nil, "hosts", "--url", server.URL); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%q: %d %q", body, code, errs)
		}
		server.Close()
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, errs, code := run(t, nil, "hosts", "--url", server.URL); code != exitFailed || !strings.Contains(errs, "not to be a Reeve") {
		t.Errorf("%d %q", code, errs)
	}
}

func TestWatchComesBackWithoutAGap(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		n := len(asked)
		fmt.Fprintf(w, "id: %d\nevent: hello\ndata: {}\n\n: \n\nid: %d\nevent: transition\ndata: {\"seq\":%d,\"object\":\"finding\",\"verb\":\"open\",\"to\":\"open\"}\n\n", n*10, n*10+1, n*10+1)
	}))
	defer server.Close()
	out, errs, code := run(t, nil, "watch", "--url", server.URL, "--count", "2", "--filter", "finding", "-o", "json")
	if code != 0 || strings.Count(out, "\n") != 2 || len(asked) != 2 || asked[0] != "" || asked[1] != "11" {
		t.Errorf("%d %q %q asked %q", code, out, errs, asked)
	}
}

func FuzzStream(f *testing.F) {
	f.Add("id: 1\nevent: transition\ndata: {\"seq\":1}\n\n")
	f.Add("data\n\n:x\nid\nevent: transition\ndata: [\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		var o bytes.Buffer
		s := newSession(Program{Out: &o, Err: &o})
		s.page = term.NewPage(&o, s.at.Variable, true)
		fol := follower{s: s, keep: func(ops.Transition) bool { return true }}
		_, _ = dial.Events(strings.NewReader(text), func() {}, fol.event)
		if strings.Contains(o.String(), "\x1b") {
			t.Fatalf("%q", o.String())
		}
	})
}
