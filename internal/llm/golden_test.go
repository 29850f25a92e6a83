package llm

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/schema"
	"reeve/test/llmfake"
)

var update = flag.Bool("update", false, "accept the request bodies as they are")

// golden compares a request body, byte for byte but for its layout, with
// testdata/golden.
func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	path := filepath.Join("testdata", "golden", name+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-update accepts it):\n%s", name, diff)
	}
}

type verdictReply struct {
	State string `json:"state" enum:"healthy,issues" doc:"How it is."`
	Why   string `json:"why" doc:"In one sentence."`
}

type looseReply struct {
	State string            `json:"state"`
	Notes map[string]string `json:"notes,omitempty"`
}

// turns are the requests whose bodies are golden. owner is whose opaque parts
// the history holds.
func turns(owner string, opaque map[string]json.RawMessage) map[string]Request {
	first := wireRequest()
	call := func(id, name, input string) Part {
		return Part{Call: &ToolCall{ID: id, Name: name, Input: json.RawMessage(input)}}
	}
	result := func(id, name, text string, failed bool) Part {
		return Part{Result: &ToolResult{CallID: id, Name: name, Text: text, Failed: failed}}
	}
	results := first
	results.Messages = []Message{first.Messages[0],
		{Role: Assistant, Parts: []Part{{Text: "I look."}, call("call_1", "get_host", `{"id":"web","n":12345678901234567}`)}},
		{Role: User, Parts: []Part{result("call_1", "get_host", `{"disk":"97 % <full>"}`, false)}}}
	parallel := first
	parallel.Choice = ToolRequired
	parallel.Messages = []Message{first.Messages[0],
		{Role: Assistant, Parts: []Part{call("call:1", "get_host", `{"id":"web"}`), call("call_2", "get_disk", `{"id":`)}},
		{Role: User, Parts: []Part{{Text: "Go on."}, result("call:1", "get_host", "fine", false), result("call_2", "get_disk", "the input is no JSON", true)}}}
	structured := Request{Model: "fake", System: "Judge.", MaxOutput: 500, Schema: schema.Of[verdictReply](), Messages: []Message{Say(User, "How is web?")}}
	loose := structured
	loose.Schema = schema.Of[looseReply]()
	both := first
	both.Schema, both.Choice = structured.Schema, ToolNone
	kept := results
	parts := []Part{}
	for _, name := range []string{"a", "b"} {
		if opaque[name] != nil {
			parts = append(parts, Part{Opaque: opaque[name], Owner: owner}, Part{Opaque: opaque[name], Owner: "other:fake"})
		}
	}
	signed := call("reeve_1_0", "get_host", `{"id":"web"}`)
	if opaque["call"] != nil {
		signed.Opaque, signed.Owner = opaque["call"], owner
	}
	kept.Messages = []Message{first.Messages[0], {Role: Assistant, Parts: append(parts, signed)},
		{Role: User, Parts: []Part{result("reeve_1_0", "get_host", "fine", false)}},
		{Role: Assistant, Parts: []Part{{Opaque: json.RawMessage(`{"type":"thinking","thinking":"x","signature":"y"}`), Owner: "other:fake"}}}}
	return map[string]Request{"seed": first, "result": results, "parallel": parallel, "structured": structured, "loose": loose, "structured_tools": both, "opaque": kept}
}

// TestRequestBodiesAreGolden: what is sent is exactly this.
func TestRequestBodiesAreGolden(t *testing.T) {
	opaque := map[string]map[string]json.RawMessage{
		"anthropic": {"a": json.RawMessage(`{"type":"thinking","thinking":"Hm <web>.","signature":"c2ln"}`), "b": json.RawMessage(`{"type":"redacted_thinking","data":"ZGF0YQ=="}`)},
		"openai":    {"a": json.RawMessage(`{"reasoning_content":"Hm <web>."}`)},
		"deepseek":  {"a": json.RawMessage(`{"reasoning_content":"Hm <web>."}`)},
		"gemini":    {"call": json.RawMessage(`{"thoughtSignature":"c2lnbmF0dXJl"}`)},
		"ollama":    {"a": json.RawMessage(`{"thinking":"Hm <web>."}`)},
	}
	for kind, parts := range opaque {
		p := llmfake.Protocol(kind)
		if kind == "deepseek" {
			p = llmfake.OpenAI
		}
		for name, r := range turns("mine:fake", parts) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				s := llmfake.Start(t, p, llmfake.Reply{Text: "Well."})
				provider, err := OpenProvider("mine", ProviderOptions{Type: kind, URL: s.URL, Key: wireKey})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := provider.Stream(t.Context(), r, nil); err != nil {
					t.Fatal(err)
				}
				golden(t, kind+"_"+name, s.Requests()[0].Body)
			})
		}
	}
}

// plainBody takes the escapes out that mean the same.
func plainBody(b []byte) []byte {
	return []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b)))
}

