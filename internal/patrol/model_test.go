package patrol

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/brief"
	"reeve/internal/evidence"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/test/storetest"
)

// The tools that tests offer: the desk, and one that reads.
type reportInput struct {
	Resource  string      `json:"resource"`
	Condition string      `json:"condition"`
	Severity  string      `json:"severity,omitempty"`
	Title     string      `json:"title"`
	Text      string      `json:"text,omitempty"`
	Claims    []ops.Claim `json:"claims"`
}

type assessInput struct {
	Finding string      `json:"finding"`
	Verdict string      `json:"verdict"`
	Note    string      `json:"note,omitempty"`
	Claims  []ops.Claim `json:"claims,omitempty"`
}

type lookInput struct {
	Resource string `json:"resource"`
}

func testTools(profile tool.Profile, d tool.Desk) tool.Toolbox {
	return tool.NewSet(d, profile, testDefinitions, tool.Limits{})
}

var testDefinitions = func() []tool.Definition[tool.Desk] {
	patrol := []tool.Profile{tool.Patrol}
	head := func(name string, e tool.Effect) tool.Head {
		return tool.Head{Name: name, Doc: name, Effect: e, Profiles: patrol, Core: patrol}
	}
	return []tool.Definition[tool.Desk]{
		tool.Define(head(toolReport, tool.Writes), func(ctx context.Context, d tool.Desk, in reportInput) (string, error) {
			r, err := d.Resolve(ctx, in.Resource)
			if err != nil {
				return "", err
			}
			return d.Report(ctx, tool.Report{ResourceID: r.ID, Condition: in.Condition, Severity: ops.Severity(in.Severity), Title: in.Title, Text: in.Text, Claims: in.Claims})
		}),
		tool.Define(head(toolAssess, tool.Writes), func(ctx context.Context, d tool.Desk, in assessInput) (string, error) {
			return d.Assess(ctx, ops.Assessment{FindingID: in.Finding, Verdict: ops.AssessVerdict(in.Verdict), Note: in.Note, Claims: in.Claims})
		}),
		tool.Define(head("look", tool.Reads), func(ctx context.Context, d tool.Desk, in lookInput) (string, error) {
			r, err := d.Resolve(ctx, in.Resource)
			return r.Name + " " + fmt.Sprint(r.Observed), err
		}),
	}
}()

// withModel answers options that ask the given function.
func withModel(f func(llm.Request) (llm.Reply, error)) func(*Options) {
	return withProvider(llm.Scripted(f))
}

func withProvider(p llm.Provider) func(*Options) {
	return func(o *Options) {
		o.Tools = testTools
		o.Router = llm.New(quietLog, llm.Options{Providers: map[string]llm.Provider{"test": p}, Chains: map[ops.ModelUse][]string{ops.UsePatrol: {"test:one"}},
			Record: func(context.Context, ops.ModelCall) error { return nil }, Exam: func(string) (llm.Exam, bool) { return llm.Exam{}, false }})
		o.Modelling.RunInput = 20_000
	}
}

func say(text string) llm.Part { return llm.Part{Text: text} }

func call(name string, in any) llm.Part {
	text, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	return llm.Part{Call: &llm.ToolCall{ID: ops.NewID("c"), Name: name, Input: text}}
}

// script answers replies in order, and the last for ever.
func script(replies ...[]llm.Part) func(llm.Request) (llm.Reply, error) {
	n := 0
	return func(llm.Request) (llm.Reply, error) {
		parts := replies[min(n, len(replies)-1)]
		n++
		return llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}}, nil
	}
}

// troubled stores an estate of two hosts with two open findings.
func troubled(t testing.TB, st *store.Store) (full, unit ops.Finding) {
	t.Helper()
	all := estateOfTwo()
	for i := range all {
		all[i].Observed = ops.Attrs{"state": "running", "image": "app:1.2"}
	}
	populate(t, st, all)
	full = openFinding(t, st, "res_web1_/srv", "fs_full", ops.Critical)
	return full, openFinding(t, st, "res_web2_redis", "container_unhealthy", ops.Warning)
}

// patrolled does one full run.
func patrolled(t testing.TB, p *Patrol) ops.Run {
	t.Helper()
	r := ask(t, p)
	pass(t, p)
	if r = runOf(t, p, r.ID); r.State != ops.RunDone {
		t.Fatalf("%s %s", r.State, r.Err)
	}
	return r
}

