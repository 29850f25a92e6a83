package llm

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/param"
)

// anthropicProvider speaks the Messages API. The SDK gives the words of the
// protocol; sending and reading is the wire's, as for all providers, so that
// time limits, sizes, errors and recordings are the same for all of them.
type anthropicProvider struct{ w *wire }

func newAnthropic(w *wire) Provider {
	w.base = strings.TrimSuffix(w.base, "/v1")
	return anthropicProvider{w}
}

func (p anthropicProvider) header() map[string]string {
	return map[string]string{"x-api-key": p.w.key, "anthropic-version": "2023-06-01"}
}

func (p anthropicProvider) Stream(ctx context.Context, r Request, see func(Event)) (Reply, error) {
	d := p.w.draft(r, see)
	a := anthropicReader{draft: d, r: r}
	ex, err := p.w.do(ctx, call{method: http.MethodPost, path: "/v1/messages", header: p.header(), body: p.request(r),
		form: "text/event-stream", read: readEvents, each: a.event})
	a.close()
	return p.w.finish(d, r, ex, err)
}

func (p anthropicProvider) request(r Request) anthropic.MessageNewParams {
	params := anthropic.MessageNewParams{Model: r.Model, MaxTokens: r.MaxOutput}
	params.SetExtraFields(map[string]any{"stream": true})
	if params.MaxTokens <= 0 {
		params.MaxTokens = defaultMaxOutput
	}
	system := r.System
	if r.Schema != nil {
		if form, ok := strictSchema(r.Schema); ok && !formless(r.Model) {
			params.OutputConfig.Format = param.Override[anthropic.JSONOutputFormatParam](map[string]any{"type": "json_schema", "schema": form})
		} else {
			system = asText(r)
		}
	}
	if system != "" {
		params.System = []anthropic.TextBlockParam{{Text: system, CacheControl: anthropic.NewCacheControlEphemeralParam()}}
	}
	for i, t := range r.Tools {
		tool := &anthropic.ToolParam{Name: t.Name, Description: anthropic.String(t.Doc), InputSchema: param.Override[anthropic.ToolInputSchemaParam](formOf(t.Schema))}
		if i == len(r.Tools)-1 {
			tool.CacheControl = anthropic.NewCacheControlEphemeralParam()
		}
		params.Tools = append(params.Tools, anthropic.ToolUnionParam{OfTool: tool})
	}
	switch {
	case len(r.Tools) == 0:
	case r.Choice == ToolNone:
		params.ToolChoice.OfNone = &anthropic.ToolChoiceNoneParam{}
	case r.Choice == ToolRequired:
		params.ToolChoice.OfAny = &anthropic.ToolChoiceAnyParam{}
	}
	for i, m := range r.Messages {
		blocks := p.blocks(r, m)
		if len(blocks) == 0 {
			continue
		}
		if i == r.CacheMessages-1 {
			if mark := blocks[len(blocks)-1].GetCacheControl(); mark != nil {
				*mark = anthropic.NewCacheControlEphemeralParam()
			}
		}
		params.Messages = append(params.Messages, anthropic.MessageParam{Role: anthropic.MessageParamRole(m.Role), Content: blocks})
	}
	return params
}

// formless reports models from before structured replies.
func formless(model string) bool {
	for _, old := range []string{"claude-2", "claude-3", "claude-instant", "claude-sonnet-4-0", "claude-sonnet-4-2025", "claude-opus-4-0", "claude-opus-4-2025"} {
		if strings.HasPrefix(model, old) {
			return true
		}
	}
	return false
}

// blocks writes a message. Results of tools come first, as the protocol wants.
func (p anthropicProvider) blocks(r Request, m Message) []anthropic.ContentBlockParamUnion {
	var results, rest []anthropic.ContentBlockParamUnion
	for _, part := range m.Parts {
		switch {
		case part.Opaque != nil:
			if block, ok := p.own(r, part); ok {
				rest = append(rest, block)
			}
		case part.Call != nil:
			rest = append(rest, anthropic.NewToolUseBlock(plainID(part.Call.ID), object(part.Call.Input), part.Call.Name))
		case part.Result != nil:
			results = append(results, anthropic.NewToolResultBlock(plainID(part.Result.CallID), part.Result.Text, part.Result.Failed))
		case strings.TrimSpace(part.Text) != "":
			rest = append(rest, anthropic.NewTextBlock(part.Text))
		}
	}
	return append(results, rest...)
}

// own answers thinking as it came.
func (p anthropicProvider) own(r Request, part Part) (block anthropic.ContentBlockParamUnion, ok bool) {
	if part.Owner != p.w.name+":"+r.Model {
		return block, false
	}
	var b struct{ Type, Thinking, Signature, Data string }
	if json.Unmarshal(part.Opaque, &b) != nil {
		return block, false
	}
	switch b.Type {
	case "thinking":
		return anthropic.NewThinkingBlock(b.Signature, b.Thinking), true
	case "redacted_thinking":
		return anthropic.NewRedactedThinkingBlock(b.Data), true
	}
	return block, false
}

