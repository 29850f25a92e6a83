package llmfake

import (
	"bytes"
	"encoding/json"
	"strings"
)

// read takes a request apart.
func (r *Request) read(p Protocol) error {
	switch p {
	case OpenAI:
		return r.readOpenAI()
	case Anthropic:
		return r.readAnthropic()
	case Gemini:
		return r.readGemini()
	}
	return r.readOllama()
}

func (r *Request) readOpenAI() error {
	var q struct {
		Model    string `json:"model"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
			Calls   []struct {
				ID       string `json:"id"`
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
			CallID string `json:"tool_call_id"`
		} `json:"messages"`
		Tools []struct {
			Function struct{ Name string } `json:"function"`
		} `json:"tools"`
		Format json.RawMessage `json:"response_format"`
	}
	if err := json.Unmarshal(r.Body, &q); err != nil {
		return err
	}
	r.Model, r.Structured = q.Model, q.Format != nil
	for _, t := range q.Tools {
		r.Tools = append(r.Tools, t.Function.Name)
	}
	for _, m := range q.Messages {
		switch m.Role {
		case "system":
			r.System += m.Content
		case "tool":
			r.result(Result{ID: m.CallID, Name: r.nameOf(m.CallID), Text: m.Content})
		default:
			said := Message{Role: m.Role, Text: m.Content}
			for _, c := range m.Calls {
				said.Calls = append(said.Calls, Call{ID: c.ID, Name: c.Function.Name, Input: c.Function.Arguments})
			}
			r.Messages = append(r.Messages, said)
		}
	}
	return nil
}

// result adds a result to the user's message after the calls.
func (r *Request) result(result Result) {
	if r.Last().Role != "user" {
		r.Messages = append(r.Messages, Message{Role: "user"})
	}
	last := &r.Messages[len(r.Messages)-1]
	last.Results = append(last.Results, result)
}

func (r *Request) nameOf(id string) string {
	for _, m := range r.Messages {
		for _, c := range m.Calls {
			if c.ID == id {
				return c.Name
			}
		}
	}
	return ""
}

func (r *Request) readAnthropic() error {
	type text struct{ Text string }
	var q struct {
		Model    string `json:"model"`
		System   []text `json:"system"`
		Messages []struct {
			Role    string `json:"role"`
			Content []struct {
				Type, Text, ID, Name string
				Input                json.RawMessage
				ToolUseID            string `json:"tool_use_id"`
				Content              []text
			} `json:"content"`
		} `json:"messages"`
		Tools  []struct{ Name string } `json:"tools"`
		Output json.RawMessage         `json:"output_config"`
	}
	if err := json.Unmarshal(r.Body, &q); err != nil {
		return err
	}
	r.Model, r.Structured = q.Model, q.Output != nil
	for _, t := range q.System {
		r.System += t.Text
	}
	for _, t := range q.Tools {
		r.Tools = append(r.Tools, t.Name)
	}
	for _, m := range q.Messages {
		r.Messages = append(r.Messages, Message{Role: m.Role})
		said := &r.Messages[len(r.Messages)-1]
		for _, b := range m.Content {
			switch b.Type {
			case "text":
				said.Text += b.Text
			case "tool_use":
				said.Calls = append(said.Calls, Call{ID: b.ID, Name: b.Name, Input: string(b.Input)})
			case "tool_result":
				result := Result{ID: b.ToolUseID, Name: r.nameOf(b.ToolUseID)}
				for _, t := range b.Content {
					result.Text += t.Text
				}
				said.Results = append(said.Results, result)
			}
		}
	}
	return nil
}

func (r *Request) readGemini() error {
	type part struct {
		Text string `json:"text"`
		Call *struct {
			ID, Name string
			Args     json.RawMessage
		} `json:"functionCall"`
		Result *struct {
			ID, Name string
			Response map[string]string
		} `json:"functionResponse"`
	}
	type content struct {
		Role  string `json:"role"`
		Parts []part `json:"parts"`
	}
	var q struct {
		System   content   `json:"systemInstruction"`
		Contents []content `json:"contents"`
		Tools    []struct {
			Declared []struct{ Name string } `json:"functionDeclarations"`
		} `json:"tools"`
		Generation struct {
			Schema json.RawMessage `json:"responseJsonSchema"`
		} `json:"generationConfig"`
	}
	if err := json.Unmarshal(r.Body, &q); err != nil {
		return err
	}
	path, _, _ := strings.Cut(r.Path, ":stream")
	r.Model, r.Structured = path[strings.LastIndex(path, "/")+1:], q.Generation.Schema != nil
	for _, p := range q.System.Parts {
		r.System += p.Text
	}
	for _, t := range q.Tools {
		for _, d := range t.Declared {
			r.Tools = append(r.Tools, d.Name)
		}
	}
	for _, c := range q.Contents {
		said := Message{Role: map[bool]string{true: "assistant", false: "user"}[c.Role == "model"]}
		for _, p := range c.Parts {
			said.Text += p.Text
			if p.Call != nil {
				said.Calls = append(said.Calls, Call{ID: p.Call.ID, Name: p.Call.Name, Input: string(p.Call.Args)})
			}
			if p.Result != nil {
				said.Results = append(said.Results, Result{ID: p.Result.ID, Name: p.Result.Name, Text: p.Result.Response["output"] + p.Result.Response["error"]})
			}
		}
		r.Messages = append(r.Messages, said)
	}
	return nil
}

func (r *Request) readOllama() error {
	var q struct {
		Model    string `json:"model"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
			Calls   []struct {
				ID       string
				Function struct {
					Name      string
					Arguments json.RawMessage
				}
			} `json:"tool_calls"`
			ToolName string `json:"tool_name"`
			CallID   string `json:"tool_call_id"`
		} `json:"messages"`
		Tools []struct {
			Function struct{ Name string } `json:"function"`
		} `json:"tools"`
		Format json.RawMessage `json:"format"`
	}
	if err := json.Unmarshal(r.Body, &q); err != nil {
		return err
	}
	r.Model, r.Structured = q.Model, q.Format != nil
	for _, t := range q.Tools {
		r.Tools = append(r.Tools, t.Function.Name)
	}
	for _, m := range q.Messages {
		switch m.Role {
		case "system":
			r.System += m.Content
		case "tool":
			r.result(Result{ID: m.CallID, Name: m.ToolName, Text: m.Content})
		default:
			said := Message{Role: m.Role, Text: m.Content}
			for _, c := range m.Calls {
				said.Calls = append(said.Calls, Call{ID: c.ID, Name: c.Function.Name, Input: string(c.Function.Arguments)})
			}
			r.Messages = append(r.Messages, said)
		}
	}
	return nil
}

// write answers JSON as it goes over the wire.
func write(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // what is written here can be written
	}
	return strings.TrimSuffix(b.String(), "\n")
}