func state(resource, name, value string) ops.Claim {
	return ops.Claim{Kind: "state", ResourceID: resource, Name: name, Text: value}
}

// number answers the short name of a finding: the items are in its order.
func number(r ops.Run, id string) string {
	at := slices.IndexFunc(r.Detail.Items, func(i ops.RunItem) bool { return i.FindingID == id })
	return fmt.Sprintf("F%d", at+1)
}

func TestModelExplainsAndTheFindingStaysAsItIs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		p := newPatrol(t, st, withModel(script(
			[]llm.Part{call("look", lookInput{"R1"}), call(toolAssess, assessInput{Finding: "F1", Verdict: "present"})},
			[]llm.Part{call(toolReport, reportInput{"R1", "fs_full", "critical", "The volume fills because of app:1.2.", "It runs at 99.5 %.", []ops.Claim{state("R1", "image", "app:1.2")}}),
				call(toolAssess, assessInput{Finding: "F2", Verdict: "resolved", Note: "It is running.", Claims: []ops.Claim{state("R2", "state", "running")}})},
			[]llm.Part{say("The file system matters most. It holds 123456 files.")})))
		full, unit := troubled(t, st)
		r := patrolled(t, p)
		if len(r.Detail.Assessments) != 2 || r.Detail.Turns != 3 || r.Model != "test:one" || r.Tokens.Input == 0 || r.Health != ops.RunCritical {
			t.Fatalf("%+v", r)
		}
		if got := r.Detail.Items[0]; got.FindingID != full.ID || got.Model != "The volume fills because of app:1.2." {
			t.Errorf("the model says %q", got.Model)
		}
		if !strings.Contains(r.Summary, "The file system matters most.") || strings.Contains(r.Summary, "123456") {
			t.Errorf("summary %q", r.Summary)
		}
		for _, was := range []ops.Finding{full, unit} {
			if now, err := st.Finding(t.Context(), was.ID); err != nil || now.State != was.State || now.Severity != was.Severity || now.Version != was.Version {
				t.Errorf("it became %+v, %v", now, err)
			}
		}
		if len(r.Detail.Rejected) < 2 {
			t.Errorf("struck: %+v", r.Detail.Rejected)
		}
		history, err := st.Transitions(t.Context(), store.TransitionFilter{Object: "finding", ObjectID: full.ID, Newest: true, Limit: 1})
		if err != nil || len(history) != 1 || history[0].Verb != "advise" {
			t.Errorf("%+v %v", history, err)
		}
	})
}

func TestWhatOnlyAModelSawIsAWarningWithProof(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		p := newPatrol(t, st, withModel(script([]llm.Part{
			call(toolReport, reportInput{"redis", ops.Advisory, "critical", "The image app:1.2 runs.", "", []ops.Claim{state("res_web2_redis", "image", "app:1.2"), state("res_web2_redis", "image", "app:9.9")}}),
			call(toolReport, reportInput{"redis", "container_oom_killed", "", "It was killed.", "", []ops.Claim{state("res_web2_redis", "state", "dead")}}),
			call(toolReport, reportInput{"redis", "container_oom_killed", "", "It is a container.", "", []ops.Claim{state("res_web2_redis", "kind", "container")}}),
			call(toolReport, reportInput{"redis", "fs_full", "", "Full.", "", []ops.Claim{state("res_web2_redis", "image", "app:1.2")}}),
			call(toolReport, reportInput{"redis", "disk_on_fire", "", "Fire.", "", []ops.Claim{state("res_web2_redis", "image", "app:1.2")}}),
			call(toolReport, reportInput{"nowhere", ops.Advisory, "", "Gone.", "", nil}),
		}, []llm.Part{say("Done.")})))
		_, _ = troubled(t, st)
		r := patrolled(t, p)
		all, _, err := st.Findings(t.Context(), store.FindingFilter{Active: true, All: true})
		if err != nil || len(all) != 3 {
			t.Fatalf("%d findings, %v", len(all), err)
		}
		at := slices.IndexFunc(all, func(f ops.Finding) bool { return f.Origin == ops.OriginPatrol })
		f := all[at]
		if f.Severity != ops.Warning || f.Condition != ops.Advisory || f.Facts["run"] != r.ID || f.Facts["model"] != "test:one" {
			t.Errorf("%+v", f)
		}
		proof, err := st.Evidence(t.Context(), f.ID)
		if err != nil || len(proof) != 1 {
			t.Fatalf("%+v %v", proof, err)
		}
		if ok, why := evidence.Verify(proof[0]); !ok {
			t.Error(why)
		}
		if !slices.ContainsFunc(r.Detail.Items, func(i ops.RunItem) bool { return i.FindingID == f.ID }) || !slices.Contains(r.Detail.New, f.ID) {
			t.Error("the run does not tell of it")
		}
		again := patrolled(t, newPatrol(t, st, withModel(script([]llm.Part{
			call(toolReport, reportInput{"redis", ops.Advisory, "", "The image app:1.2 still runs.", "", []ops.Claim{state("res_web2_redis", "image", "app:1.2")}})}, []llm.Part{say("")}))))
		f2, err := st.Finding(t.Context(), f.ID)
		if err != nil || f2.Count != 2 || f2.State != ops.FindingOpen || f2.Facts["run"] != again.ID || !f2.LastSeen.After(f.LastSeen.Add(-time.Millisecond)) {
			t.Errorf("reported again it is %+v, %v", f2, err)
		}
	})
}

