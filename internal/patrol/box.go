package patrol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"reeve/internal/evidence"
	"reeve/internal/tool"
	"reeve/internal/turn"
)

// A box is the tools of one run: it puts IDs in the place of the short names
// that the first message uses, and remembers what was answered.
type box struct {
	tools   tool.Toolbox
	aliases map[string]string
	shown   *turn.Shown

	mu     sync.Mutex
	calls  []recordedCall
	stored int // bytes of recorded outputs
}

// maxRecorded bounds the outputs that are kept for a replay.
const maxRecorded = 1 << 20

// A recordedCall is one call with what it answered.
type recordedCall struct {
	Tool   string `json:"tool"`
	Input  string `json:"input"` // its hash
	Output string `json:"output"`
	Failed bool   `json:"failed,omitempty"`
}

func (b *box) Specs() []tool.Spec { return b.tools.Specs() }

// Call makes a call with the short names put back.
func (b *box) Call(ctx context.Context, name string, input json.RawMessage) tool.Result {
	given := b.named(input)
	r := b.tools.Call(ctx, name, given)
	if !r.Failed {
		b.quotable(name, given, r.Text)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	call := recordedCall{Tool: name, Input: hashOf(input), Output: r.Text, Failed: r.Failed}
	if b.stored += len(r.Text); b.stored <= maxRecorded {
		b.calls = append(b.calls, call)
	}
	return r
}

// quotable remembers the lines of a log that were shown, so that they can be
// quoted.
func (b *box) quotable(name string, input json.RawMessage, text string) {
	if b.shown == nil || !strings.Contains(name, "log") {
		return
	}
	var in struct {
		Resource string `json:"resource"`
	}
	if json.Unmarshal(input, &in) != nil || in.Resource == "" {
		return
	}
	var lines []evidence.Text
	for line := range strings.Lines(text) {
		lines = append(lines, evidence.Text{Text: strings.TrimSpace(line), Where: "log"})
	}
	b.shown.Add(in.Resource, lines...)
}

// named puts IDs in the place of short names that are whole values.
func (b *box) named(input json.RawMessage) json.RawMessage {
	var value any
	d := json.NewDecoder(bytes.NewReader(input))
	d.UseNumber()
	if len(b.aliases) == 0 || d.Decode(&value) != nil {
		return input
	}
	out, err := json.Marshal(b.walk(value))
	if err != nil {
		return input
	}
	return out
}

func (b *box) walk(v any) any {
	switch v := v.(type) {
	case string:
		if id, ok := b.aliases[v]; ok {
			return id
		}
	case []any:
		for i := range v {
			v[i] = b.walk(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = b.walk(v[k])
		}
	}
	return v
}

// recorded answers the calls so far.
func (b *box) recorded() []recordedCall {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// hashOf answers a hash of a call's arguments that does not depend on how
// they are written.
func hashOf(input json.RawMessage) string {
	var value any
	if json.Unmarshal(input, &value) == nil {
		if text, err := json.Marshal(value); err == nil {
			input = text
		}
	}
	sum := sha256.Sum256(input)
	return hex.EncodeToString(sum[:8])
}

// only is a toolbox with one of its tools.
type only struct {
	tool.Toolbox
	name string
}

func (o only) Specs() []tool.Spec {
	return slices.DeleteFunc(slices.Clone(o.Toolbox.Specs()), func(s tool.Spec) bool { return s.Name != o.name })
}
