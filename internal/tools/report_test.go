package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/tool"
	"reeve/internal/tools"
	"reeve/internal/turn"
)

// desk keeps what it is handed.
type desk struct {
	report  tool.Report
	assess  ops.Assessment
	note    ops.Note
	end     tool.Conclusion
	reports int
}

func (d *desk) open(b *bench) {
	b.env.Desk = tool.Desk{
		Report: func(_ context.Context, r tool.Report) (string, error) {
			d.report, d.reports = r, d.reports+1
			return "recorded", nil
		},
		Assess:   func(_ context.Context, a ops.Assessment) (string, error) { d.assess = a; return "noted", nil },
		Suggest:  func(_ context.Context, n ops.Note) (string, error) { d.note = n; return "suggested", nil },
		Conclude: func(_ context.Context, c tool.Conclusion) (string, error) { d.end = c; return "concluded", nil },
		Resolve:  turn.Resolver(b.db, func(r ops.Resource) bool { return r.HostName == "alpha" }),
	}
}

func TestReportsReachTheDeskWithIDs(t *testing.T) {
	b, d := newBench(t), &desk{}
	d.open(b)
	box := b.box(tool.Patrol)
	r := box.Call(t.Context(), "report_finding", json.RawMessage(`{"resource":"/var","condition":"advisory","severity":"warning","title":"Full soon","text":"api_key=s3cr3tvalue grows",
		"claims":[{"kind":"metric","metric":"fs_used_ratio","value":0.97},{"kind":"state","resource":"web","name":"health","text":"unhealthy"},{"kind":"quote","resource":"nowhere","text":"no such words"},
		{"kind":"time","name":"opened","at":"2026-01-02T03:04:05Z"}]}`))
	if r.Failed || r.Text != "recorded" || d.report.ResourceID != varID || d.report.Severity != ops.Warning || d.report.Text != "api_key=[redacted] grows" {
		t.Fatalf("%+v, the desk has %+v", r, d.report)
	}
	c := d.report.Claims
	if len(c) != 4 || c[0].ResourceID != varID || *c[0].Value != 0.97 || c[1].ResourceID != webID || c[2].ResourceID != "nowhere" || !c[3].At.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("claims %+v", c)
	}
	for in, want := range map[string]string{
		`{"resource":"beta","condition":"x","severity":"warning","title":"t","text":"t","claims":[]}`:                                                                "no resource in scope",
		`{"resource":"/var","condition":"x","severity":"fatal","title":"t","text":"t","claims":[]}`:                                                                  "severity must be one of warning, critical",
		`{"resource":"/var","condition":"x","severity":"warning","title":"t","text":"t"}`:                                                                            "claims is missing",
		`{"resource":"/var","condition":"x","severity":"warning","title":"t","text":"t","claims":[{"kind":"vibe"}]}`:                                                 "claims[0].kind must be one of metric, quote, state, time",
		`{"resource":"/var","condition":"x","severity":"warning","title":"t","text":"t","claims":[` + strings.Repeat(`{"kind":"state"},`, 12) + `{"kind":"state"}]}`: "at most 12 claims",
	} {
		if r := box.Call(t.Context(), "report_finding", json.RawMessage(in)); !r.Failed || !strings.Contains(r.Text, want) {
			t.Errorf("%s answers %q", in, r.Text)
		}
	}
	if d.reports != 1 {
		t.Errorf("%d reports reached the desk", d.reports)
	}
}

