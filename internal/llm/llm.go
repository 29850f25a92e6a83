// Package llm speaks to language models: providers behind one small
// interface, a router that tries them in order, what each attempt took and
// cost, ceilings that hold whatever the price, and an exam that says what a
// model may be trusted with.
//
// Everything that a model answers is hostile until it is checked; nothing here
// gives it any power.
package llm

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"reeve/internal/ops"
	"reeve/internal/schema"
)

// A Provider is one way to reach models. Stream sends one request, hands the
// parts of the reply to see as they arrive (see may be nil), and answers the
// whole. Every error is an *Error. It makes one attempt: retries and fallback
// are the router's.
type Provider interface {
	Stream(ctx context.Context, r Request, see func(Event)) (Reply, error)
}

// A Request is one prompt. What is constant comes first: system, tools, then
// messages in order, so that providers can cache the beginning.
type Request struct {
	Model     string // without the provider
	System    string
	Tools     []ToolSpec
	Messages  []Message
	Choice    ToolChoice
	Schema    *schema.Schema // of a structured reply; nil for free text
	MaxOutput int64          // tokens
	// CacheMessages is how many of the first messages are constant over the
	// requests of a run, for providers that cache what they are told to.
	CacheMessages int
}

// A ToolSpec is a tool as a model sees it.
type ToolSpec struct {
	Name   string
	Doc    string
	Schema *schema.Schema
}

// A ToolChoice says whether the model may, must or must not call a tool.
type ToolChoice string

// The tool choices; the zero value is ToolAuto.
const (
	ToolAuto     ToolChoice = ""
	ToolNone     ToolChoice = "none"
	ToolRequired ToolChoice = "required"
)

// A Role says who speaks.
type Role string

// The roles. Results of tools are in messages of the role user.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// A Message is what one side says: parts in order.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`
}

// A Part is one of text, call, result. Opaque is the provider's own form of
// the part (thinking and its signature, thought signatures): it is kept and
// sent back untouched to the same provider, and left out for another.
type Part struct {
	Text   string          `json:"text,omitempty"`
	Call   *ToolCall       `json:"call,omitempty"`
	Result *ToolResult     `json:"result,omitempty"`
	Opaque json.RawMessage `json:"opaque,omitempty"`
	Owner  string          `json:"owner,omitempty"` // provider:model that Opaque belongs to
}

// A ToolCall is a model's wish to call a tool. Input is as the model wrote it
// and may be no JSON.
type ToolCall struct {
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

// A ToolResult answers a call.
type ToolResult struct {
	CallID string `json:"call_id"`
	Name   string `json:"name"`
	Text   string `json:"text"`
	Failed bool   `json:"failed,omitempty"`
}

// Say makes a message of text.
func Say(role Role, text string) Message { return Message{Role: role, Parts: []Part{{Text: text}}} }

// Text answers all text of a message.
func (m Message) Text() string {
	var all string
	for _, p := range m.Parts {
		all += p.Text
	}
	return all
}

// Calls answers the tool calls of a message.
func (m Message) Calls() []ToolCall {
	var all []ToolCall
	for _, p := range m.Parts {
		if p.Call != nil {
			all = append(all, *p.Call)
		}
	}
	return all
}

// A Stop says why a reply ended.
type Stop string

// The stops.
const (
	StopEnd    Stop = "end"
	StopTools  Stop = "tools"
	StopLength Stop = "length"
)

// A Reply is a whole answer.
type Reply struct {
	Message   Message
	Stop      Stop
	Tokens    ops.Tokens
	Estimated bool   // the provider did not say what it took
	Model     string // as the provider names what answered
	// RequestBytes and ReplyBytes are what went over the wire.
	RequestBytes, ReplyBytes int64
}

// An Event is a part of a reply as it arrives; one field is set.
type Event struct {
	Text     string
	Thinking string
	Call     string // name of a tool whose call begins
	Model    string // provider:model that begins to answer: what was seen of others is void
}

// A Class says what can be done about a failure.
type Class string

// The classes.
const (
	Auth          Class = "auth"           // a wrong or missing key: a person must act
	Credit        Class = "credit"         // no money there: a person must act
	RateLimit     Class = "rate_limit"     // later: RetryAfter
	ContextLength Class = "context_length" // too long: Window
	Transient     Class = "transient"      // overloaded, unreachable, silent, cut off
	Refusal       Class = "refusal"        // the model declines
	Protocol      Class = "protocol"       // the answer is not what the protocol says
	Invalid       Class = "invalid"        // the request is wrong, or there is no such model
	Cancelled     Class = ops.CallCancelled
	Budget        Class = "budget" // one of our own ceilings; nothing was sent
)

// An Error is a failed attempt. Classes come from status codes and the
// providers' error types, never from their texts.
type Error struct {
	Class      Class
	Provider   string
	Status     int           // of HTTP; 0 when there was none
	Code       string        // the provider's error type
	RetryAfter time.Duration // of RateLimit and Transient, 0 when not said
	Window     int64         // of ContextLength: the real window in tokens, 0 when not said
	Message    string        // short, without secrets
	Err        error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Provider, e.Class)
	if e.Status != 0 {
		text += fmt.Sprintf(" (%d %s)", e.Status, e.Code)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }
