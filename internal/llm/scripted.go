package llm

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/ops"
)

// Scripted makes a provider of a function, for tests.
func Scripted(f func(Request) (Reply, error)) Provider { return function(f) }

type function func(Request) (Reply, error)

// Stream answers what the function does.
func (f function) Stream(ctx context.Context, r Request, see func(Event)) (Reply, error) {
	reply, err := f(r)
	if ctx.Err() != nil {
		return Reply{}, &Error{Class: Cancelled, Provider: "scripted", Err: ctx.Err()}
	}
	return finish(r, reply, see), err
}

// finish hands the parts of a ready reply on and fills in what it leaves out.
func finish(r Request, reply Reply, see func(Event)) Reply {
	for _, p := range reply.Message.Parts {
		switch {
		case see == nil:
		case p.Call != nil:
			see(Event{Call: p.Call.Name})
		case p.Text != "":
			see(Event{Text: p.Text})
		}
	}
	if len(reply.Message.Parts) == 0 {
		return reply
	}
	reply.Message.Role = Assistant
	if reply.Stop == "" {
		reply.Stop = StopEnd
		if len(reply.Message.Calls()) > 0 {
			reply.Stop = StopTools
		}
	}
	if reply.Tokens == (ops.Tokens{}) {
		reply.Estimated = true
		reply.Tokens.Input = EstimateRequest(r)
		for _, p := range reply.Message.Parts {
			reply.Tokens.Output += EstimatePart(p)
		}
	}
	if reply.Model == "" {
		reply.Model = r.Model
	}
	return reply
}

// Scripts is a provider whose models are scripts: files NAME.txt in a folder,
// for tests and demonstrations. docs/MODELS.md describes them.
type Scripts struct {
	name   string
	mu     sync.Mutex
	models map[string]script
}

type script struct {
	scenes []*scene
	digest string
}

// OpenScripts reads the scripts of a folder.
func OpenScripts(name, dir string) (*Scripts, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		return nil, ops.Errorf(ops.Invalid, "provider %s: there is no script NAME.txt in the folder %q; set models.providers.%s.scripts", name, dir, name)
	}
	s := &Scripts{name: name, models: map[string]script{}}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, ops.Because(ops.Invalid, err, "provider %s: the script %s cannot be read", name, path)
		}
		scenes, err := parseScript(string(text))
		if err != nil {
			return nil, ops.Errorf(ops.Invalid, "provider %s: %s: %v", name, path, err)
		}
		s.models[strings.TrimSuffix(filepath.Base(path), ".txt")] = script{scenes, fmt.Sprintf("sha256:%x", sha256.Sum256(text))}
	}
	return s, nil
}

// Stream gives the first reply of the model's script whose conditions hold.
func (s *Scripts) Stream(ctx context.Context, r Request, see func(Event)) (Reply, error) {
	sc, err := s.pick(r)
	if err != nil {
		return Reply{}, err
	}
	return sc.play(ctx, s.name, r, see)
}

func (s *Scripts) pick(r Request) (*scene, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.models[r.Model]
	if !ok {
		return nil, &Error{Class: Invalid, Provider: s.name, Status: 404, Code: "no_such_model", Message: "there is no script " + r.Model + ".txt"}
	}
	for _, sc := range found.scenes {
		if (sc.times == 0 || sc.given < sc.times) && sc.fits(r) {
			sc.given++
			return sc, nil
		}
	}
	return nil, &Error{Class: Invalid, Provider: s.name, Code: "no_reply", Message: "no reply of the script " + r.Model + ".txt fits this request"}
}

// A scene is one reply of a script with the conditions under which it is
// given.
type scene struct {
	conditions []condition
	times      int // 0 for ever
	given      int
	wait       time.Duration
	takes      []take
	parts      []line
	stop       Stop
	tokens     ops.Tokens
	model      string
	hang, cut  bool
	noise      int // bytes of all its garbage
	fail       *Error
}

// A condition is about the request.
type condition struct {
	not   bool
	what  string
	words string
	turn  int
}

// A take remembers the word that follows a text in the request, so that a
// script can speak of what it cannot know beforehand.
type take struct{ name, after string }

// A line is a part of a reply before what was taken is put in.
type line struct {
	kind, name, text string
	noise            int // bytes
}

func (sc *scene) fits(r Request) bool {
	for _, c := range sc.conditions {
		if c.holds(r) == c.not {
			return false
		}
	}
	return true
}

