package llm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/genai"
)

// geminiProvider speaks streamGenerateContent. The SDK gives the words; the
// wire sends and reads, because the SDK takes a comment in the stream for an
// error, logs by itself, and turns the numbers of a call into floats.
type geminiProvider struct{ w *wire }

func newGemini(w *wire) Provider { return geminiProvider{w} }

func (p geminiProvider) header() map[string]string {
	return map[string]string{"x-goog-api-key": p.w.key}
}

func (p geminiProvider) Stream(ctx context.Context, r Request, see func(Event)) (Reply, error) {
	d := p.w.draft(r, see)
	g := geminiReader{draft: d, r: r}
	ex, err := p.w.do(ctx, call{method: http.MethodPost, header: p.header(), body: p.request(r),
		path: "/models/" + url.PathEscape(strings.TrimPrefix(r.Model, "models/")) + ":streamGenerateContent?alt=sse",
		form: "text/event-stream", read: readEvents, each: g.chunk})
	if err == nil && g.wrong != nil {
		err = p.w.failed(ctx, ex, g.wrong)
	}
	return p.w.finish(d, r, ex, err)
}

type geminiRequest struct {
	SystemInstruction *genai.Content    `json:"systemInstruction,omitempty"`
	Tools             []*genai.Tool     `json:"tools,omitempty"`
	ToolConfig        *genai.ToolConfig `json:"toolConfig,omitempty"`
	Contents          []*genai.Content  `json:"contents"`
	GenerationConfig  geminiGeneration  `json:"generationConfig"`
}

type geminiGeneration struct {
	MaxOutputTokens    int64  `json:"maxOutputTokens,omitempty"`
	ResponseMIMEType   string `json:"responseMimeType,omitempty"`
	ResponseJSONSchema any    `json:"responseJsonSchema,omitempty"`
}

func (p geminiProvider) request(r Request) geminiRequest {
	q := geminiRequest{GenerationConfig: geminiGeneration{MaxOutputTokens: max(r.MaxOutput, 0)}}
	system := r.System
	switch {
	case r.Schema == nil:
	case len(r.Tools) > 0: // models before the third refuse both together
		system = asText(r)
	default:
		q.GenerationConfig.ResponseMIMEType, q.GenerationConfig.ResponseJSONSchema = "application/json", formOf(r.Schema)
	}
	if system != "" {
		q.SystemInstruction = &genai.Content{Parts: []*genai.Part{{Text: system}}}
	}
	var declared []*genai.FunctionDeclaration
	for _, t := range r.Tools {
		declared = append(declared, &genai.FunctionDeclaration{Name: t.Name, Description: t.Doc, ParametersJsonSchema: formOf(t.Schema)})
	}
	if len(declared) > 0 {
		q.Tools = []*genai.Tool{{FunctionDeclarations: declared}}
		mode := map[ToolChoice]genai.FunctionCallingConfigMode{ToolNone: genai.FunctionCallingConfigModeNone, ToolRequired: genai.FunctionCallingConfigModeAny}[r.Choice]
		if mode != "" {
			q.ToolConfig = &genai.ToolConfig{FunctionCallingConfig: &genai.FunctionCallingConfig{Mode: mode}}
		}
	}
	for _, m := range r.Messages {
		if c := p.content(r, m); len(c.Parts) > 0 {
			q.Contents = append(q.Contents, c)
		}
	}
	return q
}

func (p geminiProvider) content(r Request, m Message) *genai.Content {
	c := &genai.Content{Role: genai.RoleUser}
	if m.Role == Assistant {
		c.Role = genai.RoleModel
	}
	var results []*genai.Part
	calls := 0
	for _, part := range m.Parts {
		signature := p.signature(r, part)
		switch {
		case part.Call != nil:
			if calls++; calls == 1 && signature == nil && signs(r.Model) {
				signature = unsigned
			}
			c.Parts = append(c.Parts, &genai.Part{ThoughtSignature: signature,
				FunctionCall: &genai.FunctionCall{ID: givenID(part.Call.ID), Name: part.Call.Name, Args: arguments(part.Call.Input)}})
		case part.Result != nil:
			word := "output"
			if part.Result.Failed {
				word = "error"
			}
			results = append(results, &genai.Part{FunctionResponse: &genai.FunctionResponse{ID: givenID(part.Result.CallID), Name: part.Result.Name,
				Response: map[string]any{word: part.Result.Text}}})
		case part.Text != "" || signature != nil:
			c.Parts = append(c.Parts, &genai.Part{Text: part.Text, ThoughtSignature: signature})
		}
	}
	c.Parts = append(results, c.Parts...)
	return c
}

// unsigned is what the protocol wants in the place of a signature on a call
// that another model made: "skip_thought_signature_validator", which goes
// over the wire as base 64.
var unsigned, _ = base64.URLEncoding.DecodeString("skip_thought_signature_validator")

// signs reports models that refuse calls without a signature: those from the
// third on.
func signs(model string) bool {
	return !strings.Contains(model, "gemini-1") && !strings.Contains(model, "gemini-2") && strings.Contains(model, "gemini-")
}

