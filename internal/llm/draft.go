package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/tokens"
)

// A draft is a reply while it arrives.
type draft struct {
	w     *wire
	owner string // provider:model
	see   func(Event)
	parts []Part
	text  strings.Builder // of the part that is being written
	size  int64           // estimated tokens of thinking
	stop  Stop
	ended bool // the provider said that this is all

	model  string
	tokens ops.Tokens
	told   bool // the provider said what it took
}

func (w *wire) draft(r Request, see func(Event)) *draft {
	if see == nil {
		see = func(Event) {}
	}
	return &draft{w: w, owner: w.name + ":" + r.Model, see: see, stop: StopEnd}
}

func (d *draft) say(text string) {
	if text != "" {
		d.text.WriteString(text)
		d.see(Event{Text: text})
	}
}

func (d *draft) think(text string) {
	if text != "" {
		d.size += tokens.Estimate(text)
		d.see(Event{Thinking: text})
	}
}

// flush ends the text that is being written.
func (d *draft) flush() {
	if d.text.Len() > 0 {
		d.parts = append(d.parts, Part{Text: d.text.String()})
		d.text.Reset()
	}
}

func (d *draft) add(p Part) {
	d.flush()
	d.parts = append(d.parts, p)
}

// keep adds a part that only the provider understands.
func (d *draft) keep(opaque any) {
	if b, err := encode(opaque); err == nil {
		d.add(Part{Opaque: b, Owner: d.owner})
	}
}

// madeID marks the calls that a provider gave no ID.
const madeID = "reeve_"

// call adds a tool call. No input is an empty object.
func (d *draft) call(r Request, id, name, input string) *Part {
	if id == "" {
		id = fmt.Sprintf("%s%d_%d", madeID, len(r.Messages), len(d.parts))
	}
	if strings.TrimSpace(input) == "" {
		input = "{}"
	}
	d.add(Part{Call: &ToolCall{ID: id, Name: name, Input: json.RawMessage(input)}})
	d.stop = StopTools
	return &d.parts[len(d.parts)-1]
}

// finish makes the reply of a call. On an error the reply still says what it
// took: a reply that broke off is paid for.
func (w *wire) finish(d *draft, r Request, ex *exchange, err error) (Reply, error) {
	d.flush()
	reply := Reply{Message: Message{Role: Assistant, Parts: d.parts}, Stop: d.stop, Tokens: d.tokens, Model: d.model,
		RequestBytes: ex.sent.Load(), ReplyBytes: ex.received.Load()}
	if reply.Model == "" {
		reply.Model = r.Model
	}
	if err == nil || d.ended && lost(err) {
		err = w.wanting(d, reply)
	}
	began := ex.status/100 == 2 && ex.failure == nil
	if began && (!d.told || d.tokens.Input == 0) {
		reply.Estimated = true
		if reply.Tokens.Input == 0 {
			reply.Tokens.Input = EstimateRequest(r)
		}
		reply.Tokens.Output = max(d.tokens.Output, estimateMessage(reply.Message)+d.size)
	}
	if err != nil {
		return reply, w.tooLong(err, EstimateRequest(r))
	}
	return reply, nil
}

// lost reports an error of the connection after which nothing was missing.
func lost(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == Transient && (e.Code == "cut_off" || e.Code == "silent")
}

// wanting answers what is wrong with a reply that arrived.
func (w *wire) wanting(d *draft, reply Reply) error {
	if !d.ended {
		return &Error{Class: Transient, Provider: w.name, Code: "cut_off", Message: "the reply ends before its end", Err: errCutOff}
	}
	if reply.Stop != StopLength && strings.TrimSpace(reply.Message.Text()) == "" && len(reply.Message.Calls()) == 0 {
		return &Error{Class: Protocol, Provider: w.name, Code: "empty", Message: "the reply is empty"}
	}
	return nil
}

// malformed is the error of a message that is not what the protocol says.
func malformed(err error) error {
	return &Error{Class: Protocol, Code: "malformed", Message: "a part of the reply is not what the protocol says", Err: fmt.Errorf("%w: %w", errMalformed, err)}
}

// refusal is the error of a model that declines.
func refusal(code, text string) error {
	return &Error{Class: Refusal, Code: code, Message: text}
}

// count takes a number of tokens as a provider says it.
func count[N int | int32 | int64](n N) int64 { return max(int64(n), 0) }

func estimateMessage(m Message) int64 {
	var n int64
	for _, p := range m.Parts {
		n += EstimatePart(p)
	}
	return n
}

// asText asks in words for a structured reply where the provider cannot be
// told otherwise.
func asText(r Request) string {
	b, err := encode(r.Schema)
	if err != nil {
		return r.System
	}
	return strings.TrimSpace(r.System + "\n\nAnswer with one JSON object and nothing else. It must fit this JSON Schema:\n" + string(b))
}

// object answers a call's input as the object that some protocols want; what
// is none becomes an empty one.
func object(input json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(input, &fields) != nil || fields == nil {
		return json.RawMessage("{}")
	}
	return input
}
