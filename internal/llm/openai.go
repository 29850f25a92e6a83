package llm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/sashabaranov/go-openai"
)

// openaiProvider speaks chat completions: OpenAI, DeepSeek and every server
// like theirs. The library gives the words; the wire sends and reads, because
// the library loses the errors of a stream after a comment, cannot send the
// empty reasoning that DeepSeek insists on, and does not know the counts of
// DeepSeek's cache.
type openaiProvider struct {
	w    *wire
	deep bool
}

func newOpenAI(w *wire) Provider   { return openaiProvider{w: w} }
func newDeepSeek(w *wire) Provider { return openaiProvider{w: w, deep: true} }

func (p openaiProvider) header() map[string]string {
	if p.w.key == "" {
		return nil
	}
	return map[string]string{"Authorization": "Bearer " + p.w.key}
}

func (p openaiProvider) Stream(ctx context.Context, r Request, see func(Event)) (Reply, error) {
	d := p.w.draft(r, see)
	body, err := p.request(r)
	if err != nil {
		return p.w.finish(d, r, &exchange{}, err)
	}
	o := openaiReader{draft: d}
	ex, err := p.w.do(ctx, call{method: http.MethodPost, path: "/chat/completions", header: p.header(), body: body,
		form: "text/event-stream", read: readEvents, each: o.chunk})
	o.close(r)
	if err == nil && o.refused.Len() > 0 {
		err = p.w.failed(ctx, ex, refusal("refusal", p.w.clean(o.refused.String())))
	}
	return p.w.finish(d, r, ex, err)
}

// A chatRequest is the library's with messages that may say an empty
// reasoning.
type chatRequest struct {
	openai.ChatCompletionRequest
	Messages []chatMessage `json:"messages"`
}

type chatMessage struct {
	openai.ChatCompletionMessage
	Reasoning *string
}

func (m chatMessage) MarshalJSON() ([]byte, error) {
	return encode(struct {
		Role       string            `json:"role"`
		Content    string            `json:"content"`
		Reasoning  *string           `json:"reasoning_content,omitempty"`
		ToolCalls  []openai.ToolCall `json:"tool_calls,omitempty"`
		ToolCallID string            `json:"tool_call_id,omitempty"`
	}{m.Role, m.Content, m.Reasoning, m.ToolCalls, m.ToolCallID})
}

func (p openaiProvider) request(r Request) (chatRequest, error) {
	q := chatRequest{ChatCompletionRequest: openai.ChatCompletionRequest{Model: r.Model, Stream: true,
		StreamOptions: &openai.StreamOptions{IncludeUsage: true}}}
	if p.w.needsKey && !p.deep {
		q.MaxCompletionTokens = int(r.MaxOutput)
	} else {
		q.MaxTokens = int(r.MaxOutput) // the name that servers like OpenAI's know
	}
	system := r.System
	if r.Schema != nil {
		system = p.form(&q, r)
	}
	if system != "" {
		q.Messages = append(q.Messages, chatMessage{ChatCompletionMessage: openai.ChatCompletionMessage{Role: "system", Content: system}})
	}
	for _, m := range r.Messages {
		q.Messages = append(q.Messages, p.messages(r, m)...)
	}
	for _, t := range r.Tools {
		q.Tools = append(q.Tools, openai.Tool{Type: openai.ToolTypeFunction,
			Function: &openai.FunctionDefinition{Name: t.Name, Description: t.Doc, Parameters: formOf(t.Schema)}})
	}
	if len(q.Tools) > 0 && r.Choice != ToolAuto {
		q.ToolChoice = string(r.Choice)
	}
	return q, p.fit(&q)
}

// form asks for a structured reply and answers the system prompt: DeepSeek
// knows only that it shall be JSON.
func (p openaiProvider) form(q *chatRequest, r Request) string {
	if p.deep {
		q.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
		return asText(r)
	}
	form, ok := strictSchema(r.Schema)
	strict := ok && allRequired(form)
	if !strict {
		form = r.Schema
	}
	q.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONSchema,
		JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: "reply", Schema: formOf(form), Strict: strict}}
	return r.System
}

// fit asks the library what a model does not take and puts it in a form that
// it does.
func (p openaiProvider) fit(q *chatRequest) error {
	check := openai.NewReasoningValidator()
	err := check.Validate(q.ChatCompletionRequest)
	if errors.Is(err, openai.ErrReasoningModelMaxTokensDeprecated) {
		q.MaxCompletionTokens, q.MaxTokens = q.MaxTokens, 0
		err = check.Validate(q.ChatCompletionRequest)
	}
	if errors.Is(err, openai.ErrReasoningToolsRequireResponses) {
		q.ReasoningEffort = openai.ReasoningEffortNone
		err = check.Validate(q.ChatCompletionRequest)
	}
	if err != nil {
		return &Error{Class: Invalid, Provider: p.w.name, Code: "unsupported", Message: "this model takes no tools in chat completions; name another", Err: err}
	}
	return nil
}

