package llm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

const (
	// ollamaWindow is the least context that is asked for: a server by itself
	// gives 4,096 tokens and silently drops what is over.
	ollamaWindow  = 16 << 10
	ollamaKeep    = "15m"
	ollamaChatURL = "/api/chat"
)

// ollamaProvider speaks Ollama's own protocol: under /v1 the context cannot
// be set, and a prompt that is longer is cut without a word.
type ollamaProvider struct {
	w *wire

	mu      sync.Mutex
	windows map[string]int64 // of models, where they say it
	sizes   map[string]int64 // of contexts asked for: a new size loads the model anew, so that it only grows
}

func newOllama(w *wire) Provider {
	w.base = strings.TrimSuffix(w.base, "/v1")
	return &ollamaProvider{w: w, windows: map[string]int64{}, sizes: map[string]int64{}}
}

func (p *ollamaProvider) header() map[string]string {
	if p.w.key == "" {
		return nil
	}
	return map[string]string{"Authorization": "Bearer " + p.w.key}
}

func (p *ollamaProvider) Stream(ctx context.Context, r Request, see func(Event)) (Reply, error) {
	d := p.w.draft(r, see)
	size, err := p.size(ctx, r)
	if err != nil {
		return p.w.finish(d, r, &exchange{}, err)
	}
	o := ollamaReader{draft: d, r: r, size: size}
	ex, err := p.w.do(ctx, call{method: http.MethodPost, path: ollamaChatURL, header: p.header(), body: p.request(r, size),
		form: "application/x-ndjson", read: readLines, each: o.line})
	return p.w.finish(d, r, ex, err)
}

type ollamaRequest struct {
	Model     string          `json:"model"`
	Stream    bool            `json:"stream"`
	KeepAlive string          `json:"keep_alive"`
	Truncate  bool            `json:"truncate"` // false: newer servers answer an error instead of cutting
	Options   ollamaOptions   `json:"options"`
	Tools     []ollamaTool    `json:"tools,omitempty"`
	Format    json.RawMessage `json:"format,omitempty"`
	Messages  []ollamaMessage `json:"messages"`
}

type ollamaOptions struct {
	NumCtx     int64 `json:"num_ctx"`
	NumPredict int64 `json:"num_predict,omitempty"`
}

type ollamaTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

type ollamaMessage struct {
	Role      string       `json:"role"`
	Content   string       `json:"content"`
	Thinking  string       `json:"thinking,omitempty"`
	ToolCalls []ollamaCall `json:"tool_calls,omitempty"`
	ToolName  string       `json:"tool_name,omitempty"`
	ToolID    string       `json:"tool_call_id,omitempty"`
}

type ollamaCall struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

func (p *ollamaProvider) request(r Request, size int64) ollamaRequest {
	q := ollamaRequest{Model: r.Model, Stream: true, KeepAlive: ollamaKeep, Options: ollamaOptions{NumCtx: size, NumPredict: max(r.MaxOutput, 0)}}
	system := r.System
	tools := r.Tools
	if r.Choice == ToolNone {
		tools = nil // the protocol has no other word for it
	}
	switch {
	case r.Schema == nil:
	case len(tools) > 0: // a format would keep the model from calling
		system = asText(r)
	default:
		q.Format = formOf(r.Schema)
	}
	if system != "" {
		q.Messages = append(q.Messages, ollamaMessage{Role: "system", Content: system})
	}
	for _, t := range tools {
		tool := ollamaTool{Type: "function"}
		tool.Function.Name, tool.Function.Description, tool.Function.Parameters = t.Name, t.Doc, formOf(t.Schema)
		q.Tools = append(q.Tools, tool)
	}
	for _, m := range r.Messages {
		q.Messages = append(q.Messages, p.messages(r, m)...)
	}
	return q
}