func TestEachOpenFindingHasOneVerdict(t *testing.T) {
	st := storetest.SQLite(t)
	var followed llm.Request
	turns := 0
	p := newPatrol(t, st, withModel(func(r llm.Request) (llm.Reply, error) {
		turns++
		parts := []llm.Part{say("Nothing more.")}
		switch {
		case turns == 1:
			parts = []llm.Part{call(toolAssess, assessInput{Finding: "F1", Verdict: "present"}), call(toolAssess, assessInput{Finding: "F1", Verdict: "uncertain"}),
				call(toolAssess, assessInput{Finding: "fnd_unknown", Verdict: "resolved"}), call(toolAssess, assessInput{Finding: "F2", Verdict: "gone"}),
				call(toolAssess, assessInput{Finding: "F2", Verdict: "resolved", Claims: []ops.Claim{state("R2", "state", "exited")}})}
		case r.Choice == llm.ToolRequired:
			followed = r
			parts = []llm.Part{call("look", lookInput{"R1"}), call(toolAssess, assessInput{Finding: "F2", Verdict: "uncertain"})}
		}
		return llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}}, nil
	}))
	full, unit := troubled(t, st)
	r := patrolled(t, p)
	verdicts := map[string]ops.Assessment{}
	for _, a := range r.Detail.Assessments {
		verdicts[a.FindingID] = a
	}
	if len(r.Detail.Assessments) != 2 || verdicts[full.ID].Verdict != ops.AssessPresent || verdicts[unit.ID].Verdict != ops.AssessUncertain || verdicts[unit.ID].By != "test:one" {
		t.Fatalf("%+v", r.Detail.Assessments)
	}
	if len(followed.Tools) != 1 || !strings.Contains(followed.Messages[0].Text(), "nothing else: F2.") || turns != 3 {
		t.Errorf("followed up with %d tools, %d turns", len(followed.Tools), turns)
	}
}

func TestModelThatGivesNoVerdictLeavesThemUncertainByRule(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, withModel(script([]llm.Part{say("All is well.")})))
	troubled(t, st)
	r := patrolled(t, p)
	for _, a := range r.Detail.Assessments {
		if a.Verdict != ops.AssessUncertain || a.By != byRule {
			t.Errorf("%+v", a)
		}
	}
	if len(r.Detail.Assessments) != 2 || r.Health != ops.RunCritical || r.Detail.Turns != 2 {
		t.Errorf("%+v", r)
	}
}

