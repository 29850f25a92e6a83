package tool_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/ops"
	"reeve/internal/tool"
)

// env counts what reached a tool.
type env struct{ made map[string]int }

type input struct {
	Word  string    `json:"word"`
	Mood  string    `json:"mood,omitempty" enum:"good,bad"`
	Count int64     `json:"count,omitempty"`
	At    time.Time `json:"at,omitzero"`
	Inner *inner    `json:"inner,omitempty"`
	List  []inner   `json:"list,omitempty"`
}

type inner struct {
	Value *float64 `json:"value,omitempty"`
	Name  string   `json:"name"`
}

type answer struct {
	Word string `json:"word"`
	URL  string `json:"url,omitempty"`
}

func define(name string, core bool, profiles ...tool.Profile) tool.Definition[*env] {
	h := tool.Head{Name: name, Doc: "Does " + strings.ReplaceAll(name, "_", " ") + ".", Effect: tool.Reads, Profiles: profiles}
	if core {
		h.Core = profiles
	}
	return tool.Define(h, func(ctx context.Context, e *env, in input) (any, error) {
		e.made[name]++
		switch in.Word {
		case "panic":
			panic("secret reason")
		case "wait":
			<-ctx.Done()
			return nil, ctx.Err()
		case "internal":
			return nil, errors.New("dial tcp 10.0.0.1: password=hunter2")
		case "classed":
			return nil, ops.Errorf(ops.NotFound, "there is no %s", "such thing")
		case "struct":
			return answer{Word: "a<b", URL: "x&y"}, nil
		}
		return in.Word, nil
	})
}

func set(profile tool.Profile, limits tool.Limits) (*tool.Set[*env], *env) {
	e := &env{made: map[string]int{}}
	return tool.NewSet(e, profile, []tool.Definition[*env]{
		define("read_thing", true, tool.Patrol, tool.Assistant), define("list_storage", false, tool.Patrol), define("list_disks", false, tool.Patrol),
		define("conclude", true, tool.Investigation),
	}, limits), e
}

func names(s tool.Toolbox) string {
	var all []string
	for _, x := range s.Specs() {
		all = append(all, x.Name)
	}
	return strings.Join(all, " ")
}

func TestOnlyWhatIsOfferedCanBeCalled(t *testing.T) {
	for _, profile := range []tool.Profile{tool.Patrol, tool.Investigation, tool.Assistant, "nobody"} {
		s, e := set(profile, tool.Limits{})
		check := func() {
			t.Helper()
			offered := map[string]bool{}
			for _, x := range s.Specs() {
				offered[x.Name] = true
			}
			for _, name := range []string{"read_thing", "list_storage", "list_disks", "conclude"} {
				before := e.made[name]
				r := s.Call(t.Context(), name, json.RawMessage(`{"word":"a"}`))
				if made := e.made[name] > before; made != offered[name] || r.Failed == offered[name] {
					t.Errorf("%s: %s is offered: %v, was called: %v, failed: %v", profile, name, offered[name], made, r.Failed)
				}
			}
		}
		check()
		s.Call(t.Context(), tool.MoreTools, json.RawMessage(`{"names":["list_storage","conclude","nothing"]}`))
		check()
	}
}

