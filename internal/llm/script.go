package llm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxScriptBytes = 1 << 20
	maxNoise       = 8 << 20
	maxScenes      = 1000
)

// parseScript reads a script. Its lines are:
//
//	reply                   begins a reply; the first that fits is given
//	if [not] turn N         how many times the model speaks with this one
//	if [not] results        the last message holds results of tools
//	if [not] contains TEXT  the last message does
//	if [not] asked TEXT     the whole request does
//	if [not] tool NAME      is offered
//	if [not] schema         a structured reply is wanted
//	times N                 it is given that often and no more
//	take NAME after "TEXT"  ${NAME} is the word that follows TEXT
//	wait DURATION
//	think TEXT
//	say TEXT                ("say <<END" reads on to a line END)
//	call NAME JSON          (what is no JSON is sent as it is)
//	garbage BYTES
//	tokens INPUT OUTPUT
//	as MODEL                what the provider says answered
//	stop length
//	hang                    and no end
//	cut                     the connection breaks
//	fail CLASS [status N] [after DURATION] [window N] [TEXT]
//
// Empty lines and lines that begin with # mean nothing.
func parseScript(text string) ([]*scene, error) {
	if len(text) > maxScriptBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxScriptBytes)
	}
	p := &scriptParser{lines: strings.Split(text, "\n")}
	for p.at < len(p.lines) {
		n := p.at + 1
		if err := p.step(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(p.scenes) == 0 {
		return nil, fmt.Errorf("it holds no reply")
	}
	return p.scenes, nil
}

type scriptParser struct {
	lines  []string
	at     int
	scenes []*scene
}

func (p *scriptParser) step() error {
	text := strings.TrimSpace(p.lines[p.at])
	p.at++
	if text == "" || strings.HasPrefix(text, "#") {
		return nil
	}
	word, rest := cutWord(text)
	if word == "reply" && rest == "" {
		if len(p.scenes) >= maxScenes {
			return fmt.Errorf("it holds more than %d replies", maxScenes)
		}
		p.scenes = append(p.scenes, &scene{})
		return nil
	}
	if len(p.scenes) == 0 {
		return fmt.Errorf("%q stands before the first reply", word)
	}
	read, ok := directives[word]
	if !ok {
		return fmt.Errorf("%q is no word of a script", word)
	}
	if end, ok := strings.CutPrefix(rest, "<<"); ok && word == "say" && end != "" {
		var err error
		if rest, err = p.until(end); err != nil {
			return err
		}
	}
	return read(p.scenes[len(p.scenes)-1], rest)
}

// until reads the lines up to one that is the mark.
func (p *scriptParser) until(mark string) (string, error) {
	for from := p.at; p.at < len(p.lines); {
		p.at++
		if strings.TrimSpace(p.lines[p.at-1]) == mark {
			return strings.Join(p.lines[from:p.at-1], "\n"), nil
		}
	}
	return "", fmt.Errorf("there is no line %q to end the text", mark)
}

var directives = map[string]func(*scene, string) error{
	"if":    (*scene).readCondition,
	"times": func(s *scene, text string) (err error) { s.times, err = number(text, 1, 1<<20); return err },
	"take": func(s *scene, text string) error {
		name, quoted, _ := strings.Cut(text, " after ")
		after, err := strconv.Unquote(strings.TrimSpace(quoted))
		if err != nil || name == "" || after == "" || strings.ContainsAny(name, " ${}") {
			return fmt.Errorf("write: take NAME after \"TEXT\"")
		}
		s.takes = append(s.takes, take{name, after})
		return nil
	},
	"wait": func(s *scene, text string) (err error) { s.wait, err = wait(text); return err },
	"think": func(s *scene, text string) error {
		s.parts = append(s.parts, line{kind: "think", text: text})
		return nil
	},
	"say": func(s *scene, text string) error {
		if n := len(s.parts); n > 0 && s.parts[n-1].kind == "say" {
			s.parts[n-1].text += "\n" + text
			return nil
		}
		s.parts = append(s.parts, line{kind: "say", text: text})
		return nil
	},
	"call": func(s *scene, text string) error {
		name, input := cutWord(text)
		if name == "" {
			return fmt.Errorf("write: call NAME JSON")
		}
		s.parts = append(s.parts, line{kind: "call", name: name, text: input})
		return nil
	},
	"garbage": func(s *scene, text string) error {
		n, err := number(text, 1, maxNoise)
		if s.noise += n; err == nil && s.noise > maxNoise {
			return fmt.Errorf("that is more than %d bytes together", maxNoise)
		}
		s.parts = append(s.parts, line{kind: "garbage", noise: n})
		return err
	},
	"tokens": func(s *scene, text string) error {
		in, out, _ := strings.Cut(text, " ")
		i, err := number(in, 0, 1<<30)
		if err != nil {
			return err
		}
		o, err := number(strings.TrimSpace(out), 0, 1<<30)
		s.tokens.Input, s.tokens.Output = int64(i), int64(o)
		return err
	},
	"as": func(s *scene, text string) error { s.model = text; return nil },
	"stop": func(s *scene, text string) error {
		if text != string(StopLength) {
			return fmt.Errorf("write: stop length")
		}
		s.stop = StopLength
		return nil
	},
	"hang": func(s *scene, _ string) error { s.hang = true; return nil },
	"cut":  func(s *scene, _ string) error { s.cut = true; return nil },
	"fail": (*scene).readFailure,
}

func (sc *scene) readCondition(text string) error {
	c := condition{}
	c.what, c.words = cutWord(text)
	if c.what == "not" {
		c.not = true
		c.what, c.words = cutWord(c.words)
	}
	switch c.what {
	case "turn":
		n, err := number(c.words, 1, 1<<20)
		if err != nil {
			return err
		}
		c.turn = n
	case "contains", "asked", "tool":
		if c.words == "" {
			return fmt.Errorf("%s needs a text", c.what)
		}
	case "results", "schema":
	default:
		return fmt.Errorf("there is no condition %q", c.what)
	}
	sc.conditions = append(sc.conditions, c)
	return nil
}

var failClasses = []Class{Auth, Credit, RateLimit, ContextLength, Transient, Refusal, Protocol, Invalid}

func (sc *scene) readFailure(text string) error {
	class, rest := cutWord(text)
	if !slices.Contains(failClasses, Class(class)) {
		return fmt.Errorf("there is no class of failures %q", class)
	}
	e := &Error{Class: Class(class), Code: "scripted"}
	for {
		word, more := cutWord(rest)
		value, after := cutWord(more)
		var n int
		var err error
		switch word {
		case "status":
			e.Status, err = number(value, 100, 599)
		case "after":
			e.RetryAfter, err = wait(value)
		case "window":
			n, err = number(value, 1, 1<<30)
			e.Window = int64(n)
		default:
			e.Message, sc.fail = rest, e
			return nil
		}
		if err != nil {
			return err
		}
		rest = after
	}
}

func cutWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	at := strings.IndexAny(text, " \t")
	if at < 0 {
		return text, ""
	}
	return text[:at], strings.TrimSpace(text[at:])
}

func number(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("write a number from %d to %d, not %q", least, most, text)
	}
	return n, nil
}

func wait(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > time.Hour {
		return 0, fmt.Errorf("write a time up to 1h, like 200ms, not %q", text)
	}
	return d, nil
}
