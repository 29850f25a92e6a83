package llm

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/schema"
	"reeve/test/llmfake"
)

// raw starts a provider whose server answers these bytes as a stream.
func raw(t *testing.T, kind, body string) (Provider, *llmfake.Server) {
	t.Helper()
	p := llmfake.Protocol(kind)
	if kind == "deepseek" {
		p = llmfake.OpenAI
	}
	s := llmfake.Start(t, p, llmfake.Reply{Status: 200, Header: map[string]string{"Content-Type": "text/event-stream"}, Body: body})
	provider, err := OpenProvider("mine", ProviderOptions{Type: kind, URL: s.URL, Key: wireKey})
	if err != nil {
		t.Fatal(err)
	}
	return provider, s
}

func TestDeepSeekCountsItsCache(t *testing.T) {
	p, s := raw(t, "deepseek", `data: {"choices":[{"index":0,"delta":{"content":"Well."},"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":500,"completion_tokens":7,"prompt_cache_hit_tokens":448,"prompt_cache_miss_tokens":52}}`+"\n\ndata: [DONE]\n\n")
	r := turns("other:fake", nil)["result"]
	reply, err := p.Stream(t.Context(), r, nil)
	if err != nil || reply.Tokens != (ops.Tokens{Input: 500, Cached: 448, Output: 7}) {
		t.Errorf("%+v, %v", reply, err)
	}
	if body := s.Requests()[0].Body; !bytes.Contains(body, []byte(`"reasoning_content":""`)) {
		t.Errorf("calls without reasoning are refused there: %s", body)
	}
}

// TestCallsOfSloppyServersStayApart: some give every call the place 0, others
// none.
func TestCallsOfSloppyServersStayApart(t *testing.T) {
	for name, calls := range map[string]string{
		"one place": `[{"index":0,"id":"a","function":{"name":"x","arguments":"{\"n\":"}},{"index":0,"function":{"arguments":"1}"}},{"index":0,"id":"b","function":{"name":"y","arguments":"{}"}}]`,
		"no place":  `[{"id":"a","function":{"name":"x","arguments":"{\"n\":"}},{"function":{"arguments":"1}"}},{"id":"b","function":{"name":"y","arguments":"{}"}}]`,
		"no ID":     `[{"index":0,"function":{"name":"x","arguments":"{\"n\":1}"}},{"index":7,"function":{"name":"y"}}]`,
	} {
		p, _ := raw(t, "openai", `data: {"choices":[{"index":0,"delta":{"tool_calls":`+calls+`}}]}`+"\n\n"+`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n")
		reply, err := p.Stream(t.Context(), wireRequest(), nil)
		got := reply.Message.Calls()
		if err != nil || len(got) != 2 || string(got[0].Input) != `{"n":1}` || got[1].Name != "y" || string(got[1].Input) != "{}" || got[0].ID == got[1].ID || reply.Stop != StopTools {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestNothingIsLostAfterTheEnd: a connection that breaks off after the last
// word took nothing away.
func TestNothingIsLostAfterTheEnd(t *testing.T) {
	whole := llmfake.Reply{Text: "The disk of web is full.", Split: 100}
	probe := llmfake.Start(t, llmfake.OpenAI, whole)
	reply, err := openWire(t, llmfake.OpenAI, probe.URL).Stream(t.Context(), wireRequest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	whole.CutAt = int(reply.ReplyBytes) - len("data: [DONE]\n\n") - 5
	s := llmfake.Start(t, llmfake.OpenAI, whole)
	got, err := openWire(t, llmfake.OpenAI, s.URL).Stream(t.Context(), wireRequest(), nil)
	if err != nil || got.Message.Text() != whole.Text || !got.Estimated {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOldClaudesAreAskedInWords(t *testing.T) {
	r := Request{Model: "claude-3-5-haiku-latest", System: "Judge.", Schema: schema.Of[verdictReply]()}
	p := anthropicProvider{&wire{name: "mine"}}
	b, err := encode(p.request(r))
	if err != nil || bytes.Contains(b, []byte("output_config")) || !bytes.Contains(b, []byte("JSON Schema")) {
		t.Errorf("%s, %v", b, err)
	}
	r.Model = "claude-sonnet-4-5"
	if b, err = encode(p.request(r)); err != nil || !bytes.Contains(b, []byte("output_config")) {
		t.Errorf("%s, %v", b, err)
	}
}

// TestRedirectsOnTheSameServerRepeatTheRequest: a server may move its paths.
func TestRedirectsOnTheSameServerRepeatTheRequest(t *testing.T) {
	fake := llmfake.New(llmfake.OpenAI, func(llmfake.Request) llmfake.Reply { return llmfake.Reply{Text: "Well."} })
	t.Cleanup(fake.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1") {
			http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusPermanentRedirect)
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	reply, err := openWire(t, llmfake.OpenAI, s.URL).Stream(t.Context(), wireRequest(), nil)
	if err != nil || reply.Message.Text() != "Well." {
		t.Errorf("%+v, %v", reply, err)
	}
	if got := fake.Requests(); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+wireKey || got[0].Last().Text == "" {
		t.Errorf("%+v", got)
	}
}

// TestErrorsWithoutAStreamAreRead: some servers answer an error with 200.
func TestErrorsWithoutAStreamAreRead(t *testing.T) {
	s := llmfake.Start(t, llmfake.OpenAI, llmfake.Reply{Status: 200, Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":8192}}`})
	_, err := openWire(t, llmfake.OpenAI, s.URL).Stream(t.Context(), wireRequest(), nil)
	if e := wantError(t, err, ContextLength); e != nil && e.Window != 8192 {
		t.Errorf("%+v", e)
	}
}
