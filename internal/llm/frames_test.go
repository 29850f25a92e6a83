package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func frames(t *testing.T, read func(io.Reader, func([]byte) error) error, text string) []string {
	t.Helper()
	var all []string
	if err := read(iotest.OneByteReader(strings.NewReader(text)), func(b []byte) error { all = append(all, string(b)); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEventsAreReadWhateverIsBetween(t *testing.T) {
	for text, want := range map[string][]string{
		"data: a\n\ndata:b\n\n":                       {"a", "b"},
		"event: x\r\ndata: a\r\n\r\n":                 {"a"},
		": comment\n\n:\ndata: a\nid: 4\n\n":          {"a"},
		"data: {\"a\":\ndata: 1}\n\n":                 {"{\"a\":\n1}"},
		"data: a\n":                                   {"a"},
		"data: a\n\ndata: cut":                        {"a"},
		"data: a\n\nda":                               {"a"},
		"\n\n\n":                                      nil,
		"data\n\nevent: error\nretry: 5\n\ndata: b\n": {"b"},
	} {
		if diff := cmp.Diff(want, frames(t, readEvents, text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestLinesAreReadUntilTheLastEnd(t *testing.T) {
	if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`}, frames(t, readLines, "{\"a\":1}\n\n \r\n{\"b\":2}\r\n{\"c\":")); diff != "" {
		t.Error(diff)
	}
}

func TestLongLinesAreRefused(t *testing.T) {
	for _, read := range []func(io.Reader, func([]byte) error) error{readEvents, readLines} {
		err := read(strings.NewReader("data: "+strings.Repeat("a", maxFrameBytes+1)), func([]byte) error { return nil })
		if !errors.Is(err, errTooLong) {
			t.Errorf("got %v", err)
		}
	}
}

// stream reads bytes as the reply of a provider.
func stream(kind string, data []byte) (Reply, error) {
	w := &wire{name: "mine", kind: kind, window: 1000}
	r := Request{Model: "fake", Messages: []Message{Say(User, "How is web?")}}
	d := w.draft(r, nil)
	each, read := func([]byte) error { return nil }, readEvents
	done := func() {}
	switch kind {
	case "anthropic":
		a := &anthropicReader{draft: d, r: r}
		each, done = a.event, a.close
	case "openai":
		o := &openaiReader{draft: d}
		each, done = o.chunk, func() { o.close(r) }
	case "gemini":
		each = (&geminiReader{draft: d, r: r}).chunk
	case "ollama":
		each, read = (&ollamaReader{draft: d, r: r, size: 1000}).line, readLines
	}
	err := read(bytes.NewReader(data), each)
	done()
	ex := &exchange{status: http.StatusOK}
	if err != nil {
		err = w.failed(context.Background(), ex, err)
	}
	return w.finish(d, r, ex, err)
}

// FuzzReplies: whatever a provider sends, the reply has its form or the error
// its class.
func FuzzReplies(f *testing.F) {
	f.Add("ollama", []byte(`{"model":"m","message":{"role":"assistant","content":"hi"},"done":true}`+"\n"))
	f.Add("openai", []byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":5,\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"{\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"))
	f.Add("anthropic", []byte("data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"x\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n"))
	f.Add("gemini", []byte("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\",\"thoughtSignature\":\"x\"}]},\"finishReason\":\"STOP\"}]}\n\n"))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		reply, err := stream(kind, data)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Class == "" || e.Provider != "mine") {
			t.Fatalf("no class: %v", err)
		}
		if err == nil && strings.TrimSpace(reply.Message.Text()) == "" && len(reply.Message.Calls()) == 0 && reply.Stop != StopLength {
			t.Fatalf("empty: %+v", reply)
		}
		if n := reply.Tokens; n.Input < 0 || n.Output < 0 || n.Cached < 0 || n.Reasoning < 0 || n.CacheWrite < 0 {
			t.Fatalf("tokens %+v", n)
		}
		for _, p := range reply.Message.Parts {
			if p.Opaque != nil && (!json.Valid(p.Opaque) || p.Owner != "mine:fake") {
				t.Fatalf("part %+v", p)
			}
		}
	})
}

// FuzzRecording: a file that was changed is an error or a recording.
func FuzzRecording(f *testing.F) {
	f.Add([]byte(`{"method":"POST","path":"/v1","status":200,"reply":["data: {}\n","\n"]}`))
	f.Add([]byte(`{"status":9}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := readRecording(data)
		if err == nil && (r.Status < 100 || r.Status > 599 || len(r.key()) != 16) {
			t.Fatalf("got %+v", r)
		}
		for line := range strings.Lines(string(data)) {
			scrubLine(line)
		}
	})
}

// FuzzComplaint: whatever an error says, it gets a class, and no other number
// than a window.
func FuzzComplaint(f *testing.F) {
	f.Add(429, []byte(`{"error":{"type":"insufficient_quota","code":null}}`))
	f.Add(400, []byte(`[{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID","retryDelay":"-3s"}]}}]`))
	f.Add(400, []byte(`{"error":{"code":"context_length_exceeded","message":"maximum context length is 128,000 tokens, 99999999999999999999"}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := (&wire{name: "mine"}).judge(status, http.Header{}, body)
		if e.Class == "" || e.Window < 0 || e.RetryAfter < 0 || e.RetryAfter > longestWait || len(e.Message) > 400 {
			t.Fatalf("got %+v", e)
		}
	})
}
