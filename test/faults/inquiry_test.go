package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/collectors"
	"reeve/internal/ops"
	"reeve/test/dockerd"
	"reeve/test/program"
)

// look asks for an investigation with the program's own verb, waits for its
// end, and answers the document that it prints.
func look(t *testing.T, p *program.Program, incident string) ops.Investigation {
	t.Helper()
	out, code := reeve(t, p, "investigate", incident, "--watch", "--reason", "a test", "-o", "json")
	var i ops.Investigation
	if err := json.Unmarshal([]byte(out), &i); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	return i
}

// shows answers everything that the looks of an investigation show.
func shows(i ops.Investigation) string {
	var b strings.Builder
	for _, s := range i.Detail.Steps {
		b.WriteString(s.Name + " " + s.Shows + "\n" + s.Output + "\n")
	}
	return b.String()
}

func has(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: %q is not in:\n%s", what, part, text)
		}
	}
}

// crashing is a container whose last words name why it ends.
var crashing = dockerd.Options{Name: "crasher", Restart: "always",
	Command: shell("echo 'ERROR listen tcp 0.0.0.0:80: bind: address already in use' >&2; sleep 0.3; exit 3")}

// only answers the quick configuration of this machine with some collectors
// alone: what others do on it is no part of the incident.
func only(names ...string) setup {
	s := live(nil)
	for _, c := range collectors.All() {
		if !slices.Contains(names, c.Name) {
			s["collectors"].(map[string]any)[c.Name] = map[string]any{"enabled": false}
		}
	}
	s["patrol"] = map[string]any{"every": "0s", "startup": false}
	s["investigate"] = map[string]any{"auto": "none"}
	return s
}

// TestRunbookExplainsAFullDisk: a real file system is filled; without any
// model it is looked into with real numbers, and the finding stays as it is.
func TestRunbookExplainsAFullDisk(t *testing.T) {
	t.Parallel()
	at := mount(t, 64<<20)
	s := only("filesystem")
	s["collectors"].(map[string]any)["filesystem"] = map[string]any{"every": "1s", "options": map[string]any{"ignore": others(t, at)}}
	p := program.Start(t, s.text(t))
	p.Until(30*time.Second, "the mount is judged to be well", func() bool { return judgedWell(p, at, "fs_full") })
	p.Until(60*time.Second, "the mount was read for a while", func() bool {
		return time.Since(p.Resource(resourceID(t, p, at)).FirstSeen) > 25*time.Second
	})
	fill(t, at, 0.96)
	full := await(p, 60*time.Second, "active", "fs_full", at)
	i := look(t, p, full.IncidentID)
	if i.State != ops.InvestigationExplained || i.Model != "" || i.Trigger != "manual" {
		t.Errorf("%s: %s", i.State, i.Summary)
	}
	has(t, "the looks", shows(i), "fs_used_ratio of filesystem "+at+" is 96", "fs_used_ratio of filesystem "+at+" rose from ", "read_metric", "list_storage")
	has(t, "the cause", i.Summary, "It filled within minutes just then")
	if now, ok := find(p, "active", "fs_full", at); !ok || now.State != full.State || now.Severity != full.Severity {
		t.Errorf("the finding changed: %+v", now)
	}
	out, code := reeve(t, p, "investigations")
	if code != 0 || !strings.Contains(out, "explained") {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := reeve(t, p, "investigate", "inc_nothing"); code == 0 {
		t.Error(out)
	}
}

// others answers the mounts of this machine but one, for the collector to
// leave out: what they hold is none of the test's business.
func others(t *testing.T, but string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] != but && strings.HasPrefix(f[1], "/") && f[1] != "/" {
			all = append(all, f[1])
		}
	}
	return strings.Join(all, ",")
}