// signature answers the thought signature of a part as it came.
func (p geminiProvider) signature(r Request, part Part) []byte {
	var b struct {
		ThoughtSignature []byte `json:"thoughtSignature"`
	}
	if part.Opaque == nil || part.Owner != p.w.name+":"+r.Model || json.Unmarshal(part.Opaque, &b) != nil {
		return nil
	}
	return b.ThoughtSignature
}

// givenID leaves out the IDs that were made here.
func givenID(id string) string {
	if strings.HasPrefix(id, madeID) {
		return ""
	}
	return id
}

// arguments answers a call's input with its numbers as they are written.
func arguments(input json.RawMessage) map[string]any {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(object(input)))
	d.UseNumber()
	if d.Decode(&fields) != nil {
		return map[string]any{}
	}
	return fields
}

// geminiReader puts the chunks of a stream together.
type geminiReader struct {
	*draft
	r     Request
	wrong error // why the reply ended, where that is no end
}

// A geminiChunk is the SDK's response with a call's input as it is written.
type geminiChunk struct {
	Candidates []struct {
		Content struct {
			Parts []geminiPart `json:"parts"`
		} `json:"content"`
		FinishReason genai.FinishReason `json:"finishReason"`
	} `json:"candidates"`
	PromptFeedback *genai.GenerateContentResponsePromptFeedback `json:"promptFeedback"`
	UsageMetadata  *genai.GenerateContentResponseUsageMetadata  `json:"usageMetadata"`
	ModelVersion   string                                       `json:"modelVersion"`
	Error          json.RawMessage                              `json:"error"`
}

type geminiPart struct {
	Text             string          `json:"text"`
	Thought          bool            `json:"thought"`
	ThoughtSignature json.RawMessage `json:"thoughtSignature"`
	FunctionCall     *struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	} `json:"functionCall"`
}

func (g *geminiReader) chunk(data []byte) error {
	var c geminiChunk
	if err := json.Unmarshal(data, &c); err != nil {
		return malformed(err)
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return g.w.judge(http.StatusOK, nil, data)
	}
	if c.ModelVersion != "" {
		g.model = c.ModelVersion
	}
	if u := c.UsageMetadata; u != nil && u.PromptTokenCount > 0 {
		g.told = true
		g.tokens.Input = count(u.PromptTokenCount) + count(u.ToolUsePromptTokenCount)
		g.tokens.Cached, g.tokens.Reasoning = count(u.CachedContentTokenCount), count(u.ThoughtsTokenCount)
		g.tokens.Output = count(u.CandidatesTokenCount) + g.tokens.Reasoning
	}
	if c.PromptFeedback != nil && c.PromptFeedback.BlockReason != "" {
		return refusal(string(c.PromptFeedback.BlockReason), "the provider's filter blocked the prompt")
	}
	if len(c.Candidates) == 0 {
		return nil
	}
	for _, part := range c.Candidates[0].Content.Parts {
		g.part(part)
	}
	g.finished(c.Candidates[0].FinishReason)
	return nil
}

func (g *geminiReader) part(p geminiPart) {
	signed := len(p.ThoughtSignature) > 2
	switch {
	case p.FunctionCall != nil:
		g.see(Event{Call: p.FunctionCall.Name})
		made := g.call(g.r, p.FunctionCall.ID, p.FunctionCall.Name, string(p.FunctionCall.Args))
		if signed {
			g.sign(made, p.ThoughtSignature)
		}
	case p.Thought:
		g.think(p.Text)
	case signed:
		// A signature holds for its own part: it is not joined to others.
		g.flush()
		if p.Text != "" {
			g.see(Event{Text: p.Text})
		}
		g.add(Part{Text: p.Text})
		g.sign(&g.parts[len(g.parts)-1], p.ThoughtSignature)
	default:
		g.say(p.Text)
	}
}

func (g *geminiReader) sign(p *Part, signature json.RawMessage) {
	p.Owner = g.owner
	p.Opaque = slices.Concat([]byte(`{"thoughtSignature":`), signature, []byte("}"))
}

// finished takes the reason of an end. What is after it (the usage) is still
// read.
func (g *geminiReader) finished(why genai.FinishReason) {
	switch why {
	case "", genai.FinishReasonUnspecified:
		return
	case genai.FinishReasonStop:
	case genai.FinishReasonMaxTokens:
		g.stop = StopLength
	case genai.FinishReasonMalformedFunctionCall, genai.FinishReasonUnexpectedToolCall, genai.FinishReasonTooManyToolCalls:
		g.wrong = &Error{Class: Protocol, Code: string(why), Message: "the model made a call that cannot be read"}
	case genai.FinishReasonOther, genai.FinishReasonContinuation:
		g.wrong = &Error{Class: Transient, Code: string(why), Message: "the provider ended the reply without a reason"}
	default:
		g.wrong = refusal(string(why), "the provider's filter stopped the reply")
	}
	g.ended = true
}