func (p *ollamaProvider) messages(r Request, m Message) []ollamaMessage {
	var all []ollamaMessage
	said := ollamaMessage{Role: string(m.Role)}
	for _, part := range m.Parts {
		switch {
		case part.Opaque != nil:
			var b struct{ Thinking string }
			if part.Owner == p.w.name+":"+r.Model && json.Unmarshal(part.Opaque, &b) == nil {
				said.Thinking = b.Thinking
			}
		case part.Call != nil:
			c := ollamaCall{ID: givenID(part.Call.ID)}
			c.Function.Name, c.Function.Arguments = part.Call.Name, object(part.Call.Input)
			said.ToolCalls = append(said.ToolCalls, c)
		case part.Result != nil:
			all = append(all, ollamaMessage{Role: "tool", Content: resultText(*part.Result), ToolName: part.Result.Name, ToolID: givenID(part.Result.CallID)})
		default:
			said.Content += part.Text
		}
	}
	if said.Content != "" || len(said.ToolCalls) > 0 {
		all = append(all, said)
	}
	return all
}

// size answers the context to ask for: what a person set, or the next power
// of two over what is needed, up to what the model has.
func (p *ollamaProvider) size(ctx context.Context, r Request) (int64, error) {
	output := r.MaxOutput
	if output <= 0 {
		output = defaultMaxOutput
	}
	need := EstimateRequest(r) + output
	limit := p.w.window
	if limit == 0 {
		limit = p.windowOf(ctx, r.Model)
	}
	if limit > 0 && need > limit {
		return 0, &Error{Class: ContextLength, Provider: p.w.name, Code: "estimate", Window: limit,
			Message: fmt.Sprintf("the prompt takes about %d tokens and the reply up to %d; nothing was sent", need-output, output)}
	}
	if p.w.window > 0 {
		return p.w.window, nil
	}
	size := int64(ollamaWindow)
	for size < need {
		size *= 2
	}
	if limit > 0 {
		size = min(size, limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[r.Model] = max(p.sizes[r.Model], size)
	return p.sizes[r.Model], nil
}

// windowOf answers the context that a model was made for, 0 when it does not
// say.
func (p *ollamaProvider) windowOf(ctx context.Context, model string) int64 {
	p.mu.Lock()
	window, known := p.windows[model]
	p.mu.Unlock()
	if known {
		return window
	}
	info, err := p.show(ctx, model)
	if err != nil {
		return 0 // the call itself will say what is wrong
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.windows[model] = info.Window
	return info.Window
}

// ollamaReader puts the lines of a stream together.
type ollamaReader struct {
	*draft
	r        Request
	size     int64
	thinking strings.Builder
}

type ollamaLine struct {
	Model   string `json:"model"`
	Message struct {
		Content   string       `json:"content"`
		Thinking  string       `json:"thinking"`
		ToolCalls []ollamaCall `json:"tool_calls"`
	} `json:"message"`
	Done       bool            `json:"done"`
	DoneReason string          `json:"done_reason"`
	Prompt     int64           `json:"prompt_eval_count"`
	Eval       int64           `json:"eval_count"`
	Error      json.RawMessage `json:"error"`
}

func (o *ollamaReader) line(data []byte) error {
	var l ollamaLine
	if err := json.Unmarshal(data, &l); err != nil {
		return malformed(err)
	}
	if len(l.Error) > 0 && string(l.Error) != "null" {
		return o.w.judge(http.StatusOK, nil, data)
	}
	if l.Model != "" {
		o.model = l.Model
	}
	o.thinking.WriteString(l.Message.Thinking)
	o.think(l.Message.Thinking)
	o.say(l.Message.Content)
	for _, c := range l.Message.ToolCalls {
		o.see(Event{Call: c.Function.Name})
		o.call(o.r, c.ID, c.Function.Name, string(c.Function.Arguments))
	}
	if !l.Done {
		return nil
	}
	return o.done(l)
}

func (o *ollamaReader) done(l ollamaLine) error {
	o.ended = true
	o.tokens.Input, o.tokens.Output = count(l.Prompt), count(l.Eval)
	o.told = l.Eval > 0
	if l.DoneReason == "length" {
		o.stop = StopLength
	}
	if o.thinking.Len() > 0 {
		if b, err := encode(map[string]string{"thinking": o.thinking.String()}); err == nil {
			o.flush()
			o.parts = append([]Part{{Opaque: b, Owner: o.owner}}, o.parts...)
		}
	}
	if l.Prompt >= o.size {
		return &Error{Class: ContextLength, Code: "cut_prompt", Window: o.size, Message: "the server cut the prompt to its context"}
	}
	return errDone
}
