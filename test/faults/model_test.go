package faults

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/llmfake"
	"reeve/test/program"
)

// keyCanary is a key that must be nowhere but in its file and in requests.
const keyCanary = "sk-canary-5e7a1c0f9b3d4826"

// examAnswers are the right answers of the exam, by a part of the question.
var examAnswers = []struct{ part, json string }{
	{"web-3, 14:02", `{"host":"web-3","state":"failed","restarts":5,"units":["nginx.service"]}`},
	{"db-1 everything", `{"host":"db-1","state":"active","restarts":0,"units":["postgresql.service","chrony.service"]}`},
	{"backup-2 says", `{"host":"backup-2","state":"inactive","restarts":12,"units":["restic.service"]}`},
	{"file system / on nas-1", `{"known":true,"answer":"87.3","facts":[2]}`},
	{"immich restarted?", `{"known":true,"answer":"17","facts":[4]}`},
	{"vm-112 fail", `{"known":true,"answer":"2026-03-09","facts":[5]}`},
	{"process used", `{"known":true,"answer":"qemu-system","facts":[6]}`},
}

// learned answers the exam as a good model does.
func learned(r llmfake.Request) llmfake.Reply {
	question, last := r.Messages[0].Text, r.Last()
	call := func(name, input string) llmfake.Reply {
		return llmfake.Reply{Calls: []llmfake.Call{{Name: name, Input: input}}}
	}
	switch {
	case len(last.Results) > 0:
		return llmfake.Reply{Text: "It is " + last.Results[0].Text}
	case strings.Contains(question, "502"):
		return llmfake.Reply{Text: "Two, because the upstream timed out."}
	case strings.Contains(question, "memory_used_ratio"):
		return call("read_metric", `{"host":"nas-1","metric":"memory_used_ratio"}`)
	case strings.Contains(question, "load1"):
		return call("read_metric", `{"host":"db-1","metric":"load1"}`)
	case strings.Contains(question, "findings are open"):
		return call("count_findings", `{"host":"web-3","state":"open"}`)
	}
	for _, a := range examAnswers {
		if strings.Contains(question, a.part) {
			return llmfake.Reply{Text: a.json}
		}
	}
	if strings.Contains(question, "facts alone") {
		return llmfake.Reply{Text: `{"known":false,"answer":"","facts":[]}`}
	}
	return llmfake.Reply{Text: "ready"}
}

// reeve runs a verb of the program against p and answers what it printed.
func reeve(t *testing.T, p *program.Program, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(program.Path(t), append(args, "--url", p.URL, "--token", p.Token)...)
	text, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok {
		return string(text), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), 0
}

// TestModelFailing: a provider refuses the key. That is told with its remedy,
// and taken back when the key works; the key itself is nowhere.
func TestModelFailing(t *testing.T) {
	t.Parallel()
	var good atomic.Bool
	fake := llmfake.Serve(t, llmfake.OpenAI, func(r llmfake.Request) llmfake.Reply {
		if !good.Load() { // Some servers repeat the key that they refuse.
			return llmfake.Reply{Status: 401, Header: map[string]string{"Content-Type": "application/json"},
				Body: `{"error":{"message":"the key ` + r.Header.Get("Authorization") + ` is wrong","type":"invalid_request_error","code":"invalid_api_key"}}`}
		}
		return learned(r)
	})
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(keyCanary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := quick(&machine{dir: "/"}, nil)
	s["agent"] = map[string]any{"enabled": false}
	s["patrol"] = map[string]any{"every": "0s", "startup": false}
	s["models"] = map[string]any{"patrol": []string{"acme:fake"}, "investigation": []string{"acme:fake"},
		"providers": map[string]any{"acme": map[string]any{"url": fake.URL + "/v1", "key": "file:" + key}},
		"prices":    []map[string]any{{"model": "acme:*", "input": 2.5, "output": 10}}}
	p := program.Start(t, s.text(t))

	out, code := reeve(t, p, "models", "test")
	if code != 1 || !strings.Contains(out, "auth (401") || !strings.Contains(out, "models.providers.acme.key") {
		t.Errorf("exit %d: %s", code, out)
	}
	f := await(p, 60*time.Second, "active", "model_failing", "model acme")
	if f.Severity != ops.Warning || !strings.Contains(f.Summary, "Remedy: set a key that works as models.providers.acme.key") {
		t.Errorf("%s: %s", f.Severity, f.Summary)
	}
	p.Stop()
	p.Again()
	await(p, 30*time.Second, "active", "model_failing", "model acme")

	good.Store(true)
	out, code = reeve(t, p, "models", "test", "acme:fake")
	if code != 0 || !strings.Contains(out, "grade investigate: may be used for chat patrol investigation proposal") {
		t.Errorf("exit %d: %s", code, out)
	}
	await(p, 60*time.Second, "resolved", "model_failing", "model acme")

	shown := p.Log()
	for _, args := range [][]string{{"models"}, {"models", "-o", "json"}, {"models", "calls", "--limit", "0"}, {"cost"}, {"cost", "--by", "day", "--csv", "-"},
		{"cost", "reset", "--reason", "a test"}, {"audit", "-o", "json"}, {"config", "show"}, {"status", "-o", "json"}} {
		out, code := reeve(t, p, args...)
		if code != 0 {
			t.Errorf("%v: exit %d: %s", args, code, out)
		}
		shown += out
	}
	for _, want := range []string{"acme:fake", "month_usd", "day,name,calls", "invalid_api_key", "a test", "[redacted]"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is nowhere", want)
		}
	}
	if strings.Contains(shown, keyCanary) {
		at := strings.Index(shown, keyCanary)
		t.Errorf("the key is shown: %s", shown[max(0, at-200):at+40])
	}
	p.Stop()
	for _, file := range holding(t, p.Dir, keyCanary) {
		t.Errorf("the key is in %s", file)
	}
	if r := fake.Requests(); len(r) < 20 || r[0].Header.Get("Authorization") != "Bearer "+keyCanary {
		t.Errorf("%d requests, or without the key", len(r))
	}
}

// holding answers the files of a folder that hold a text.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