func (c condition) holds(r Request) bool {
	var last Message
	if n := len(r.Messages); n > 0 {
		last = r.Messages[n-1]
	}
	switch c.what {
	case "turn":
		turn := 1
		for _, m := range r.Messages {
			if m.Role == Assistant {
				turn++
			}
		}
		return turn == c.turn
	case "results":
		return slices.ContainsFunc(last.Parts, func(p Part) bool { return p.Result != nil })
	case "contains":
		return strings.Contains(allText(last), c.words)
	case "asked":
		return strings.Contains(wholeText(r), c.words)
	case "tool":
		return slices.ContainsFunc(r.Tools, func(t ToolSpec) bool { return t.Name == c.words })
	}
	return r.Schema != nil // schema
}

// allText answers the texts of a message with those of its results.
func allText(m Message) string {
	var all strings.Builder
	for _, p := range m.Parts {
		all.WriteString(p.Text + "\n")
		if p.Result != nil {
			all.WriteString(p.Result.Text + "\n")
		}
	}
	return all.String()
}

func wholeText(r Request) string {
	all := r.System + "\n"
	for _, m := range r.Messages {
		all += allText(m)
	}
	return all
}

// play gives the reply: delay, parts, then how it ends.
func (sc *scene) play(ctx context.Context, provider string, r Request, see func(Event)) (Reply, error) {
	cancelled := &Error{Class: Cancelled, Provider: provider, Message: "the call was cancelled"}
	if sc.wait > 0 && !pause(ctx, sc.wait) {
		return Reply{}, cancelled
	}
	if see == nil {
		see = func(Event) {}
	}
	put := sc.taken(r)
	reply := Reply{Message: Message{Role: Assistant}, Stop: sc.stop, Tokens: sc.tokens, Model: sc.model}
	for i, l := range sc.parts {
		text := put.Replace(l.text)
		switch l.kind {
		case "think":
			see(Event{Thinking: text})
			opaque, _ := json.Marshal(map[string]string{"thinking": text})
			reply.Message.Parts = append(reply.Message.Parts, Part{Opaque: opaque})
		case "call":
			call := ToolCall{ID: fmt.Sprintf("call_%d_%d", len(r.Messages), i), Name: l.name, Input: json.RawMessage(text)}
			reply.Message.Parts = append(reply.Message.Parts, Part{Call: &call})
		case "garbage":
			reply.Message.Parts = append(reply.Message.Parts, Part{Text: noise(l.noise)})
		default:
			reply.Message.Parts = append(reply.Message.Parts, Part{Text: text})
		}
	}
	reply = finish(r, reply, see)
	switch {
	case sc.hang:
		<-ctx.Done()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return Reply{}, &Error{Class: Transient, Provider: provider, Code: "timeout", Message: "it fell silent"}
		}
		return Reply{}, cancelled
	case sc.cut:
		return Reply{}, &Error{Class: Transient, Provider: provider, Code: "cut_off", Message: "the reply ends before its end"}
	case sc.fail != nil:
		e := *sc.fail
		e.Provider = provider
		return Reply{}, &e
	}
	return reply, nil
}

// taken answers what puts the words that were taken from the request into a
// text.
func (sc *scene) taken(r Request) *strings.Replacer {
	if len(sc.takes) == 0 {
		return strings.NewReplacer()
	}
	var pairs []string
	whole := wholeText(r)
	for _, t := range sc.takes {
		_, rest, _ := strings.Cut(whole, t.after)
		end := strings.IndexAny(rest, " \t\r\n\",;|()[]{}<>")
		if end < 0 {
			end = len(rest)
		}
		pairs = append(pairs, "${"+t.name+"}", rest[:end])
	}
	return strings.NewReplacer(pairs...)
}

// List names the scripts; their digests are of what they say.
func (s *Scripts) List(context.Context) ([]Listing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Listing
	for _, name := range slices.Sorted(maps.Keys(s.models)) {
		all = append(all, Listing{Name: name, Window: 128_000, Digest: s.models[name].digest})
	}
	return all, nil
}

// noise answers bytes without sense, the same ones every time.
func noise(n int) string {
	const letters = "{}[]\":,<|>\\\x01\u202e\ufffd\U0001f600azAZ09 \n"
	all := []rune(letters)
	var b strings.Builder
	for i, x := 0, uint32(1); i < n; i++ {
		x = x*1664525 + 1013904223
		b.WriteRune(all[int(x>>16)%len(all)])
	}
	return b.String()
}