func TestVerdictsNotesAndConclusionsReachTheDesk(t *testing.T) {
	b, d := newBench(t), &desk{}
	d.open(b)
	box := b.box(tool.Patrol)
	if r := box.Call(t.Context(), "assess_finding", json.RawMessage(`{"finding":"`+findID+`","verdict":"present","claims":[{"kind":"metric","metric":"fs_used_ratio","value":97}]}`)); r.Failed || d.assess.Verdict != ops.AssessPresent ||
		d.assess.FindingID != findID || d.assess.Claims[0].ResourceID != varID {
		t.Errorf("%+v, the desk has %+v", r, d.assess)
	}
	if r := box.Call(t.Context(), "assess_finding", json.RawMessage(`{"finding":"fnd_x","verdict":"present"}`)); !r.Failed || !strings.Contains(r.Text, "there is no finding") {
		t.Errorf("%+v", r)
	}
	if r := box.Call(t.Context(), "suggest_note", json.RawMessage(`{"resource":"/var","kind":"solution","condition":"fs_full","text":"rotate"}`)); r.Failed || d.note.ResourceID != varID || d.note.Kind != "solution" {
		t.Errorf("%+v, the desk has %+v", r, d.note)
	}
	if r := box.Call(t.Context(), "conclude", json.RawMessage(`{"outcome":"explained","summary":"x"}`)); !r.Failed || d.end.Outcome != "" {
		t.Error("a patrol concludes an investigation")
	}
	box = b.box(tool.Investigation)
	in := `{"outcome":"fix_proposed","summary":"The log grew.","confidence":"high","hypotheses":[{"cause":"logs","resource":"web","for":[{"kind":"quote","text":"upstream refused"}],"confidence":"high"}],
		"proposal":{"verb":"restart","target":"web","params":{"wait":"10"},"reason":"frees it"},"next":["look at logs"]}`
	if r := box.Call(t.Context(), "conclude", json.RawMessage(in)); r.Failed || d.end.Hypotheses[0].For[0].ResourceID != webID || d.end.Proposal.Target != webID || d.end.Proposal.Params["wait"] != "10" {
		t.Errorf("%+v, the desk has %+v", r, d.end)
	}
	for in, want := range map[string]string{
		`{"outcome":"fix_proposed","summary":"x"}`:                                                      "needs a proposal",
		`{"outcome":"explained","summary":"x"}`:                                                         "needs a hypothesis",
		`{"outcome":"solved","summary":"x"}`:                                                            "must be one of explained",
		`{"outcome":"fix_proposed","summary":"x","proposal":{"verb":"x","target":"beta","reason":"y"}}`: "no resource in scope",
	} {
		if r := box.Call(t.Context(), "conclude", json.RawMessage(in)); !r.Failed || !strings.Contains(r.Text, want) {
			t.Errorf("%s answers %q", in, r.Text)
		}
	}
	for _, name := range []string{"report_finding", "assess_finding"} {
		if r := box.Call(t.Context(), name, json.RawMessage(`{}`)); !r.Failed || !strings.Contains(r.Text, "there is no tool") {
			t.Errorf("an investigation may call %s: %q", name, r.Text)
		}
	}
}

func TestLiveLogIsShownOrWhatIsStored(t *testing.T) {
	b := newBench(t)
	var asked tools.LogQuery
	var answer []tools.LogLine
	var failure error
	b.env.Logs = func(_ context.Context, r ops.Resource, q tools.LogQuery) ([]tools.LogLine, error) {
		asked = q
		return answer, failure
	}
	call := func(in string) tool.Result {
		return b.box(tool.Patrol).Call(t.Context(), "read_logs", json.RawMessage(in))
	}
	answer = []tools.LogLine{{At: b.now, Text: "panic: secret=abc123def"}}
	if r := call(`{"resource":"web","minutes":5,"lines":7,"contains":"panic"}`); !strings.Contains(r.Text, "log:\n"+b.now.UTC().Format(time.RFC3339)+" panic: secret=[redacted]") ||
		asked.Lines != 7 || asked.Contains != "panic" || !asked.Since.Equal(b.now.Add(-5*time.Minute)) {
		t.Errorf("%q, asked %+v", r.Text, asked)
	}
	answer = nil
	if r := call(`{"resource":"web"}`); r.Failed || !strings.Contains(r.Text, "no such line in the last 60 min") {
		t.Errorf("%q", r.Text)
	}
	failure = tools.ErrNoLogs
	if r := call(`{"resource":"web"}`); r.Failed || !strings.Contains(r.Text, "stored events (no live log here)") {
		t.Errorf("%q", r.Text)
	}
	failure = errors.New("socket is gone")
	if r := call(`{"resource":"web"}`); !r.Failed || strings.Contains(r.Text, "socket") {
		t.Errorf("%q", r.Text)
	}
	failure, answer = nil, []tools.LogLine{{At: b.now, Text: "x"}}
	if r := call(`{"resource":"/var"}`); strings.Contains(r.Text, "log:") {
		t.Errorf("a file system has a log: %q", r.Text)
	}
}