// TestOpaquePartsComeBackUntouched: what a provider thought goes back to it
// and its model as it came, and to no other.
func TestOpaquePartsComeBackUntouched(t *testing.T) {
	first := map[llmfake.Protocol]llmfake.Reply{
		llmfake.Anthropic: {Thinking: "Let me <look>. 磁盘", Sealed: "EqQBCkYI+/=", Redacted: "EmwKAhgB", Calls: []llmfake.Call{{ID: "toolu_1", Name: "get_host", Input: `{"id":"web"}`}}},
		llmfake.OpenAI:    {Thinking: "Let me <look>. 磁盘", Calls: []llmfake.Call{{ID: "call_1", Name: "get_host", Input: `{"id":"web"}`}}},
		llmfake.Gemini:    {Thinking: "Let me look.", Sealed: llmfake.Sign("sealed thought"), Calls: []llmfake.Call{{Name: "get_host", Input: `{"id":"web"}`}, {ID: "x", Name: "get_disk", Input: `{}`}}},
		llmfake.Ollama:    {Thinking: "Let me <look>. 磁盘", Calls: []llmfake.Call{{Name: "get_host", Input: `{"id":"web"}`}}},
	}
	want := map[llmfake.Protocol][]string{
		llmfake.Anthropic: {`"signature":"EqQBCkYI+/="`, `"thinking":"Let me <look>. 磁盘"`, `"data":"EmwKAhgB"`},
		llmfake.OpenAI:    {`"reasoning_content":"Let me <look>. 磁盘"`},
		llmfake.Gemini:    {`"thoughtSignature":"` + llmfake.Sign("sealed thought") + `"`, `"id":"x"`},
		llmfake.Ollama:    {`"thinking":"Let me <look>. 磁盘"`},
	}
	for p, reply := range first {
		t.Run(string(p), func(t *testing.T) {
			reply.Bytes = 5
			s := llmfake.Start(t, p, reply, llmfake.Reply{Text: "Well."}, llmfake.Reply{Text: "Well."})
			provider := openWire(t, p, s.URL)
			r := wireRequest()
			got, err := provider.Stream(t.Context(), r, nil)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := json.Marshal(got.Message)
			if err != nil {
				t.Fatal(err)
			}
			var said Message
			if err := json.Unmarshal(stored, &said); err != nil {
				t.Fatal(err)
			}
			answers := Message{Role: User}
			for _, c := range said.Calls() {
				answers.Parts = append(answers.Parts, Part{Result: &ToolResult{CallID: c.ID, Name: c.Name, Text: "fine"}})
			}
			r.Messages = append(r.Messages, said, answers)
			if _, err := provider.Stream(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
			r.Model = "fake-2"
			if _, err := provider.Stream(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
			same, other := plainBody(s.Requests()[1].Body), plainBody(s.Requests()[2].Body)
			for _, w := range want[p] {
				if !bytes.Contains(same, []byte(w)) {
					t.Errorf("%s is not in %s", w, same)
				}
				if w != `"id":"x"` && bytes.Contains(other, []byte(w)) {
					t.Errorf("%s went to another model", w)
				}
			}
			if last := s.Requests()[1].Last(); len(last.Results) != len(reply.Calls) || last.Results[0].Text != "fine" {
				t.Errorf("results %+v", last)
			}
		})
	}
}

// TestRequestsFitTheModel: what OpenAI's own models do not take is said in a
// form that they do, or not sent.
func TestRequestsFitTheModel(t *testing.T) {
	w := &wire{name: "mine"}
	r := wireRequest()
	for model, want := range map[string][2]string{
		"gpt-4o":      {`"max_tokens":1000`, ""},
		"gpt-5-mini":  {`"max_completion_tokens":1000`, ""},
		"gpt-6-sol":   {`"max_completion_tokens":1000`, `"reasoning_effort":"none"`},
		"llama-3-70b": {`"max_tokens":1000`, ""},
	} {
		r.Model = model
		q, err := (openaiProvider{w: w}).request(r)
		if err != nil {
			t.Errorf("%s: %v", model, err)
			continue
		}
		b, err := encode(q)
		if err != nil || !bytes.Contains(b, []byte(want[0])) || !bytes.Contains(b, []byte(want[1])) {
			t.Errorf("%s: %s, %v", model, b, err)
		}
	}
	r.Model = "gpt-6-astra"
	_, err := (openaiProvider{w: w}).request(r)
	wantError(t, err, Invalid)
	w.needsKey = true
	r.Model = "gpt-4o"
	q, err := (openaiProvider{w: w}).request(r)
	if err != nil || q.MaxCompletionTokens != 1000 || q.MaxTokens != 0 {
		t.Errorf("%+v, %v", q, err)
	}
}

// TestCallsOfOtherModelsAreMarkedForGemini: it refuses them otherwise.
func TestCallsOfOtherModelsAreMarkedForGemini(t *testing.T) {
	r := turns("mine:fake", nil)["parallel"]
	for model, want := range map[string]int{"gemini-3-pro": 1, "gemini-2.5-flash": 0} {
		r.Model = model
		b, err := encode(geminiProvider{&wire{name: "mine"}}.request(r))
		if got := bytes.Count(b, []byte(`"thoughtSignature":"skip/thought/signature/validator"`)); err != nil || got != want {
			t.Errorf("%s: %d in %s", model, got, b)
		}
	}
}

// TestSchemasKeepTheirOrder: a model that reasons first judges better.
func TestSchemasKeepTheirOrder(t *testing.T) {
	type inner struct {
		Zeta  int64   `json:"zeta"`
		Alpha []int64 `json:"alpha"`
	}
	type outer struct {
		Why   string  `json:"why"`
		All   []inner `json:"all"`
		Grade string  `json:"grade" enum:"b,a"`
	}
	whole := schema.Of[outer]()
	least := 3.0
	whole.Properties["all"].Items.Properties["zeta"].Minimum = &least
	strict, ok := strictSchema(whole)
	text := string(formOf(strict))
	if !ok || !allRequired(strict) || strings.Index(text, "why") > strings.Index(text, "grade") || strings.Index(text, "zeta") > strings.Index(text, "alpha") || strings.Contains(text, "minimum") {
		t.Errorf("%v %s", ok, text)
	}
	if text := string(formOf(whole)); !strings.Contains(text, `"minimum":3`) || strings.Index(text, "zeta") > strings.Index(text, "alpha") {
		t.Errorf("the whole schema is %s", text)
	}
}
