package llm

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reeve/test/llmfake"
)

// TestRecordedTrafficReplaysTheSame: errors, broken replies and repetitions
// too.
func TestRecordedTrafficReplaysTheSame(t *testing.T) {
	for _, p := range llmfake.Protocols {
		t.Run(string(p), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "recordings")
			s := llmfake.Start(t, p,
				odd(llmfake.Reply{Text: "Größe <ok>", Calls: []llmfake.Call{{ID: "c1", Name: "get_host", Input: `{"id":"web"}`}}, Usage: llmfake.Usage{Input: 120, Output: 30}}),
				llmfake.Reply{Text: "The second time."},
				llmfake.Reply{Fault: llmfake.RateLimited, RetryAfter: "7"},
				llmfake.Reply{Text: strings.Repeat("All is well. ", 50), CutAt: 900})
			type outcome struct {
				Message Message
				Stop    Stop
				Err     string
			}
			run := func(o ProviderOptions) (all []outcome) {
				o.Type, o.URL, o.Key = string(p), s.URL, wireKey
				provider, err := OpenProvider("mine", o)
				if err != nil {
					t.Fatal(err)
				}
				for range 4 {
					reply, err := provider.Stream(t.Context(), wireRequest(), nil)
					one := outcome{Message: reply.Message, Stop: reply.Stop}
					if err != nil {
						one.Err = err.Error()
					}
					all = append(all, one)
				}
				return all
			}
			live := run(ProviderOptions{RecordDir: dir})
			if live[0].Err != "" || live[2].Err == "" || live[3].Err == "" {
				t.Fatalf("live: %+v", live)
			}
			for range 2 {
				if diff := cmp.Diff(live, run(ProviderOptions{ReplayDir: dir})); diff != "" {
					t.Error(diff)
				}
			}
			if len(s.Requests()) != 4 {
				t.Errorf("%d requests reached the server", len(s.Requests()))
			}
		})
	}
}

func TestUnrecordedRequestsAreErrors(t *testing.T) {
	provider := openWire(t, llmfake.OpenAI, "http://127.0.0.1:1", func(o *ProviderOptions) { o.ReplayDir = t.TempDir() })
	_, err := provider.Stream(t.Context(), wireRequest(), nil)
	wantError(t, err, Transient)
}

func TestRecordingsHoldNoSecrets(t *testing.T) {
	const secret = "sk-abcdefghijklmnopqrstuvwx"
	dir := t.TempDir()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Set-Cookie", "session="+secret)
		w.Header().Set("X-Request-Key", secret)
		w.Write([]byte("data: {\"text\":\"password=" + secret + "\",\"max_tokens\":12}\n\n: api_key=" + secret + "\n\n"))
	}))
	t.Cleanup(s.Close)
	recorder, err := openRecorder(dir, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/v1/chat?"+url.Values{"key": {secret}}.Encode(), strings.NewReader(`{"content":"token: `+secret+`","max_tokens":5}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie"} {
		req.Header.Set(name, secret)
	}
	res, err := recorder.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	var read bytes.Buffer
	if _, err := read.ReadFrom(res.Body); err != nil || !strings.Contains(read.String(), secret) {
		t.Fatalf("the caller gets the reply as it is: %q, %v", read.String(), err)
	}
	res.Body.Close()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte(secret)) {
		t.Errorf("a secret is in\n%s", b)
	}
	for _, kept := range []string{`\"max_tokens\":12`, `"max_tokens": 5`, `/v1/chat?key=`} {
		if !bytes.Contains(b, []byte(kept)) {
			t.Errorf("%s is not in\n%s", kept, b)
		}
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestCommittedRecordingsReplay reads the recordings in testdata, which were
// made with -update from the fakes: files of today are read tomorrow.
func TestCommittedRecordingsReplay(t *testing.T) {
	dir := filepath.Join("testdata", "recorded")
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for _, p := range llmfake.Protocols {
			s := llmfake.Start(t, p, llmfake.Reply{Text: "The disk of web is full.", Calls: []llmfake.Call{{ID: "c1", Name: "get_disk", Input: `{"id":"web"}`}}})
			if _, err := openWire(t, p, s.URL, func(o *ProviderOptions) { o.RecordDir = dir }).Stream(t.Context(), wireRequest(), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range llmfake.Protocols {
		reply, err := openWire(t, p, "http://127.0.0.1:1", func(o *ProviderOptions) { o.ReplayDir = dir }).Stream(t.Context(), wireRequest(), nil)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		if calls := reply.Message.Calls(); reply.Message.Text() != "The disk of web is full." || len(calls) != 1 || calls[0].Name != "get_disk" || reply.Tokens.Input != 100 {
			t.Errorf("%s: %+v", p, reply)
		}
	}
}
