package turn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
)

// What is taken of one reply.
const (
	maxText  = 32 << 10 // bytes of text
	maxInput = 16 << 10 // bytes of one call's arguments
	maxCalls = 16       // calls of one reply
	maxSame  = 3        // times that the same call is made
	maxKept  = 4 << 10  // bytes of arguments in the record
	atOnce   = 4        // reading calls made at one time
)

// received makes a reply safe to keep and to send back: bounded, with calls
// that have IDs of their own and arguments that are JSON.
func (l *leading) received(m llm.Message) llm.Message {
	safe := llm.Message{Role: llm.Assistant}
	room, calls := maxText, 0
	for _, p := range m.Parts {
		p.Result = nil
		if len(p.Text) > room {
			p.Text, p.Opaque = redact.Cut(p.Text, room), nil
		}
		room -= len(p.Text)
		p.Text = l.job.Veil.Show(strings.ToValidUTF8(p.Text, "\uFFFD"))
		if p.Call != nil {
			if calls++; calls > maxCalls {
				continue
			}
			c := l.receivedCall(*p.Call)
			if c.ID != p.Call.ID {
				p.Opaque = nil
			}
			p.Call = &c
		}
		if p.Text != "" || p.Call != nil || len(p.Opaque) > 0 {
			safe.Parts = append(safe.Parts, p)
		}
	}
	return safe
}

func (l *leading) receivedCall(c llm.ToolCall) llm.ToolCall {
	if c.ID == "" || len(c.ID) > 128 || l.ids[c.ID] {
		c.ID = fmt.Sprintf("call_%d", len(l.ids)+1)
	}
	l.ids[c.ID] = true
	c.Name = redact.Line(c.Name, 64)
	if len(c.Input) == 0 {
		c.Input = json.RawMessage(`{}`)
	}
	c.Input = l.job.Veil.showJSON(c.Input)
	return c
}

// A made is a call with what became of it.
type made struct {
	call   llm.ToolCall
	reads  bool
	refuse string // why it is not made at all
	result tool.Result
	took   time.Duration
}

// answer makes the calls of the last reply and takes the results into the
// transcript: reading ones side by side, others one after the other.
func (l *leading) answer(ctx context.Context) {
	effects := map[string]tool.Effect{}
	for _, s := range l.job.Tools.Specs() {
		effects[s.Name] = s.Effect
	}
	all := make([]made, len(l.pending))
	for i, c := range l.pending {
		all[i] = made{call: c, reads: effects[c.Name] == tool.Reads && c.Name != tool.MoreTools, refuse: l.objection(c)}
	}
	for from := 0; from < len(all); {
		to := from + 1
		for all[from].reads && to < len(all) && to-from < atOnce && all[to].reads {
			to++
		}
		l.makeCalls(ctx, all[from:to])
		from = to
	}
	l.record(all)
}

// objection says why a call is not made, "" when it is.
func (l *leading) objection(c llm.ToolCall) string {
	key := c.Name + " " + string(c.Input)
	l.calls[key]++
	switch {
	case len(c.Input) > maxInput:
		return fmt.Sprintf("the arguments have %d bytes; at most %d are taken", len(c.Input), maxInput)
	case !json.Valid(c.Input):
		return "the arguments are no JSON; give one object"
	case l.calls[key] > maxSame:
		return "this very call was made before; its answer stands above. Do something else"
	case l.made >= l.job.Limits.Calls:
		return "no more calls: the limit is reached"
	}
	l.made++
	return ""
}

func (l *leading) makeCalls(ctx context.Context, batch []made) {
	for i := range batch {
		l.see(Event{Kind: SeeCall, Call: &batch[i].call})
	}
	var wait sync.WaitGroup
	for i := range batch {
		m := &batch[i]
		if m.refuse != "" {
			m.result = tool.Result{Text: m.refuse, Failed: true}
			continue
		}
		wait.Go(func() {
			began := time.Now()
			m.result = l.job.Tools.Call(ctx, m.call.Name, m.call.Input)
			m.took = took(began)
		})
	}
	wait.Wait()
	for i := range batch {
		l.see(Event{Kind: SeeResult, Call: &batch[i].call, Result: &batch[i].result, Took: batch[i].took})
	}
}

func (l *leading) refuseAll(why string) {
	all := make([]made, len(l.pending))
	for i, c := range l.pending {
		all[i] = made{call: c, refuse: why, result: tool.Result{Text: why, Failed: true}}
		l.see(Event{Kind: SeeCall, Call: &all[i].call})
		l.see(Event{Kind: SeeResult, Call: &all[i].call, Result: &all[i].result})
	}
	l.record(all)
}

// record keeps calls and results. Arguments that cannot be sent again are
// replaced in the transcript, and kept as text in the record.
func (l *leading) record(all []made) {
	results := llm.Message{Role: llm.User}
	for _, m := range all {
		sum := sha256.Sum256([]byte(m.result.Text))
		kept := ops.RunToolCall{Tool: m.call.Name, Input: keptInput(m.call.Input), OutputHash: hex.EncodeToString(sum[:]),
			OutputBytes: int64(len(m.result.Text)), TookUS: m.took.Microseconds()}
		if m.result.Failed {
			kept.Err = redact.Line(m.result.Text, 300)
		}
		l.r.Calls = append(l.r.Calls, kept)
		results.Parts = append(results.Parts, llm.Part{Result: &llm.ToolResult{CallID: m.call.ID, Name: m.call.Name, Text: m.result.Text, Failed: m.result.Failed}})
	}
	reply := &l.messages[len(l.messages)-1]
	for i, p := range reply.Parts {
		if p.Call != nil && (len(p.Call.Input) > maxInput || !json.Valid(p.Call.Input)) {
			c := *p.Call
			c.Input = json.RawMessage(`{}`)
			reply.Parts[i].Call, reply.Parts[i].Opaque = &c, nil
		}
	}
	l.add(results)
}

// keptInput answers arguments as valid, bounded and redacted JSON.
func keptInput(input json.RawMessage) json.RawMessage {
	if len(input) <= maxKept && json.Valid(input) {
		if clean := redact.Text(string(input)); json.Valid([]byte(clean)) {
			return json.RawMessage(clean)
		}
	}
	text, err := json.Marshal(redact.Line(string(input), maxKept/2))
	if err != nil {
		return json.RawMessage(`"unreadable"`)
	}
	return text
}