// Whatever goes wrong with the model, the run has what was found without it,
// and says so.
func TestFailingModelCostsNothingThatWasFound(t *testing.T) {
	for name, f := range map[string]func(llm.Request) (llm.Reply, error){
		"auth": func(llm.Request) (llm.Reply, error) {
			return llm.Reply{}, &llm.Error{Class: llm.Auth, Provider: "test", Status: 401}
		},
		"panic":   func(llm.Request) (llm.Reply, error) { panic("a broken provider") },
		"nothing": func(llm.Request) (llm.Reply, error) { return llm.Reply{}, nil },
		"megabytes": func(llm.Request) (llm.Reply, error) {
			return llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{say(strings.Repeat("all is well ", 400_000))}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := storetest.SQLite(t)
			p := newPatrol(t, st, withModel(f))
			troubled(t, st)
			r := ask(t, p)
			pass(t, p)
			r = runOf(t, p, r.ID)
			if r.State != ops.RunDone || r.Health != ops.RunCritical || len(r.Detail.Items) != 2 || len(r.Detail.New) != 2 || len(r.Detail.Items[0].Causes) == 0 {
				t.Fatalf("%+v", r)
			}
			if name == "auth" && !strings.Contains(r.Err, "the model's part failed") {
				t.Errorf("it does not say so: %q", r.Err)
			}
			if len(r.Summary) > 4000 {
				t.Errorf("a summary of %d bytes", len(r.Summary))
			}
		})
	}
}

// hanging is a provider that never answers.
type hanging struct{}

func (hanging) Stream(ctx context.Context, _ llm.Request, _ func(llm.Event)) (llm.Reply, error) {
	<-ctx.Done()
	return llm.Reply{}, &llm.Error{Class: llm.Cancelled, Provider: "test", Err: ctx.Err()}
}

func TestHangingModelLeavesTheRunDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := storetest.SQLite(t)
		p := newPatrol(t, st, withProvider(hanging{}))
		troubled(t, st)
		r := ask(t, p)
		pass(t, p)
		r = runOf(t, p, r.ID)
		if r.State != ops.RunDone || len(r.Detail.Items) != 2 || r.Health != ops.RunCritical || r.EndedAt.Sub(r.StartedAt) > p.set.Timeout {
			t.Fatalf("%+v", r)
		}
	})
}

func TestWithheldIsNeitherShownNorJudged(t *testing.T) {
	st := storetest.SQLite(t)
	var seen llm.Request
	p := newPatrol(t, st, func(o *Options) {
		withModel(func(r llm.Request) (llm.Reply, error) {
			if seen.System == "" {
				seen = r
			}
			return llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{call(toolReport, reportInput{"res_web1_/srv", "fs_full", "", "x", "", []ops.Claim{state("res_web1_/srv", "state", "running")}}), say("ok")}}}, nil
		})(o)
		o.Modelling.Withhold = brief.Withhold{Hosts: []string{"web1"}}
	})
	full, unit := troubled(t, st)
	r := patrolled(t, p)
	if text := seen.Messages[0].Text(); strings.Contains(text, "web1") || !strings.Contains(text, "redis") {
		t.Errorf("it was shown\n%s", text)
	}
	if len(r.Detail.Assessments) != 1 || r.Detail.Assessments[0].FindingID != unit.ID || len(r.Detail.Items) != 2 || r.Detail.Items[0].FindingID != full.ID || r.Detail.Items[0].Model != "" {
		t.Errorf("%+v", r.Detail)
	}
}

func TestPreviewIsWhatIsSent(t *testing.T) {
	st := storetest.SQLite(t)
	var sent []llm.Request
	p := newPatrol(t, st, func(o *Options) {
		withModel(func(r llm.Request) (llm.Reply, error) {
			sent = append(sent, r)
			return llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{say("ok")}}}, nil
		})(o)
		o.Modelling.Pseudonymise = true
	})
	troubled(t, st)
	v, err := p.Preview(t.Context(), ops.RunScope{})
	if err != nil || len(sent) != 0 || v.Model != "test:one" || v.Tokens == 0 || v.RunInput < 2*v.Tokens {
		t.Fatalf("%+v %v, sent %d", v, err, len(sent))
	}
	patrolled(t, p)
	plain := func(s string) string { // the minute may turn between the two
		at := strings.Index(s, "## problems at ")
		return s[:at] + s[at+len("## problems at 2006-01-02 15:04 UTC"):]
	}
	if got := sent[0]; got.System != v.System || len(got.Tools) != len(v.Tools) || plain(got.Messages[0].Text()) != plain(v.Messages[0].Text()) {
		t.Errorf("sent\n%s\nshown\n%s", got.Messages[0].Text(), v.Messages[0].Text())
	}
	if strings.Contains(v.Messages[0].Text(), "redis") {
		t.Error("a name was sent though names are replaced")
	}
}

