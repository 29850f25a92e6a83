package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/schema"
)

// Limits bound the calls of a Set; a zero field takes the default.
type Limits struct {
	Input  int           // bytes of the arguments of one call; default 16 KiB
	Output int           // bytes of one answer; default 6,000
	Time   time.Duration // of one call; default 20 s
	// Trouble hears of failures whose reason is not told to the model: errors
	// that no one classed, panics. It may be nil.
	Trouble func(tool string, err error)
}

func (l Limits) filled() Limits {
	if l.Input <= 0 {
		l.Input = 16 << 10
	}
	if l.Output <= 0 {
		l.Output = 6_000
	}
	if l.Time <= 0 {
		l.Time = 20 * time.Second
	}
	return l
}

// MoreTools is the name of the tool by which a model asks for tools that it
// was not offered from the first turn.
const MoreTools = "more_tools"

// A Set offers the tools of one profile to one conversation, and calls them.
// What is not offered cannot be called: list and call ask the same question.
type Set[Env any] struct {
	env     Env
	profile Profile
	limits  Limits
	more    Definition[*Set[Env]]
	mu      sync.Mutex
	all     []Definition[Env] // of the profile, sorted by name
	open    map[string]bool   // offered now
}

// NewSet makes the set of a profile out of a catalogue's definitions.
func NewSet[Env any](env Env, profile Profile, defs []Definition[Env], limits Limits) *Set[Env] {
	s := &Set[Env]{env: env, profile: profile, limits: limits.filled(), open: map[string]bool{}}
	for _, d := range defs {
		if d.For(profile) {
			s.all = append(s.all, d)
			s.open[d.Name] = d.CoreOf(profile)
		}
	}
	slices.SortFunc(s.all, func(a, b Definition[Env]) int { return strings.Compare(a.Name, b.Name) })
	var closed []string
	for _, d := range s.all {
		if !s.open[d.Name] {
			closed = append(closed, d.Name)
		}
	}
	if len(closed) > 0 {
		s.more = Define(Head{Name: MoreTools, Doc: "Adds tools: " + strings.Join(closed, ", ") + ".", Effect: Reads}, openMore[Env])
	}
	return s
}

// Specs answers the tools that are offered now: first what was offered from
// the beginning, then what was asked for, so that the beginning stays as it is.
func (s *Set[Env]) Specs() []Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	var core, asked []Spec
	for _, d := range s.all {
		spec := Spec{d.Name, d.Doc, d.Effect, d.Schema}
		switch {
		case d.CoreOf(s.profile):
			core = append(core, spec)
		case s.open[d.Name]:
			asked = append(asked, spec)
		}
	}
	if s.more.call != nil {
		core = append(core, Spec{s.more.Name, s.more.Doc, s.more.Effect, s.more.Schema})
	}
	return append(core, asked...)
}

// Call makes one call. It never panics and never answers an error: whatever
// was wrong is a failed result that tells the model.
func (s *Set[Env]) Call(ctx context.Context, name string, input json.RawMessage) Result {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Time)
	defer cancel()
	if name == MoreTools && s.more.call != nil {
		return call(ctx, s.limits, s.more, s, input)
	}
	d, ok := s.offered(name)
	if !ok {
		return failed("%s", s.unknown(name))
	}
	return call(ctx, s.limits, d, s.env, input)
}

func (s *Set[Env]) offered(name string) (Definition[Env], bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.all {
		if d.Name == name && s.open[name] {
			return d, true
		}
	}
	return Definition[Env]{}, false
}

func (s *Set[Env]) unknown(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, len(s.all))
	for i, d := range s.all {
		if d.Name == name {
			return fmt.Sprintf("%s is not open: ask for it with %s first", name, MoreTools)
		}
		names[i] = d.Name
	}
	text := fmt.Sprintf("there is no tool %q", redact.Line(name, 64))
	if near := nearest(name, names); len(near) > 0 {
		return text + "; near names: " + strings.Join(near, ", ")
	}
	return text + "; there are: " + strings.Join(names, ", ")
}

// call is the door: check, run, clean, bound.
func call[Env any](ctx context.Context, l Limits, d Definition[Env], env Env, input json.RawMessage) (r Result) {
	if len(input) > l.Input {
		return failed("the arguments have %d bytes; at most %d are taken", len(input), l.Input)
	}
	checked, wrong := check(d.Schema, input)
	if wrong != "" {
		return failed("%s: %s", d.Name, wrong)
	}
	trouble := func(err error) {
		if l.Trouble != nil {
			l.Trouble(d.Name, err)
		}
	}
	defer func() {
		if v := recover(); v != nil {
			trouble(fmt.Errorf("panic: %v", v))
			r = failed("%s failed inside; go on without it", d.Name)
		}
	}()
	text, err := d.call(ctx, env, checked)
	if err != nil {
		return failed("%s: %s", d.Name, told(ctx, err, trouble))
	}
	return bound(clean(text), l.Output)
}

// told answers what a model may know of an error.
func told(ctx context.Context, err error, trouble func(error)) string {
	if message, fields := ops.Shown(err); message != "" {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			message += "; " + name + ": " + fields[name]
		}
		return redact.Line(message, 1_000)
	}
	trouble(err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "took too long; ask for less"
	}
	return "could not be read; go on without it"
}

// check answers the arguments as they were checked: what runs is what was
// looked at. Null stands for what is left out.
func check(s *schema.Schema, input json.RawMessage) (checked json.RawMessage, wrong string) {
	var value any
	if len(input) == 0 {
		input = json.RawMessage(`{}`)
	}
	if err := json.Unmarshal(input, &value); err != nil {
		return nil, "the arguments are no JSON; give one object"
	}
	if value == nil {
		value = map[string]any{}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, "the arguments must be one JSON object"
	}
	dropNulls(s, object)
	if bad := schema.Check(s, object); len(bad) > 0 {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(bad)) {
			all = append(all, redact.Line(name, 80)+" "+bad[name])
		}
		return nil, redact.Line(strings.Join(all, "; "), 1_000)
	}
	checked, err := json.Marshal(object)
	if err != nil {
		return nil, "the arguments cannot be read"
	}
	return checked, ""
}

func dropNulls(s *schema.Schema, object map[string]any) {
	for name, v := range object {
		p := s.Properties[name]
		if p == nil {
			continue
		}
		switch v := v.(type) {
		case nil:
			if !slices.Contains(s.Required, name) {
				delete(object, name)
			}
		case map[string]any:
			dropNulls(p, v)
		case []any:
			for _, x := range v {
				if o, ok := x.(map[string]any); ok && p.Items != nil {
					dropNulls(p.Items, o)
				}
			}
		}
	}
}

// clean masks secrets and takes out what is no text: control characters but
// the end of a line, and characters that turn the direction of writing.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return redact.Text(text)
}

// bound cuts an answer at the end of a line where there is one near, and says
// so.
func bound(text string, limit int) Result {
	if len(text) <= limit {
		return Result{Text: text}
	}
	const note = "\n[cut: %d of %d bytes shown; ask for less with limit, or for the rest with cursor]"
	shown := redact.Cut(text, max(0, limit-len(note)-16))
	if at := strings.LastIndexByte(shown, '\n'); at > len(shown)/2 {
		shown = shown[:at]
	}
	return Result{Text: shown + fmt.Sprintf(note, len(shown), len(text)), Cut: true}
}

func failed(format string, args ...any) Result {
	return Result{Text: fmt.Sprintf(format, args...), Failed: true}
}