func TestMoreToolsAddsThoseOfTheProfile(t *testing.T) {
	s, _ := set(tool.Patrol, tool.Limits{})
	if got := names(s); got != "read_thing more_tools" {
		t.Fatalf("at first %q", got)
	}
	for _, x := range []struct{ in, want, offered string }{
		{`{}`, "say which", "read_thing more_tools"},
		{`{"names":["conclude"]}`, "no tool fits", "read_thing more_tools"},
		{`{"topic":"storage"}`, "list_storage: Does list storage.", "read_thing more_tools list_storage"},
		{`{"names":["list_disks","sudo"]}`, `unknown: "sudo"`, "read_thing more_tools list_disks list_storage"},
	} {
		if r := s.Call(t.Context(), tool.MoreTools, json.RawMessage(x.in)); !strings.Contains(r.Text, x.want) || names(s) != x.offered {
			t.Errorf("%s: %q, offered %q", x.in, r.Text, names(s))
		}
	}
	if s, _ := set(tool.Investigation, tool.Limits{}); names(s) != "conclude" || !s.Call(t.Context(), tool.MoreTools, json.RawMessage(`{"topic":"disks"}`)).Failed {
		t.Error("more tools where there are none")
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	s, e := set(tool.Patrol, tool.Limits{Input: 500})
	for in, want := range map[string]string{
		`{"word":"a"}`:                                    "",
		`{"word":"a","mood":null,"inner":null}`:           "",
		`{"word":"a","inner":{"name":"x","value":null}}`:  "",
		`{"word":"a","list":[{"name":"x","value":null}]}`: "",
		`{"word":"a","at":"2026-01-02T03:04:05Z"}`:        "",
		``:                              "word is missing",
		`null`:                          "word is missing",
		`{}`:                            "word is missing",
		`{"word":null}`:                 "word must be string",
		`{"word":7}`:                    "word must be string, not integer",
		`{"Word":"a"}`:                  "Word is not a field; the fields are at, count, inner, list, mood, word",
		`{"word":"a","mood":"sad"}`:     "mood must be one of good, bad",
		`{"word":"a","count":"3"}`:      "count must be integer",
		`{"word":"a","count":1.5}`:      "count must be integer",
		`{"word":"a","count":1e300}`:    "count",
		`{"word":"a","at":"yesterday"}`: "RFC 3339",
		`{"word":"a","inner":{}}`:       "inner.name is missing",
		`{"word":"a","list":[{"name":"x","x":1}]}`: "list[0].x is not a field",
		`[]`:                        "one JSON object",
		`"x"`:                       "one JSON object",
		`{"word":"a"} {"word":"b"}`: "no JSON",
		`{"word":`:                  "no JSON",
		`{"word":"` + strings.Repeat("x", 600) + `"}`: "at most 500",
	} {
		before := e.made["read_thing"]
		r := s.Call(t.Context(), "read_thing", json.RawMessage(in))
		if r.Failed != (want != "") || !strings.Contains(r.Text, want) || (e.made["read_thing"] > before) != (want == "") && !strings.Contains(want, "RFC") {
			t.Errorf("%.60s: failed %v, %q; want %q", in, r.Failed, r.Text, want)
		}
	}
}

func TestUnknownToolIsToldNearNames(t *testing.T) {
	s, _ := set(tool.Patrol, tool.Limits{})
	for name, want := range map[string]string{
		"read_things": "near names: read_thing", "list_disk": "near names: list_disks", "run_shell_command": "there are: list_disks",
		"list_disks": "ask for it with more_tools", strings.Repeat("x", 1<<20): "there are:", "conclude": "there is no tool",
	} {
		if r := s.Call(t.Context(), name, nil); !r.Failed || !strings.Contains(r.Text, want) || len(r.Text) > 400 {
			t.Errorf("%.40s: %.300q", name, r.Text)
		}
	}
}

func TestWhatGoesWrongInsideStaysInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		s, _ := set(tool.Patrol, tool.Limits{Time: time.Second, Trouble: func(name string, err error) { heard = append(heard, name+" "+err.Error()) }})
		for word, want := range map[string]string{"panic": "failed inside", "wait": "took too long", "internal": "could not be read", "classed": "there is no such thing"} {
			r := s.Call(t.Context(), "read_thing", json.RawMessage(`{"word":"`+word+`"}`))
			if !r.Failed || !strings.Contains(r.Text, want) || strings.Contains(r.Text, "secret") || strings.Contains(r.Text, "10.0.0.1") {
				t.Errorf("%s: %q", word, r.Text)
			}
		}
		if len(heard) != 3 {
			t.Errorf("the log heard %q", heard)
		}
	})
}

func TestAnswersAreCleanedAndBounded(t *testing.T) {
	s, _ := set(tool.Patrol, tool.Limits{Output: 200, Input: 1 << 20})
	call := func(word string) tool.Result {
		in, err := json.Marshal(map[string]string{"word": word})
		if err != nil {
			t.Fatal(err)
		}
		return s.Call(t.Context(), "read_thing", in)
	}
	if r := call("struct"); r.Text != `{"word":"a<b","url":"x&y"}` {
		t.Errorf("a struct is answered as %s", r.Text)
	}
	if r := call("token=abcdef123456 \x1b[31m\u202Ered\nnext"); r.Text != "token=[redacted]  [31m red\nnext" {
		t.Errorf("%q", r.Text)
	}
	long := strings.Repeat("a line of words\n", 100)
	if r := call(long); !r.Cut || len(r.Text) > 200 || !strings.Contains(r.Text, "of 1600 bytes shown; ask for less with limit, or for the rest with cursor]") || !strings.HasPrefix(r.Text, "a line of words\n") {
		t.Errorf("%d bytes: %q", len(r.Text), r.Text)
	}
	if r := call(strings.Repeat("ü", 500)); len(r.Text) > 200 || !r.Cut || strings.Contains(r.Text, "\uFFFD") {
		t.Errorf("%q", r.Text)
	}
}

// FuzzCall feeds arguments of any kind: never a panic, never an answer beyond
// the limit.
func FuzzCall(f *testing.F) {
	for _, in := range []string{`{"word":"a"}`, `{"word":"a","list":[{"name":null,"value":1e999}]}`, `[[[[`, "{\"word\":\"\xff\x00\"}", `{"word":"a","word":7}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s, _ := set(tool.Patrol, tool.Limits{Time: time.Millisecond, Output: 300})
		if r := s.Call(context.Background(), "read_thing", in); len(r.Text) > 1_200 || r.Text == "" && !strings.Contains(string(in), `"word"`) {
			t.Errorf("%q answers %q", in, r.Text)
		}
	})
}

func TestSpecsStayInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, _ := set(tool.Patrol, tool.Limits{})
		first := names(s)
		for range rapid.IntRange(0, 4).Draw(rt, "times") {
			in, err := json.Marshal(map[string]any{"names": rapid.SliceOf(rapid.SampledFrom([]string{"list_storage", "list_disks", "read_thing", "x"})).Draw(rt, "names")})
			if err != nil {
				rt.Fatal(err)
			}
			s.Call(t.Context(), tool.MoreTools, in)
			if !strings.HasPrefix(names(s), first) {
				rt.Fatalf("the beginning %q became %q: a cache of it is lost", first, names(s))
			}
		}
	})
}
