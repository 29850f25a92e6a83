package investigate

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/tool"
)

// Shown is what tools answered in one investigation. Lines of logs in it may
// be quoted: they were really read. Nothing else may, because tools also
// repeat what they were asked.
type shown struct {
	mu    sync.Mutex
	lines map[string][]evidence.Text // by resource ID
	all   []string                   // whole answers, for the numbers in them
}

// The bounds of what is remembered.
const (
	mostLines = 2_000
	mostShown = 256 << 10
)

// logTool is the tool whose answers hold log lines.
const logTool = "read_logs"

// A logLine begins with its time.
var logLine = regexp.MustCompile(`^\s*(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2}| UTC)?)\s+(\S.*)$`)

// add remembers the answer of a call; resolve answers the ID of the resource
// that the arguments name.
func (s *shown) add(name string, input json.RawMessage, r tool.Result, resolve func(ref string) string) {
	if r.Failed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(r.Text)
	for _, text := range s.all {
		size += len(text)
	}
	if size <= mostShown {
		s.all = append(s.all, r.Text)
	}
	if name != logTool {
		return
	}
	var in struct {
		Resource string `json:"resource"`
	}
	if json.Unmarshal(input, &in) != nil {
		return
	}
	id := resolve(in.Resource)
	for line := range strings.SplitSeq(r.Text, "\n") {
		m := logLine.FindStringSubmatch(line)
		if m == nil || len(s.lines[id]) >= mostLines {
			continue
		}
		if s.lines == nil {
			s.lines = map[string][]evidence.Text{}
		}
		s.lines[id] = append(s.lines[id], evidence.Text{Text: m[2], At: stampOf(m[1]), Where: "the log"})
	}
}

// stampOf reads the time of a log line; zero when it is none.
func stampOf(text string) time.Time {
	text = strings.TrimSuffix(strings.Replace(text, " ", "T", 1), " UTC")
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// texts adds the lines to what a source knows.
func (s *shown) texts(of func(context.Context, string) ([]evidence.Text, error)) func(context.Context, string) ([]evidence.Text, error) {
	return func(ctx context.Context, id string) ([]evidence.Text, error) {
		known, err := of(ctx, id)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.lines[id]) > 0 {
			return slices.Concat(known, s.lines[id]), nil
		}
		return known, err
	}
}

// known answers everything that was shown, as what free text may say.
func (s *shown) known() []evidence.Known {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]evidence.Known, len(s.all))
	for i, text := range s.all {
		all[i] = evidence.KnownText(text)
	}
	return all
}