// TestRunbookExplainsACrashLoop: a real container ends again and again, and
// its last words say why.
func TestRunbookExplainsACrashLoop(t *testing.T) {
	t.Parallel()
	d := dockerd.Start(t)
	s := only("docker", "logs")
	s["agent"].(map[string]any)["docker_sockets"] = []string{d.Socket}
	p := program.Start(t, s.text(t))
	d.Run(t, crashing)
	loop := await(p, 90*time.Second, "active", "container_restart_loop", "crasher")
	i := look(t, p, loop.IncidentID)
	if i.State != ops.InvestigationExplained {
		t.Errorf("%s: %s", i.State, i.Summary)
	}
	has(t, "the looks", shows(i), "address already in use", "× container exit", "exited with code 3")
	has(t, "the cause", i.Summary, "Another program holds the port that it wants")
	out, code := reeve(t, p, "investigations", i.ID)
	if code != 0 || !strings.Contains(out, "none: the runbook alone") || !strings.Contains(out, "What it looked at") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func resourceID(t *testing.T, p *program.Program, name string) string {
	t.Helper()
	var list struct{ Items []ops.Resource }
	if err := p.Get("/api/v1/resources?all=true", &list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Items {
		if r.Name == name {
			return r.ID
		}
	}
	t.Fatalf("there is no resource %s", name)
	return ""
}

// scripts are models: one that says what is so, one that invents all of it.
var scripts = map[string]string{
	"honest.txt": `reply
  if turn 1
  call read_logs {"resource": "crasher", "lines": 20}
reply
  if turn 2
  call conclude {"outcome": "explained", "confidence": "high", "summary": "The port is taken by another program.", "next": ["See who listens on the port."], "hypotheses": [{"cause": "Another program listens on the port of crasher.", "resource": "crasher", "confidence": "high", "for": [{"kind": "quote", "text": "bind: address already in use"}]}]}
reply
  say Done.
`,
	"liar.txt": `reply
  if turn 1
  call erase_everything {"really": true}
reply
  if turn 2
  call conclude {"outcome": "fix_proposed", "confidence": "high", "summary": "The disk sdq burned at 451 degrees.", "proposal": {"verb": "rm -rf /", "target": "crasher", "reason": "Trust me."}, "hypotheses": [{"cause": "Memory stood at 99.7 percent.", "resource": "crasher", "confidence": "high", "for": [{"kind": "metric", "metric": "container_memory_used_ratio", "value": 0.997}, {"kind": "quote", "text": "sdq is on fire and burning"}, {"kind": "state", "name": "state", "text": "on fire"}]}]}
reply
  say Everything is resolved.
`,
	"silent.txt": `reply
  say I think
  hang
`}

// TestModelsInvestigateWithCheckedClaims: with a scripted model that says what
// is so an incident is explained by it; of one that invents everything nothing
// is left, and what the runbook showed stands.
func TestModelsInvestigateWithCheckedClaims(t *testing.T) {
	t.Parallel()
	d, dir := dockerd.Start(t), t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := only("docker", "logs")
	s["agent"].(map[string]any)["docker_sockets"] = []string{d.Socket}
	models := map[string]any{"providers": map[string]any{"stage": map[string]any{"type": "scripted", "scripts": dir}}, "exam_required": false, "investigation": []string{"stage:honest"}}
	s["models"] = models
	p := program.Start(t, s.text(t))
	d.Run(t, crashing)
	loop := await(p, 90*time.Second, "active", "container_restart_loop", "crasher")

	i := look(t, p, loop.IncidentID)
	if i.State != ops.InvestigationExplained || i.Model != "stage:honest" || i.Tokens.Input == 0 || i.Summary != "The port is taken by another program." || len(i.Detail.Rejected) != 0 {
		t.Errorf("%s by %q: %s %+v", i.State, i.Model, i.Summary, i.Detail.Rejected)
	}
	if h := i.Detail.Hypotheses[0]; len(h.For) != 1 || h.For[0].Text != "bind: address already in use" || h.Confidence != "high" {
		t.Errorf("%+v", i.Detail.Hypotheses)
	}

	p.Stop()
	models["investigation"] = []string{"stage:liar"}
	p = program.StartIn(t, p.Dir, s.text(t))
	loop = await(p, 90*time.Second, "active", "container_restart_loop", "crasher")
	i = look(t, p, loop.IncidentID)
	text, err := json.Marshal(i.Detail.Hypotheses)
	if err != nil {
		t.Fatal(err)
	}
	for _, lie := range []string{"451", "burn", "99.7", "0.997", "on fire"} {
		if strings.Contains(i.Summary+string(text), lie) {
			t.Errorf("the lie %q is kept: %s %s", lie, i.Summary, text)
		}
	}
	if i.State != ops.InvestigationExplained || i.Detail.Proposal != nil || len(i.Detail.Rejected) < 4 || i.Model != "stage:liar" {
		t.Errorf("%s: %s, %d struck", i.State, i.Summary, len(i.Detail.Rejected))
	}
	has(t, "what the runbook explained", i.Summary, "Another program holds the port that it wants")
}

// TestKilledInvestigationGoesOn: the program is killed while an investigation
// waits for a model that never answers. At its next start it goes on, ends by
// its time, and leaves what the runbook showed; killed three times it fails.
func TestKilledInvestigationGoesOn(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), mount(t, 16<<20)
	if err := os.WriteFile(filepath.Join(dir, "silent.txt"), []byte(scripts["silent.txt"]), 0o600); err != nil {
		t.Fatal(err)
	}
	s := only("filesystem")
	s["collectors"].(map[string]any)["filesystem"] = map[string]any{"every": "1s", "options": map[string]any{"ignore": others(t, at)}}
	s["investigate"] = map[string]any{"auto": "none", "time": "20s"}
	s["models"] = map[string]any{"providers": map[string]any{"stage": map[string]any{"type": "scripted", "scripts": dir}}, "exam_required": false, "investigation": []string{"stage:silent"}}
	p := program.Start(t, s.text(t))
	p.Until(30*time.Second, "the mount is judged to be well", func() bool { return judgedWell(p, at, "fs_full") })
	fill(t, at, 0.96)
	full := await(p, 60*time.Second, "active", "fs_full", at)
	ask := func() (id string) {
		var begun struct {
			ID string `json:"investigation_id"`
		}
		if err := p.Post("/api/v1/incidents/"+full.IncidentID+"/investigate", nil, &begun); err != nil {
			t.Fatal(err)
		}
		return begun.ID
	}
	state := func(id string) (i ops.Investigation) {
		if err := p.Get("/api/v1/investigations/"+id, &i); err != nil {
			t.Fatal(err)
		}
		return i
	}
	waits := func(id string, starts int64) {
		t.Helper()
		p.Until(30*time.Second, "the investigation waits for its model", func() bool {
			i := state(id)
			return i.State == ops.InvestigationRunning && i.Starts == starts && len(i.Detail.Steps) == 6
		})
	}
	id := ask()
	waits(id, 1)
	p.Kill()
	p.Again()
	waits(id, 2)
	p.Until(60*time.Second, "it ends", func() bool { return ops.InvestigationFlow.Final(state(id).State) })
	i := state(id)
	if i.State == ops.InvestigationFailed || i.Summary == "" || i.Detail.ModelNote+i.Err == "" {
		t.Errorf("%s: %s (%s) %s", i.State, i.Summary, i.Detail.ModelNote, i.Err)
	}

	id = ask()
	for starts := range int64(3) {
		waits(id, starts+1)
		p.Kill()
		p.Again()
	}
	p.Until(30*time.Second, "it failed", func() bool { return state(id).State == ops.InvestigationFailed })
	if now, ok := find(p, "active", "fs_full", at); !ok || now.Severity != full.Severity {
		t.Errorf("%+v", now)
	}
}
