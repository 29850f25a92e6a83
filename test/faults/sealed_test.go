package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reeve/test/llmfake"
	"reeve/test/program"
)

// TestSealedSettings: a value that a person seals reaches the provider, and is
// nowhere else; a database on another machine says what it lacks.
func TestSealedSettings(t *testing.T) {
	t.Parallel()
	const hookCanary = "hook-canary-93b1e07c55"
	fake := llmfake.Serve(t, llmfake.OpenAI, learned)
	s := quick(&machine{dir: "/"}, nil)
	s["agent"] = map[string]any{"enabled": false}
	s["patrol"] = map[string]any{"every": "0s", "startup": false}
	s["models"] = map[string]any{"chat": []string{"acme:fake"}, "providers": map[string]any{"acme": map[string]any{"url": fake.URL + "/v1", "key": "sealed:acme"}}}
	s["channels"] = []map[string]any{{"name": "hook", "type": "webhook", "url": "sealed:hook.url", "headers": map[string]any{"X-Token": "sealed:hook.token"}}}
	delete(s, "notify")
	p := program.Start(t, s.text(t))
	shown := ""
	run := func(p *program.Program, input string, code int, args ...string) string {
		t.Helper()
		cmd := exec.Command(program.Path(t), append(args, "--url", p.URL, "--token", p.Token)...)
		cmd.Stdin = strings.NewReader(input)
		text, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%v: exit %d: %s", args, got, text)
		}
		shown += string(text)
		return string(text)
	}
	says := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in %s", want, text)
			}
		}
	}

	// Nothing is sealed yet: the server runs, and says what to do.
	says(run(p, "", 0, "models", "-o", "json"), `there is no sealed setting \"acme\"; `+"`reeve secret set acme` seals it")
	says(run(p, "", 0, "channels"), "there is no sealed setting", "hook.url")
	says(run(p, keyCanary+"\n", 0, "secret", "set", "acme"), "acme is sealed; name it as sealed:acme in the configuration; Reeve reads it when it starts again")
	run(p, hookCanary, 0, "secret", "set", "hook.token")
	run(p, "https://user:"+hookCanary+"@127.0.0.1:1/x", 0, "secret", "set", "hook.url")
	run(p, "", 2, "secret", "set", "acme")
	run(p, "", 2, "secret", "set", "acme", keyCanary)
	run(p, strings.Repeat(keyCanary, 2000), 2, "secret", "set", "acme")
	says(run(p, "", 1, "secret", "delete", "acmee"), "did you mean acme?")
	says(run(p, "", 0, "secrets"), "acme", "hook.token")

	p.Stop()
	p.Again()
	says(run(p, "", 0, "models", "test", "acme:fake"), "grade investigate")
	if r := fake.Requests(); len(r) < 20 || r[0].Header.Get("Authorization") != "Bearer "+keyCanary {
		t.Errorf("%d requests, or without the key", len(r))
	}
	if strings.Contains(run(p, "", 0, "channels"), "sealed") {
		t.Error("the channel is not opened")
	}
	run(p, "", 1, "channels", "test", "hook")
	backup := filepath.Join(t.TempDir(), "backup.db")
	run(p, "", 0, "backup", backup)
	for _, args := range [][]string{{"models", "calls"}, {"secrets", "-o", "json"}, {"audit", "-o", "json"}, {"config", "show"}, {"status", "-o", "json"}, {"deliveries", "-o", "json"}} {
		run(p, "", 0, args...)
	}
	says(shown, "secret/acme", "secret/hook.url")
	for _, canary := range []string{keyCanary, hookCanary, "AGE-SECRET-KEY"} {
		if strings.Contains(shown+p.Log(), canary) {
			t.Errorf("%s is shown", canary)
		}
	}
	p.Stop()
	key := filepath.Join(p.Dir, "secret.key")
	for _, canary := range []string{keyCanary, hookCanary, "AGE-SECRET-KEY"} {
		for _, file := range append(holding(t, p.Dir, canary), holding(t, filepath.Dir(backup), canary)...) {
			if file != key || canary != "AGE-SECRET-KEY" {
				t.Errorf("%s is in %s", canary, file)
			}
		}
	}

	// Another machine has the database and not the key.
	dir := t.TempDir()
	copyFile(t, backup, filepath.Join(dir, "reeve.db"))
	moved := program.StartIn(t, dir, s.text(t))
	says(run(moved, "", 0, "models", "-o", "json"), "secret.key is missing; put back the one of the machine that the database comes from, or seal the value anew: `reeve secret set acme`")
	moved.Stop()
	copyFile(t, key, filepath.Join(dir, "secret.key"))
	moved.Again()
	before := len(fake.Requests())
	run(moved, "", 0, "models", "test", "acme:fake")
	if r := fake.Requests(); len(r) == before || r[before].Header.Get("Authorization") != "Bearer "+keyCanary {
		t.Error("the key that was put back does not open")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
