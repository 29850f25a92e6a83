package llm

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/schema"
	"reeve/test/llmfake"
)

// wireBench is a router whose first model is behind a fake server and whose
// second always answers.
func wireBench(t *testing.T, p llmfake.Protocol, answer func(llmfake.Request) llmfake.Reply) (*bench, *llmfake.Server) {
	t.Helper()
	s := llmfake.Serve(t, p, answer)
	first, err := OpenProvider("first", ProviderOptions{Type: string(p), URL: s.URL, Key: "k", Window: 4000, Timeout: 5 * time.Second, IdleTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, []string{"first:fake", "second:x"}, map[string]func(Request) (Reply, error){"second:x": says("here")}, func(o *Options) { o.Providers["first"] = first })
	return b, s
}

// TestEveryFaultOnTheWireFallsBack: whatever a provider does, the next model
// answers, and the attempt says why it was asked.
func TestEveryFaultOnTheWireFallsBack(t *testing.T) {
	faults := map[Class][]llmfake.Reply{
		Auth:          {{Fault: llmfake.BadKey}},
		RateLimit:     {{Fault: llmfake.RateLimited, RetryAfter: "600"}},
		ContextLength: {{Fault: llmfake.TooLong, Window: 1000}},
		Invalid:       {{Fault: llmfake.NoModel}},
		Transient:     {{Fault: llmfake.Overloaded}, {Fault: llmfake.Broken}, {Text: "half of it and", CutAt: 200}, {Text: "half of it and", SilentAt: 200}},
		Protocol:      {{Fault: llmfake.WebPage}},
	}
	for _, p := range llmfake.Protocols {
		for class, replies := range faults {
			for _, reply := range replies {
				b, _ := wireBench(t, p, func(llmfake.Request) llmfake.Reply { return reply })
				a, err := ask(b, strings.Repeat("word ", 3000))
				if err != nil || a.Model != "second:x" || len(a.Attempts) != 2 || a.Attempts[0].Outcome != string(class) {
					t.Errorf("%s %s %q: %s, %v", p, class, reply.Fault, b.outcomes(), err)
				}
			}
		}
	}
}

func TestUnfitReplyIsRepairedOverEveryWire(t *testing.T) {
	for _, p := range llmfake.Protocols {
		var n atomic.Int32
		b, s := wireBench(t, p, func(llmfake.Request) llmfake.Reply {
			if n.Add(1) == 1 {
				return llmfake.Reply{Text: `{"name": "blue"}`}
			}
			return llmfake.Reply{Text: `{"name": "green"}`, Usage: llmfake.Usage{Input: 77, Output: 7}}
		})
		a, err := b.Ask(t.Context(), Job{Use: ops.UseChat}, Request{Messages: []Message{Say(User, "hello")}, Schema: schema.Of[color](), MaxOutput: 100}, nil)
		if err != nil || a.Model != "first:fake" || string(a.JSON) != `{"name": "green"}` || a.Attempts[1].Tokens.Input != 77 {
			t.Fatalf("%s: %s %v", p, a.JSON, err)
		}
		if last := s.Requests()[1].Last(); !strings.Contains(last.Text, "must be one of red, green") {
			t.Errorf("%s: %+v", p, last)
		}
	}
}

func TestAnotherDigestMakesTheExamOutdated(t *testing.T) {
	b, s := wireBench(t, llmfake.Ollama, func(llmfake.Request) llmfake.Reply { return llmfake.Reply{Text: "ready"} })
	s.Models = []llmfake.Model{{Name: "fake", Window: 8192, Digest: "sha256:one"}}
	exam, err := b.Examine(t.Context(), "first:fake", func(ExamTask) {})
	if err != nil || exam.Identity != "digest sha256:one" || b.WindowOf("first:fake") != 8192 {
		t.Fatalf("%q %d %v", exam.Identity, b.WindowOf("first:fake"), err)
	}
	b.exams["first:fake"] = exam
	b.Look(t.Context(), []string{"first"})
	if all := b.Outdated(); len(all) != 0 {
		t.Errorf("outdated: %v", all)
	}
	s.Models[0].Digest = "sha256:two"
	b.Look(t.Context(), []string{"first", "second", "none"})
	if all := b.Outdated(); len(all) != 1 || !b.Status("first:fake").Outdated {
		t.Errorf("outdated: %v", all)
	}
}