// plainID answers an ID in the signs that the protocol allows; those of other
// providers may have more.
func plainID(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, id)
}

// anthropicReader puts the events of a stream together.
type anthropicReader struct {
	*draft
	r      Request
	blocks []anthropicBlock
}

type anthropicBlock struct {
	Type, ID, Name, Text, Thinking, Signature, Data string

	input  strings.Builder
	closed bool
}

func (a *anthropicReader) event(data []byte) error {
	var e anthropic.MessageStreamEventUnion
	if err := json.Unmarshal(data, &e); err != nil {
		return malformed(err)
	}
	switch e.Type {
	case "message_start":
		a.model = string(e.Message.Model)
		a.usage(anthropic.MessageDeltaUsage{InputTokens: e.Message.Usage.InputTokens, OutputTokens: e.Message.Usage.OutputTokens,
			CacheReadInputTokens: e.Message.Usage.CacheReadInputTokens, CacheCreationInputTokens: e.Message.Usage.CacheCreationInputTokens})
	case "content_block_start":
		return a.start(e)
	case "content_block_delta":
		return a.delta(e)
	case "content_block_stop":
		if e.Index >= 0 && e.Index < int64(len(a.blocks)) {
			a.end(&a.blocks[e.Index])
		}
	case "message_delta":
		a.usage(e.Usage)
		a.told = e.Usage.OutputTokens > 0 && a.tokens.Input > 0
		return a.stopped(e)
	case "message_stop":
		a.ended = true
		return errDone
	case "error":
		return a.w.judge(http.StatusOK, nil, data)
	}
	return nil
}

func (a *anthropicReader) start(e anthropic.MessageStreamEventUnion) error {
	b := e.ContentBlock
	if e.Index != int64(len(a.blocks)) {
		return malformed(errMalformed)
	}
	a.blocks = append(a.blocks, anthropicBlock{Type: b.Type, ID: b.ID, Name: b.Name, Thinking: b.Thinking, Signature: b.Signature, Data: b.Data})
	if b.Type == "tool_use" {
		a.see(Event{Call: b.Name})
	}
	a.say(b.Text)
	a.think(b.Thinking)
	return nil
}

func (a *anthropicReader) delta(e anthropic.MessageStreamEventUnion) error {
	if e.Index < 0 || e.Index >= int64(len(a.blocks)) {
		return malformed(errMalformed)
	}
	b := &a.blocks[e.Index]
	switch e.Delta.Type {
	case "text_delta":
		a.say(e.Delta.Text)
	case "thinking_delta":
		b.Thinking += e.Delta.Thinking
		a.think(e.Delta.Thinking)
	case "signature_delta":
		b.Signature += e.Delta.Signature
	case "input_json_delta":
		b.input.WriteString(e.Delta.PartialJSON)
	}
	return nil
}

// end turns a block into a part, once.
func (a *anthropicReader) end(b *anthropicBlock) {
	if b.closed {
		return
	}
	b.closed = true
	switch b.Type {
	case "tool_use":
		a.call(a.r, b.ID, b.Name, b.input.String())
	case "thinking":
		a.keep(map[string]string{"type": b.Type, "thinking": b.Thinking, "signature": b.Signature})
	case "redacted_thinking":
		a.keep(map[string]string{"type": b.Type, "data": b.Data})
	}
}

// close ends what a stream that broke off left open; a call without its end
// is none.
func (a *anthropicReader) close() {
	for i := range a.blocks {
		if b := &a.blocks[i]; b.Type != "tool_use" || a.ended {
			a.end(b)
		}
	}
}

func (a *anthropicReader) stopped(e anthropic.MessageStreamEventUnion) error {
	switch e.Delta.StopReason {
	case anthropic.StopReasonMaxTokens, anthropic.StopReasonModelContextWindowExceeded:
		a.stop = StopLength
	case anthropic.StopReasonRefusal:
		return refusal("refusal", "the model declines")
	}
	return nil
}

// usage takes what the stream says; the counts are totals, so that the last
// ones hold.
func (a *anthropicReader) usage(u anthropic.MessageDeltaUsage) {
	t := &a.tokens
	if u.InputTokens+u.CacheReadInputTokens+u.CacheCreationInputTokens > 0 {
		t.Cached, t.CacheWrite = count(u.CacheReadInputTokens), count(u.CacheCreationInputTokens)
		t.Input = count(u.InputTokens) + t.Cached + t.CacheWrite
	}
	if u.OutputTokens > 0 {
		t.Output = u.OutputTokens
		t.Reasoning = count(u.OutputTokensDetails.ThinkingTokens)
	}
}
