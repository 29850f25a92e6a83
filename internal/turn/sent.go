package turn

import (
	"crypto/sha256"
	"fmt"
	"regexp"

	"reeve/internal/llm"
	"reeve/internal/redact"
)

// Old results are those of more than this many turns ago; of long ones only
// the beginning is sent again when the input would not fit.
const (
	freshTurns = 2
	longResult = 300
	keptResult = 200
)

var tag = regexp.MustCompile(`(?i)<(/?)(data)`)

// Fence puts text from the estate between tags that it cannot close: data, no
// instructions.
func Fence(source, text string) string {
	return fmt.Sprintf("<data source=%q>\n%s\n</data>", source, tag.ReplaceAllString(text, "&lt;$1$2"))
}

// sent answers a message as it goes to the model: results fenced, old ones
// shortened when they must be, names hidden.
func (l *leading) sent(m message) llm.Message {
	out := llm.Message{Role: m.Role, Parts: make([]llm.Part, len(m.Parts))}
	for i, p := range m.Parts {
		p.Text = l.job.Veil.Hide(p.Text)
		if p.Call != nil {
			c := *p.Call
			c.Input = l.job.Veil.hideJSON(c.Input)
			p.Call = &c
		}
		if p.Result != nil {
			r := *p.Result
			if l.compact && l.r.Turns-m.turn >= freshTurns && len(r.Text) > longResult {
				sum := sha256.Sum256([]byte(r.Text))
				r.Text = fmt.Sprintf("%s [shortened: %d bytes, sha256 %x]", redact.Cut(r.Text, keptResult), len(r.Text), sum[:4])
			}
			r.Text = Fence("tool", l.job.Veil.Hide(r.Text))
			p.Result = &r
		}
		out.Parts[i] = p
	}
	return out
}

// whole answers messages in which every call has its result and every result
// its call: providers refuse others.
func whole(all []message) []message {
	called, answered := map[string]bool{}, map[string]bool{}
	for _, m := range all {
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				called[p.Call.ID] = true
			case p.Result != nil && called[p.Result.CallID]:
				answered[p.Result.CallID] = true
			}
		}
	}
	var kept []message
	for _, m := range all {
		k := message{llm.Message{Role: m.Role}, m.turn}
		for _, p := range m.Parts {
			if p.Call != nil && !answered[p.Call.ID] || p.Result != nil && !answered[p.Result.CallID] {
				continue
			}
			k.Parts = append(k.Parts, p)
		}
		if len(k.Parts) > 0 {
			kept = append(kept, k)
		}
	}
	return kept
}