func TestReplayShowsTheDifferenceAndWritesNothing(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, withModel(script(
		[]llm.Part{call("look", lookInput{"R1"}), call(toolAssess, assessInput{Finding: "F1", Verdict: "present"}), call(toolAssess, assessInput{Finding: "F2", Verdict: "present"}),
			call(toolReport, reportInput{"redis", ops.Advisory, "", "The image app:1.2 runs.", "", []ops.Claim{state("res_web2_redis", "image", "app:1.2")}})},
		[]llm.Part{say("Done.")})))
	troubled(t, st)
	r := patrolled(t, p)
	heard := ""
	other := newPatrol(t, st, func(o *Options) {
		n := 0
		withModel(func(q llm.Request) (llm.Reply, error) {
			n++
			parts := []llm.Part{call("look", lookInput{"R1"}), call("look", lookInput{"R2"}), call(toolAssess, assessInput{Finding: "F1", Verdict: "uncertain"}),
				call(toolAssess, assessInput{Finding: "F2", Verdict: "present"}), call(toolReport, reportInput{"R1", "fs_full", "", "x", "", []ops.Claim{state("R1", "state", "running")}})}
			if n > 1 {
				for _, m := range q.Messages {
					for _, x := range m.Parts {
						if x.Result != nil {
							heard += x.Result.Text + "\n"
						}
					}
				}
				parts = []llm.Part{say("Done.")}
			}
			return llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}}, nil
		})(o)
	})
	before, _, _ := st.Findings(t.Context(), store.FindingFilter{All: true})
	again, err := other.Replay(t.Context(), r.ID, "test:two", store.Why{Actor: "user:ann"})
	if err != nil {
		t.Fatal(err)
	}
	pass(t, other)
	again = runOf(t, other, again.ID)
	x := again.Detail.Compared
	if again.State != ops.RunDone || x == nil || x.Same != 1 || len(x.New) != 1 || len(x.Missing) != 1 || len(x.Changed) != 1 || x.NotRecorded != 1 || x.Model != "test:two" || x.Before != "test:one" {
		t.Fatalf("%+v %+v", again, x)
	}
	if !strings.Contains(heard, "running") || !strings.Contains(heard, "not recorded") {
		t.Errorf("the tools answered %q", heard)
	}
	after, _, _ := st.Findings(t.Context(), store.FindingFilter{All: true})
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("a replay changed findings")
	}
	if _, err := other.Replay(t.Context(), again.ID, "", store.Why{}); ops.KindOf(err) != ops.Conflict {
		t.Errorf("a replay of a replay: %v", err)
	}
}

// A usual run keeps the budget that the page promises.
func TestUsualRunKeepsItsBudget(t *testing.T) {
	for _, c := range []struct{ size, problems, most int }{{100, 1, 8_000}, {1000, 10, 16_000}} {
		t.Logf("%d resources, %d problems: seed at most %d tokens of %d", c.size, c.problems, seedBudget(2000, 20_000, 128_000), c.most)
	}
	if b := seedBudget(2000, 20_000, 128_000); b > mostSeed || b < leastSeed {
		t.Error(b)
	}
	if b := seedBudget(2000, 20_000, 16_000); b > 4000 {
		t.Errorf("%d tokens for a window of 16,000", b)
	}
	if fixed := llm.EstimateRequest(llm.Request{System: system}); fixed > 450 {
		t.Errorf("the instructions take %d tokens", fixed)
	}
}

// A model suggests notes, a few in a run; they go to where a person decides.
func TestModelSuggestsAFewNotes(t *testing.T) {
	st := storetest.SQLite(t)
	var notes []ops.Note
	with := withModel(script(nil))
	p := newPatrol(t, st, func(o *Options) {
		with(o)
		o.Knowledge.Suggest = func(_ context.Context, n ops.Note, model string) (ops.Note, error) {
			n.ID, n.Author = "nte_1", model
			notes = append(notes, n)
			return n, nil
		}
	})
	d := (&consultation{p: p, l: &look{}, asked: "test:one"}).newDesk(nil).tool()
	for i := range mostNotes + 2 {
		_, err := d.Suggest(t.Context(), ops.Note{Kind: "note", Text: "backups run at two"})
		if (err != nil) != (i >= mostNotes) {
			t.Errorf("note %d: %v", i+1, err)
		}
	}
	if len(notes) != mostNotes || notes[0].Author != "test:one" {
		t.Errorf("%+v", notes)
	}
}
