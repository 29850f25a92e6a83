package llm

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/schema"
)

func scripts(t *testing.T) *Scripts {
	t.Helper()
	s, err := OpenScripts("scripted", "testdata/scripts")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScriptFollowsTheConversation(t *testing.T) {
	s := scripts(t)
	req := Request{Model: "demo", Tools: []ToolSpec{{Name: "read_series"}}, Messages: []Message{Say(User, "what of resource res_1, please?")}}
	var seen []Event
	first, err := s.Stream(t.Context(), req, func(e Event) { seen = append(seen, e) })
	if err != nil || first.Stop != StopTools || string(first.Message.Calls()[0].Input) != `{"resource": "res_1", "metric": "memory_used_ratio"}` || first.Tokens.Input != 900 {
		t.Fatalf("%+v %v", first, err)
	}
	if len(seen) != 3 || seen[0].Thinking == "" || seen[1].Text != "I look at the memory of res_1." || seen[2].Call != "read_series" {
		t.Errorf("%+v", seen)
	}
	req.Messages = append(req.Messages, first.Message, Message{Role: User, Parts: []Part{{Result: &ToolResult{Text: "0.9"}}}})
	second, err := s.Stream(t.Context(), req, nil)
	if err != nil || second.Message.Text() != "It rises.\n  Since noon.\nAnd will be full." {
		t.Errorf("%q %v", second.Message.Text(), err)
	}
}

func TestScriptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripts(t)
		say := func(text string) Request { return Request{Model: "demo", Messages: []Message{Say(User, text)}} }
		if r, err := s.Stream(t.Context(), Request{Model: "demo", Schema: schema.Of[color]()}, nil); err != nil || r.Message.Text() != `{"known": true}` {
			t.Errorf("%v", err)
		}
		_, err := s.Stream(t.Context(), say("x"), nil)
		if e, ok := err.(*Error); !ok || e.Class != RateLimit || e.RetryAfter != 2*time.Second || e.Message != "slow down" {
			t.Errorf("%v", err)
		}
		if _, err := s.Stream(t.Context(), say("x"), nil); classOf(err) != Invalid {
			t.Errorf("a reply that is given once: %v", err)
		}
		if r, err := s.Stream(t.Context(), say("broken"), nil); err != nil || r.Stop != StopLength || len(r.Message.Text()) < 100 {
			t.Errorf("%v", err)
		}
		if _, err := s.Stream(t.Context(), say("cut"), nil); classOf(err) != Transient {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Stream(ctx, say("hangs"), nil); classOf(err) != Transient {
			t.Errorf("%v", err)
		}
		if _, err := s.Stream(t.Context(), Request{Model: "other"}, nil); classOf(err) != Invalid {
			t.Errorf("%v", err)
		}
	})
}

func TestScriptMistakesAreNamedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "it holds no reply",
		"say x":                "line 1: \"say\" stands before the first reply",
		"reply\nsay x\nsays y": "line 3: \"says\" is no word of a script",
		"reply\nif turn 0":     "line 2: write a number from 1 to 1048576",
		"reply\nif not mood":   "line 2: there is no condition \"mood\"",
		"reply\nsay <<END\nx":  "line 2: there is no line \"END\"",
		"reply\nfail budget":   "line 2: there is no class of failures \"budget\"",
		"reply\ngarbage 8000000\ngarbage 8000000": "line 3: that is more than",
	} {
		if _, err := parseScript(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := OpenScripts("scripted", t.TempDir()); err == nil {
		t.Error("an empty folder is a provider")
	}
}

func FuzzScript(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		scenes, err := parseScript(text)
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, sc := range scenes[:min(len(scenes), 5)] {
			req := Request{Messages: []Message{Say(User, text)}}
			if sc.fits(req) && sc.noise < 1000 {
				sc.play(ctx, "scripted", req, nil)
			}
		}
	})
}
