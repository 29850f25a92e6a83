package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
	"reeve/internal/schema"
	"reeve/test/llmfake"
)

const wireKey = "key-that-nobody-may-see"

func TestSlowReadersAreNoSilentServers(t *testing.T) {
	s := llmfake.Start(t, llmfake.OpenAI, llmfake.Reply{Text: strings.Repeat("All is well. ", 10)})
	reply, err := openWire(t, llmfake.OpenAI, s.URL, func(o *ProviderOptions) { o.IdleTimeout = 200 * time.Millisecond }).Stream(t.Context(), wireRequest(), func(Event) {
		<-time.After(20 * time.Millisecond)
	})
	if err != nil || len(reply.Message.Text()) != 130 {
		t.Errorf("%+v, %v", reply, err)
	}
}

// openWire opens a provider that talks to a fake.
func openWire(t *testing.T, p llmfake.Protocol, url string, change ...func(*ProviderOptions)) Provider {
	t.Helper()
	o := ProviderOptions{Type: string(p), URL: url, Key: wireKey, Timeout: 20 * time.Second, IdleTimeout: 10 * time.Second}
	for _, c := range change {
		c(&o)
	}
	provider, err := OpenProvider("mine", o)
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

type lookInput struct {
	ID   string `json:"id" doc:"Which one."`
	Note string `json:"note,omitempty" doc:"A remark."`
}

func wireRequest() Request {
	return Request{
		Model: "fake", System: "You look after machines.", MaxOutput: 1000, CacheMessages: 1,
		Tools:    []ToolSpec{{Name: "get_host", Doc: "Reads a host.", Schema: schema.Of[lookInput]()}, {Name: "get_disk", Doc: "Reads a disk.", Schema: schema.Of[lookInput]()}},
		Messages: []Message{Say(User, "What is wrong with web?")},
	}
}

// odd is a reply in pieces of an odd size, with letters of many bytes.
func odd(r llmfake.Reply) llmfake.Reply {
	r.Bytes, r.Split, r.Comments = 3, 2, true
	return r
}

func TestTextArrivesWholeHoweverItIsCut(t *testing.T) {
	const text = "Die Platte ist voll: 97 % — größer wäre besser. 磁盘已满 🧯 \"quoted\" \\ and\nlines"
	for _, p := range llmfake.Protocols {
		t.Run(string(p), func(t *testing.T) {
			s := llmfake.Start(t, p, odd(llmfake.Reply{Text: text, Usage: llmfake.Usage{Input: 120, Output: 30}}))
			s.Key = wireKey
			var seen strings.Builder
			reply, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), func(e Event) { seen.WriteString(e.Text) })
			if err != nil {
				t.Fatal(err)
			}
			if reply.Message.Text() != text || seen.String() != text {
				t.Errorf("got %q, seen %q", reply.Message.Text(), seen.String())
			}
			if reply.Stop != StopEnd || reply.Estimated || reply.Tokens != (ops.Tokens{Input: 120, Output: 30}) {
				t.Errorf("reply %+v", reply)
			}
			asked := s.Requests()[0]
			if reply.RequestBytes != int64(len(asked.Body)) || reply.ReplyBytes < int64(len(text)) {
				t.Errorf("%d bytes out, %d in; the request has %d", reply.RequestBytes, reply.ReplyBytes, len(asked.Body))
			}
			if !strings.HasPrefix(reply.Model, "fake") || asked.System != "You look after machines." || asked.Last().Text != "What is wrong with web?" {
				t.Errorf("model %q, asked %+v", reply.Model, asked)
			}
			if diff := cmp.Diff([]string{"get_host", "get_disk"}, asked.Tools); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParallelCallsKeepTheirPieces(t *testing.T) {
	for _, p := range llmfake.Protocols {
		t.Run(string(p), func(t *testing.T) {
			s := llmfake.Start(t, p, odd(llmfake.Reply{Text: "I look.", Calls: []llmfake.Call{
				{Name: "get_host", Input: `{"id":"wéb-1","n":12345678901234567}`}, {Name: "get_disk", Input: `{"id":"磁盘"}`}, {Name: "launch_rockets", Input: `{}`}}}))
			var began []string
			reply, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), func(e Event) {
				if e.Call != "" {
					began = append(began, e.Call)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			calls := reply.Message.Calls()
			if len(calls) != 3 || reply.Stop != StopTools || len(began) != 3 {
				t.Fatalf("calls %+v, stop %s, began %v", calls, reply.Stop, began)
			}
			ids := map[string]bool{}
			for _, c := range calls {
				ids[c.ID] = true
			}
			if len(ids) != 3 || calls[2].Name != "launch_rockets" {
				t.Errorf("calls %+v", calls)
			}
			if string(calls[0].Input) != `{"id":"wéb-1","n":12345678901234567}` && p != llmfake.Gemini || string(calls[1].Input) != `{"id":"磁盘"}` {
				t.Errorf("inputs %s and %s", calls[0].Input, calls[1].Input)
			}
		})
	}
}

func TestInputThatIsNoJSONIsHandedOnAsItIs(t *testing.T) {
	for _, p := range []llmfake.Protocol{llmfake.OpenAI, llmfake.Anthropic} {
		s := llmfake.Start(t, p, llmfake.Reply{Calls: []llmfake.Call{{Name: "get_host", Input: `{"id":`}}})
		reply, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
		if err != nil || string(reply.Message.Calls()[0].Input) != `{"id":` {
			t.Errorf("%s: %+v, %v", p, reply, err)
		}
	}
	s := llmfake.Start(t, llmfake.Gemini, llmfake.Reply{Calls: []llmfake.Call{{Name: "get_host", Input: `{"id":`}}})
	_, err := openWire(t, llmfake.Gemini, s.URL).Stream(t.Context(), wireRequest(), nil)
	if e := wantError(t, err, Protocol); e != nil && e.Code != "MALFORMED_FUNCTION_CALL" {
		t.Errorf("got %v", e)
	}
}

func TestEmptyInputIsAnEmptyObject(t *testing.T) {
	s := llmfake.Start(t, llmfake.OpenAI, llmfake.Reply{Calls: []llmfake.Call{{Name: "get_host"}}})
	reply, err := openWire(t, llmfake.OpenAI, s.URL).Stream(t.Context(), wireRequest(), nil)
	if err != nil || string(reply.Message.Calls()[0].Input) != "{}" {
		t.Errorf("got %+v, %v", reply, err)
	}
}

func wantError(t *testing.T, err error, class Class) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("want %s, got %v", class, err)
		return nil
	}
	if e.Class != class || e.Provider != "mine" {
		t.Errorf("want %s of mine, got %v", class, e)
	}
	if strings.Contains(e.Error(), wireKey) {
		t.Errorf("the key is in %q", e.Error())
	}
	return e
}

// TestEveryFaultHasItsClass goes through all that a provider can answer.
func TestEveryFaultHasItsClass(t *testing.T) {
	cases := []struct {
		name  string
		reply llmfake.Reply
		class Class
		check func(*Error) bool
	}{
		{"bad key", llmfake.Reply{Fault: llmfake.BadKey}, Auth, func(e *Error) bool { return e.Status == 401 || e.Code == "API_KEY_INVALID" }},
		{"forbidden", llmfake.Reply{Fault: llmfake.Forbidden}, Auth, nil},
		{"no credit", llmfake.Reply{Fault: llmfake.NoCredit}, Credit, nil},
		{"402", llmfake.Reply{Status: 402, Body: `{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}`}, Credit, nil},
		{"rate limit", llmfake.Reply{Fault: llmfake.RateLimited, RetryAfter: "37"}, RateLimit, func(e *Error) bool { return e.RetryAfter == 37*time.Second }},
		{"overloaded", llmfake.Reply{Fault: llmfake.Overloaded, RetryAfter: "9"}, Transient, func(e *Error) bool { return e.RetryAfter == 9*time.Second }},
		{"529", llmfake.Reply{Status: 529, Body: "overloaded"}, Transient, nil},
		{"500", llmfake.Reply{Fault: llmfake.Broken}, Transient, nil},
		{"502 in HTML", llmfake.Reply{Status: 502, Body: "<html>Bad gateway</html>"}, Transient, nil},
		{"too large", llmfake.Reply{Fault: llmfake.TooLarge}, ContextLength, nil},
		{"no model", llmfake.Reply{Fault: llmfake.NoModel}, Invalid, nil},
		{"bad request", llmfake.Reply{Fault: llmfake.BadRequest}, Invalid, nil},
		{"redirect", llmfake.Reply{Fault: llmfake.Redirected}, Invalid, nil},
		{"web page", llmfake.Reply{Fault: llmfake.WebPage}, Protocol, nil},
		{"error in the stream", llmfake.Reply{Text: "All is", Fault: llmfake.MidStream, Comments: true}, Transient, func(e *Error) bool { return e.Status == 0 }},
		{"malformed", llmfake.Reply{Text: "All is well.", Garbage: `{"this is`}, Protocol, nil},
		{"broken off", llmfake.Reply{Text: strings.Repeat("All is well. ", 20), CutAt: 700}, Transient, func(e *Error) bool { return e.Code == "cut_off" }},
		{"broken off at once", llmfake.Reply{Text: "All is well.", CutAt: 1}, Transient, nil},
		{"no end", llmfake.Reply{Text: "All is well.", NoEnd: true}, Transient, func(e *Error) bool { return e.Code == "cut_off" }},
		{"empty", llmfake.Reply{}, Protocol, func(e *Error) bool { return e.Code == "empty" }},
		{"blank", llmfake.Reply{Text: " \n"}, Protocol, nil},
		{"nothing at all", llmfake.Reply{Status: 200, Header: map[string]string{"Content-Type": "text/event-stream"}}, Transient, nil},
	}
	for _, p := range llmfake.Protocols {
		for _, c := range cases {
			t.Run(string(p)+"/"+c.name, func(t *testing.T) {
				s := llmfake.Start(t, p, c.reply)
				_, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
				if e := wantError(t, err, c.class); e != nil && c.check != nil && !c.check(e) {
					t.Errorf("got %+v", e)
				}
				if n := len(s.Requests()); n != 1 {
					t.Errorf("%d requests; one attempt is one request", n)
				}
			})
		}
	}
}

func TestRefusalsAreNoReplies(t *testing.T) {
	for _, p := range []llmfake.Protocol{llmfake.OpenAI, llmfake.Anthropic, llmfake.Gemini} {
		for name, reply := range map[string]llmfake.Reply{"words": {Refusal: "I cannot help with that."}, "filter": {Text: "Half of", Filtered: true}} {
			t.Run(string(p)+"/"+name, func(t *testing.T) {
				s := llmfake.Start(t, p, reply)
				got, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
				if wantError(t, err, Refusal); got.Tokens.Input == 0 {
					t.Errorf("a refusal is paid for: %+v", got)
				}
			})
		}
	}
}

func TestSilenceEndsAReply(t *testing.T) {
	for _, p := range llmfake.Protocols {
		t.Run(string(p), func(t *testing.T) {
			s := llmfake.Start(t, p, llmfake.Reply{Text: strings.Repeat("All is well. ", 20), SilentAt: 500})
			reply, err := openWire(t, p, s.URL, func(o *ProviderOptions) { o.IdleTimeout = 50 * time.Millisecond }).Stream(t.Context(), wireRequest(), nil)
			if e := wantError(t, err, Transient); e != nil && e.Code != "silent" {
				t.Errorf("got %+v", e)
			}
			if !reply.Estimated || reply.Tokens.Input == 0 || reply.ReplyBytes == 0 {
				t.Errorf("what was sent before counts: %+v", reply)
			}
		})
	}
}

func TestTimeoutEndsACall(t *testing.T) {
	for _, p := range llmfake.Protocols {
		s := llmfake.Start(t, p, llmfake.Reply{Text: strings.Repeat("All is well. ", 20), SilentAt: 500})
		_, err := openWire(t, p, s.URL, func(o *ProviderOptions) { o.Timeout = 50 * time.Millisecond }).Stream(t.Context(), wireRequest(), nil)
		if e := wantError(t, err, Transient); e != nil && e.Code != "timeout" {
			t.Errorf("%s: got %+v", p, e)
		}
	}
}

func TestCallerCanLeave(t *testing.T) {
	for _, p := range llmfake.Protocols {
		s := llmfake.Start(t, p, llmfake.Reply{Text: strings.Repeat("All is well. ", 20), SilentAt: 900})
		ctx, cancel := context.WithCancel(t.Context())
		_, err := openWire(t, p, s.URL).Stream(ctx, wireRequest(), func(Event) { cancel() })
		wantError(t, err, Cancelled)
		cancel()
	}
}

func TestUsageThatIsNotSaidIsEstimated(t *testing.T) {
	for _, p := range llmfake.Protocols {
		s := llmfake.Start(t, p, llmfake.Reply{Text: "The disk of web is full.", NoUsage: true})
		reply, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
		if err != nil || !reply.Estimated || reply.Tokens.Input < 20 || reply.Tokens.Output < 5 {
			t.Errorf("%s: %+v, %v", p, reply, err)
		}
	}
}

func TestCacheAndReasoningAreCounted(t *testing.T) {
	want := ops.Tokens{Input: 900, Cached: 600, CacheWrite: 100, Output: 50, Reasoning: 20}
	for _, p := range []llmfake.Protocol{llmfake.OpenAI, llmfake.Anthropic, llmfake.Gemini} {
		s := llmfake.Start(t, p, llmfake.Reply{Text: "Well.", Usage: llmfake.Usage{Input: 900, Cached: 600, CacheWrite: 100, Output: 50, Reasoning: 20}})
		reply, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
		if p != llmfake.Anthropic {
			want.CacheWrite = 0 // they have no word for it
		} else {
			want.CacheWrite = 100
		}
		if err != nil || reply.Tokens != want {
			t.Errorf("%s: %+v, %v", p, reply.Tokens, err)
		}
	}
}

func TestRepliesThatWereLongEnoughSayIt(t *testing.T) {
	for _, p := range llmfake.Protocols {
		s := llmfake.Start(t, p, llmfake.Reply{Text: "The disk", Length: true})
		reply, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
		if err != nil || reply.Stop != StopLength {
			t.Errorf("%s: %+v, %v", p, reply, err)
		}
	}
}

// TestTooLongPromptsNameTheWindow: three providers say it in a text alone;
// there the size of what was sent decides.
func TestTooLongPromptsNameTheWindow(t *testing.T) {
	for _, p := range llmfake.Protocols {
		t.Run(string(p), func(t *testing.T) {
			r := wireRequest()
			r.Messages = []Message{Say(User, strings.Repeat("The disk of web is full. ", 5000))}
			s := llmfake.Start(t, p, llmfake.Reply{Fault: llmfake.TooLong, Window: 32_768})
			window := int64(40_000)
			if p == llmfake.Ollama {
				window = 0
				s.Models[0].Window = 65_536
			}
			_, err := openWire(t, p, s.URL, func(o *ProviderOptions) { o.Window = window }).Stream(t.Context(), r, nil)
			if p == llmfake.Ollama {
				wantError(t, err, Invalid) // this size fits what the server says the model has
				return
			}
			if e := wantError(t, err, ContextLength); e != nil && e.Window != 32_768 {
				t.Errorf("window %d", e.Window)
			}
		})
	}
}

func TestPromptsAreNotJudgedByTheirErrorsText(t *testing.T) {
	s := llmfake.Start(t, llmfake.Anthropic, llmfake.Reply{Fault: llmfake.TooLong, Window: 200_000})
	_, err := openWire(t, llmfake.Anthropic, s.URL).Stream(t.Context(), wireRequest(), nil)
	wantError(t, err, Invalid)
}

func TestOllamaNeverCutsAPrompt(t *testing.T) {
	r := wireRequest()
	r.Messages = []Message{Say(User, strings.Repeat("The disk of web is full. ", 9000))}
	s := llmfake.Start(t, llmfake.Ollama)
	s.Models[0].Window = 32_768
	_, err := openWire(t, llmfake.Ollama, s.URL).Stream(t.Context(), r, nil)
	if e := wantError(t, err, ContextLength); e != nil && e.Window != 32_768 {
		t.Errorf("window %d", e.Window)
	}
	if len(s.Requests()) != 0 {
		t.Error("it was sent all the same")
	}
	s = llmfake.Start(t, llmfake.Ollama, llmfake.Reply{Text: "All is well.", Usage: llmfake.Usage{Input: 16_384, Output: 4}})
	_, err = openWire(t, llmfake.Ollama, s.URL).Stream(t.Context(), wireRequest(), nil)
	if e := wantError(t, err, ContextLength); e != nil && e.Code != "cut_prompt" {
		t.Errorf("got %+v", e)
	}
}

func TestOllamaContextOnlyGrows(t *testing.T) {
	s := llmfake.Serve(t, llmfake.Ollama, func(llmfake.Request) llmfake.Reply { return llmfake.Reply{Text: "Well."} })
	s.Models[0].Window = 131_072
	p := openWire(t, llmfake.Ollama, s.URL)
	for _, words := range []int{1, 4000, 1} {
		r := wireRequest()
		r.Messages = []Message{Say(User, strings.Repeat("The disk of web is full. ", words))}
		if _, err := p.Stream(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int64
	for _, asked := range s.Requests() {
		var q ollamaRequest
		if err := json.Unmarshal(asked.Body, &q); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, q.Options.NumCtx)
	}
	if diff := cmp.Diff([]int64{16_384, 32_768, 32_768}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestKeysDoNotFollowARedirect(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(other.Close)
	for _, p := range llmfake.Protocols {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := llmfake.Start(t, p, llmfake.Reply{Status: status, Header: map[string]string{"Location": other.URL}})
			_, err := openWire(t, p, s.URL).Stream(t.Context(), wireRequest(), nil)
			wantError(t, err, Invalid)
		}
	}
	if asked != 0 {
		t.Errorf("%d requests went elsewhere", asked)
	}
}

func TestRepliesAreBounded(t *testing.T) {
	for _, p := range llmfake.Protocols {
		s := llmfake.Start(t, p, llmfake.Reply{Text: strings.Repeat("All is well. ", 700_000), Split: 1_000_000})
		reply, err := openWire(t, p, s.URL, func(o *ProviderOptions) { o.Timeout, o.IdleTimeout = 0, 0 }).Stream(t.Context(), wireRequest(), nil)
		wantError(t, err, Protocol)
		if reply.ReplyBytes > maxReplyBytes {
			t.Errorf("%s: read %d bytes", p, reply.ReplyBytes)
		}
	}
}

func TestProvidersOutOfReachAreTransient(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, p := range llmfake.Protocols {
		url := strings.Replace(gone.URL, "http://", "http://user:hunter2secret@", 1)
		_, err := openWire(t, p, url).Stream(t.Context(), wireRequest(), nil)
		if e := wantError(t, err, Transient); e != nil && (e.Code != "unreachable" || strings.Contains(e.Error(), "hunter2secret")) {
			t.Errorf("got %v", e)
		}
	}
}

func TestNothingIsSentWithoutAKey(t *testing.T) {
	for _, name := range []string{"anthropic", "openai", "deepseek", "gemini"} {
		p, err := OpenProvider(name, ProviderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err := p.Stream(t.Context(), wireRequest(), nil); !errors.As(err, &e) || e.Class != Auth || e.Status != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongProvidersAreRefused(t *testing.T) {
	for _, o := range []ProviderOptions{{Type: "bard"}, {URL: "ftp://host"}, {URL: "host:11434"}, {URL: "http://"}, {ReplayDir: "/nowhere/at/all"}} {
		if _, err := OpenProvider("mine", o); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestModelsAreListed(t *testing.T) {
	for _, p := range llmfake.Protocols {
		s := llmfake.Start(t, p)
		all, err := openWire(t, p, s.URL).(Lister).List(t.Context())
		want := []Listing{{Name: "fake", Window: 32_768}}
		if p == llmfake.Ollama {
			want[0].Digest = "sha256:f00d"
		}
		if diff := cmp.Diff(want, all); err != nil || diff != "" {
			t.Errorf("%s: %v %s", p, err, diff)
		}
	}
}

func TestRetryAfterIsReadInEveryForm(t *testing.T) {
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		header map[string]string
		want   time.Duration
	}{
		{map[string]string{}, 0},
		{map[string]string{"Retry-After": "12"}, 12 * time.Second},
		{map[string]string{"Retry-After": "0.5"}, 500 * time.Millisecond},
		{map[string]string{"Retry-After": "-5"}, 0},
		{map[string]string{"Retry-After": "1e300"}, 24 * time.Hour},
		{map[string]string{"Retry-After": "Wed, 25 Nov 2026 10:00:30 GMT"}, 30 * time.Second},
		{map[string]string{"Retry-After": "soon"}, 0},
		{map[string]string{"Retry-After-Ms": "1500", "Retry-After": "2"}, 1500 * time.Millisecond},
		{map[string]string{"Anthropic-Ratelimit-Tokens-Remaining": "0", "Anthropic-Ratelimit-Tokens-Reset": "2026-11-25T10:01:00Z",
			"Anthropic-Ratelimit-Requests-Remaining": "9", "Anthropic-Ratelimit-Requests-Reset": "2026-11-25T11:00:00Z"}, time.Minute},
		{map[string]string{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s", "X-Ratelimit-Remaining-Requests": "5", "X-Ratelimit-Reset-Requests": "1h"}, 6 * time.Minute},
	} {
		h := http.Header{}
		for name, v := range c.header {
			h.Set(name, v)
		}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%d: got %s, want %s", i, got, c.want)
		}
	}
}

func TestCodesDecideBeforeTheStatus(t *testing.T) {
	w := &wire{name: "mine", key: wireKey}
	for _, c := range []struct {
		status int
		body   string
		class  Class
		window int64
	}{
		{400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}`, ContextLength, 8192},
		{400, `{"error":{"message":"m","type":"invalid_request_error","code":"billing_hard_limit_reached"}}`, Credit, 0},
		{400, `{"error":{"message":"filtered","type":null,"code":"content_filter"}}`, Refusal, 0},
		{403, `{"error":{"message":"no access","code":"model_not_found"}}`, Invalid, 0},
		{400, `{"error":{"message":"prompt is too long: context_length_exceeded rate_limit_error"}}`, Invalid, 0},
		{429, `[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}]`, RateLimit, 0},
		{418, "", Invalid, 0},
		{409, "conflict", Transient, 0},
	} {
		if e := w.judge(c.status, nil, []byte(c.body)); e.Class != c.class || e.Window != c.window {
			t.Errorf("%d %s: got %+v", c.status, c.body, e)
		}
	}
	if e := w.judge(401, nil, []byte(fmt.Sprintf(`{"error":{"message":"wrong key %s"}}`, wireKey))); strings.Contains(e.Error(), wireKey) {
		t.Errorf("the key is in %q", e.Error())
	}
}