// messages writes a message: each result of a tool is one of its own.
func (p openaiProvider) messages(r Request, m Message) []chatMessage {
	var all []chatMessage
	said := chatMessage{ChatCompletionMessage: openai.ChatCompletionMessage{Role: string(m.Role)}}
	for _, part := range m.Parts {
		switch {
		case part.Opaque != nil:
			if reasoning, ok := p.own(r, part); ok {
				said.Reasoning = &reasoning
			}
		case part.Call != nil:
			said.ToolCalls = append(said.ToolCalls, openai.ToolCall{ID: part.Call.ID, Type: openai.ToolTypeFunction,
				Function: openai.FunctionCall{Name: part.Call.Name, Arguments: string(part.Call.Input)}})
		case part.Result != nil:
			all = append(all, chatMessage{ChatCompletionMessage: openai.ChatCompletionMessage{Role: "tool", ToolCallID: part.Result.CallID, Content: resultText(*part.Result)}})
		default:
			said.Content += part.Text
		}
	}
	switch {
	case len(said.ToolCalls) == 0:
		said.Reasoning = nil // wanted with calls alone
	case said.Reasoning == nil && p.deep:
		said.Reasoning = new(string) // none is an error there
	}
	if said.Content != "" || len(said.ToolCalls) > 0 {
		all = append(all, said)
	}
	return all
}

func (p openaiProvider) own(r Request, part Part) (string, bool) {
	var b struct {
		Reasoning *string `json:"reasoning_content"`
	}
	if part.Owner != p.w.name+":"+r.Model || json.Unmarshal(part.Opaque, &b) != nil || b.Reasoning == nil {
		return "", false
	}
	return *b.Reasoning, true
}

// resultText answers a result for protocols that have no word for failure.
func resultText(r ToolResult) string {
	if r.Failed {
		return "error: " + r.Text
	}
	return r.Text
}

// openaiReader puts the chunks of a stream together.
type openaiReader struct {
	*draft
	reasoning, refused strings.Builder
	calls              []*openaiCall
	places             map[int]*openaiCall
}

type openaiCall struct {
	id, name string
	input    strings.Builder
}

// A chatChunk is the library's with what it leaves out.
type chatChunk struct {
	openai.ChatCompletionStreamResponse
	Usage *struct {
		openai.Usage
		CacheHit int `json:"prompt_cache_hit_tokens"` // DeepSeek
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

func (o *openaiReader) chunk(data []byte) error {
	if string(data) == "[DONE]" {
		o.ended = true
		return errDone
	}
	var c chatChunk
	if err := json.Unmarshal(data, &c); err != nil {
		return malformed(err)
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return o.w.judge(http.StatusOK, nil, data)
	}
	if c.Model != "" {
		o.model = c.Model
	}
	if u := c.Usage; u != nil && u.PromptTokens > 0 {
		o.told, o.tokens.Input, o.tokens.Output = true, count(u.PromptTokens), count(u.CompletionTokens)
		o.tokens.Cached = count(u.CacheHit)
		if u.PromptTokensDetails != nil {
			o.tokens.Cached = max(o.tokens.Cached, count(u.PromptTokensDetails.CachedTokens))
		}
		if u.CompletionTokensDetails != nil {
			o.tokens.Reasoning = count(u.CompletionTokensDetails.ReasoningTokens)
		}
	}
	for _, choice := range c.Choices {
		if choice.Index != 0 {
			continue
		}
		if err := o.choice(choice); err != nil {
			return err
		}
	}
	return nil
}

func (o *openaiReader) choice(c openai.ChatCompletionStreamChoice) error {
	o.reasoning.WriteString(c.Delta.ReasoningContent)
	o.think(c.Delta.ReasoningContent)
	o.refused.WriteString(c.Delta.Refusal)
	o.say(c.Delta.Content)
	for _, t := range c.Delta.ToolCalls {
		o.fragment(t)
	}
	switch c.FinishReason {
	case "":
		return nil
	case openai.FinishReasonContentFilter:
		return refusal("content_filter", "the provider's filter stopped the reply")
	case openai.FinishReasonLength:
		o.stop = StopLength
	}
	o.ended = true
	return nil
}

// fragment takes a piece of a call. Some servers give every call the place 0,
// or none: a new ID begins a new call.
func (o *openaiReader) fragment(t openai.ToolCall) {
	at := max(len(o.calls)-1, 0)
	if t.Index != nil {
		at = *t.Index
	} else if t.ID != "" {
		at = len(o.calls)
	}
	if o.places == nil {
		o.places = map[int]*openaiCall{}
	}
	c := o.places[at]
	if c == nil || t.ID != "" && c.id != "" && c.id != t.ID {
		c = &openaiCall{}
		o.places[at], o.calls = c, append(o.calls, c)
	}
	if t.ID != "" {
		c.id = t.ID
	}
	if t.Function.Name != "" && c.name == "" {
		c.name = t.Function.Name
		o.see(Event{Call: c.name})
	}
	c.input.WriteString(t.Function.Arguments)
}

// close turns reasoning and calls into parts; calls of a reply that broke off
// are none.
func (o *openaiReader) close(r Request) {
	stop := o.stop
	if o.reasoning.Len() > 0 {
		reasoning := Part{Owner: o.owner}
		if b, err := encode(map[string]string{"reasoning_content": o.reasoning.String()}); err == nil {
			reasoning.Opaque = b
			o.parts = append([]Part{reasoning}, o.parts...)
		}
	}
	if o.ended {
		for _, c := range o.calls {
			o.call(r, c.id, c.name, c.input.String())
		}
	}
	if stop == StopLength {
		o.stop = stop
	}
}
