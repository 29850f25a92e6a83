package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

func TestChooseTakesWhatIsMeantAndListsWhatMayBe(t *testing.T) {
	all := resourceCandidates([]ops.Resource{
		{ID: "res_06h04fhhs5aaaaaaaaaaaaa", Kind: ops.KindContainer, Name: "web", HostName: "nas"},
		{ID: "res_06h04fhhs5bbbbbbbbbbbbb", Kind: ops.KindContainer, Name: "web", HostName: "attic"},
		{ID: "res_06h04ghhs5ccccccccccccc", Kind: ops.KindService, Name: "shop/web", HostName: "nas"},
		{ID: "res_06h04ghhs5ddddddddddddd", Kind: ops.KindFilesystem, Name: "/", HostName: "nas"},
		{ID: "res_06h04ghhs5eeeeeeeeeeeee", Kind: ops.KindFilesystem, Name: "/data", HostName: "nas"},
	})
	for typed, want := range map[string]string{"shop/web": "res_06h04ghhs5ccccccccccccc", "web@attic": "res_06h04fhhs5bbbbbbbbbbbbb", "/": "res_06h04ghhs5ddddddddddddd",
		"filesystem:/data@nas": "res_06h04ghhs5eeeeeeeeeeeee", "res_06h04ghhs5e": "res_06h04ghhs5eeeeeeeeeeeee", "shop": "res_06h04ghhs5ccccccccccccc"} {
		if got, err := choose("resource", typed, all); err != nil || got != want {
			t.Errorf("%s: %q %v", typed, got, err)
		}
	}
	_, err := choose("resource", "web", all)
	if exitCode(err) != exitWrongUse || !strings.Contains(err.Error(), "res_06h04fhhs5aaaaaaaaaaaaa") || !strings.Contains(err.Error(), "attic") {
		t.Error(err)
	}
	if _, err := choose("resource", "nothing", all); exitCode(err) != exitFailed {
		t.Error(err)
	}
}

func TestShortenedIDsStayApart(t *testing.T) {
	ids := []string{"fnd_06h04fhhs5aaaaaaaaaaaaa", "fnd_06h04fhhs5aaaaaaaaaaaab", "fnd_06h04zzzzzzzzzzzzzzzzzz"}
	short := shortened(ids)
	if short[ids[0]] == short[ids[1]] || len(shortened(ids[1:])[ids[1]]) != 17 {
		t.Error(short)
	}
}

func TestExitCodesFollowTheKindOfError(t *testing.T) {
	for kind, want := range map[ops.ErrorKind]int{ops.Invalid: exitWrongUse, ops.Forbidden: exitRefused, ops.Unauthentic: exitRefused, ops.NotFound: exitFailed, ops.Conflict: exitFailed, ops.Internal: exitFailed} {
		if got := exitCode(fmt.Errorf("x: %w", answerError{ops.Errorf(kind, "m")})); got != want {
			t.Errorf("%s: %d", kind, got)
		}
	}
	if exitCode(unreachableError{"u", errors.New("x")}) != exitUnreachable || exitCode(wrongUse("x")) != exitWrongUse || exitCode(errors.New("x")) != exitFailed {
		t.Error("kinds of errors got mixed up")
	}
}

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
		"query up --range soon": "90m, 6h or 7d", "suppress x --reason r": "--until", "check add a tcp x --every often": "--every",
	} {
		if _, errs, code := run(t, nil, strings.Fields(line)...); code != exitWrongUse || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %q", line, code, errs)
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
	if err := os.WriteFile(filepath.Join(data, clientFile), []byte(`{"url":"http://127.0.0.1:9","token":"mine"}`), 0o600); err != nil {
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
		s.page = newPage(&o, nil, true)
		fol := follower{s: s, keep: func(ops.Transition) bool { return true }}
		fol.events(strings.NewReader(text), func() {})
		if strings.Contains(o.String(), "\x1b") {
			t.Fatalf("%q", o.String())
		}
	})
}

var discard = slog.New(slog.DiscardHandler)

func newDatabase(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(t.Context(), discard, store.Options{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "test", Verb: "try", Object: "settings", ObjectID: filepath.Base(path)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRestoreSwapsOnlyWhatIsGood(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	newDatabase(t, filepath.Join(data, "reeve.db"))
	good := filepath.Join(dir, "good.db")
	newDatabase(t, good)
	before, err := os.ReadFile(filepath.Join(data, "reeve.db"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Replace(text, []byte("good.db"), []byte("evil.db"), -1)
	for name, content := range map[string][]byte{"altered": altered, "cut": text[:len(text)/2], "empty": nil, "text": []byte("hello, this is no database at all")} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := run(t, nil, "restore", bad, "--data", data)
		now, _ := os.ReadFile(filepath.Join(data, "reeve.db"))
		if code == 0 || !bytes.Equal(now, before) {
			t.Errorf("%s was put in place: %s", name, errs)
		}
	}
	left, _ := filepath.Glob(filepath.Join(data, "*.restore-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	unlock, err := holdData(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, code := run(t, nil, "restore", good, "--data", data); code != exitFailed || !strings.Contains(errs, "stop it first") {
		t.Errorf("%d %s", code, errs)
	}
	unlock()
	if _, errs, code := run(t, nil, "restore", good, "--data", data); code != 0 {
		t.Fatal(errs)
	}
	kept, _ := filepath.Glob(filepath.Join(data, "reeve.db.before-restore-*"))
	if len(kept) != 1 {
		t.Fatalf("kept %q", kept)
	}
	if old, _ := os.ReadFile(kept[0]); !bytes.Equal(old, before) {
		t.Error("what was kept is not what was there")
	}
	checkRestored(t, filepath.Join(data, "reeve.db"))
}

// checkRestored looks for the entry of the restore at the end of a chain that
// holds.
func checkRestored(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(context.Background(), discard, store.Options{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, broken, err := db.VerifyAudit(t.Context(), func(int64, int64) {})
	if err != nil || broken != nil {
		t.Fatal(broken, err)
	}
	all, err := db.Transitions(t.Context(), store.TransitionFilter{Newest: true, Limit: 1})
	if err != nil || len(all) != 1 || all[0].Verb != "restore" || all[0].Facts["from"] != "good.db" {
		t.Fatal(all, err)
	}
}
