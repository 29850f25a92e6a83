package llmfake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

type fields = map[string]any

// event writes a server-sent event; only Anthropic names them.
func event(p Protocol, name, data string) string {
	if p == Anthropic {
		return "event: " + name + "\ndata: " + data + "\n\n"
	}
	return "data: " + data + "\n\n"
}

// split cuts text into pieces of some letters.
func split(text string, letters int) []string {
	var all []string
	runes := []rune(text)
	for len(runes) > 0 {
		n := min(letters, len(runes))
		all = append(all, string(runes[:n]))
		runes = runes[n:]
	}
	return all
}

// idOf names a call that the script does not name.
func idOf(r Request, c Call, i int) string {
	if c.ID != "" {
		return c.ID
	}
	return fmt.Sprintf("call_%d_%d", len(r.Messages), i)
}

func openaiPieces(r Request, reply Reply) []string {
	var all []string
	put := func(delta fields, finish any) {
		all = append(all, event(OpenAI, "", write(fields{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": r.Model + "-2026",
			"choices": []fields{{"index": 0, "delta": delta, "finish_reason": finish}}})))
	}
	put(fields{"role": "assistant", "content": ""}, nil)
	for _, piece := range split(reply.Thinking, reply.Split) {
		put(fields{"reasoning_content": piece}, nil)
	}
	for _, piece := range split(reply.Text, reply.Split) {
		put(fields{"content": piece}, nil)
	}
	for _, piece := range split(reply.Refusal, reply.Split) {
		put(fields{"refusal": piece}, nil)
	}
	for i, c := range reply.Calls {
		put(fields{"tool_calls": []fields{{"index": i, "id": idOf(r, c, i), "type": "function", "function": fields{"name": c.Name, "arguments": ""}}}}, nil)
	}
	// The pieces of parallel calls come in turns.
	var inputs [][]string
	longest := 0
	for _, c := range reply.Calls {
		inputs = append(inputs, split(c.Input, reply.Split))
		longest = max(longest, len(inputs[len(inputs)-1]))
	}
	for at := range longest {
		for i, pieces := range inputs {
			if at < len(pieces) {
				put(fields{"tool_calls": []fields{{"index": i, "function": fields{"arguments": pieces[at]}}}}, nil)
			}
		}
	}
	if reply.NoEnd {
		return all
	}
	finish := "stop"
	switch {
	case reply.Filtered:
		finish = "content_filter"
	case reply.Length:
		finish = "length"
	case len(reply.Calls) > 0:
		finish = "tool_calls"
	}
	put(fields{}, finish)
	if !reply.NoUsage {
		u := reply.Usage
		all = append(all, event(OpenAI, "", write(fields{"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": r.Model + "-2026", "choices": []fields{},
			"usage": fields{"prompt_tokens": u.Input, "completion_tokens": u.Output, "total_tokens": u.Input + u.Output,
				"prompt_tokens_details": fields{"cached_tokens": u.Cached}, "completion_tokens_details": fields{"reasoning_tokens": u.Reasoning}}})))
	}
	return append(all, event(OpenAI, "", "[DONE]"))
}

func anthropicPieces(r Request, reply Reply) []string {
	var all []string
	put := func(name string, f fields) {
		f["type"] = name
		all = append(all, event(Anthropic, name, write(f)))
	}
	u := reply.Usage
	usage := fields{"input_tokens": u.Input - u.Cached - u.CacheWrite, "cache_read_input_tokens": u.Cached, "cache_creation_input_tokens": u.CacheWrite, "output_tokens": 1}
	if reply.NoUsage {
		usage = fields{}
	}
	put("message_start", fields{"message": fields{"id": "msg_1", "type": "message", "role": "assistant", "model": r.Model + "-2026", "content": []any{},
		"stop_reason": nil, "usage": usage}})
	put("ping", fields{})
	index := 0
	block := func(start fields, deltas ...fields) {
		put("content_block_start", fields{"index": index, "content_block": start})
		for _, d := range deltas {
			put("content_block_delta", fields{"index": index, "delta": d})
		}
		if !reply.NoEnd {
			put("content_block_stop", fields{"index": index})
		}
		index++
	}
	pieces := func(kind, field, text string) []fields {
		var deltas []fields
		for _, piece := range split(text, reply.Split) {
			deltas = append(deltas, fields{"type": kind, field: piece})
		}
		return deltas
	}
	if reply.Thinking != "" || reply.Sealed != "" {
		block(fields{"type": "thinking", "thinking": "", "signature": ""},
			append(pieces("thinking_delta", "thinking", reply.Thinking), fields{"type": "signature_delta", "signature": reply.Sealed})...)
	}
	if reply.Redacted != "" {
		block(fields{"type": "redacted_thinking", "data": reply.Redacted})
	}
	if text := reply.Text + reply.Refusal; text != "" {
		block(fields{"type": "text", "text": ""}, pieces("text_delta", "text", text)...)
	}
	for i, c := range reply.Calls {
		block(fields{"type": "tool_use", "id": idOf(r, c, i), "name": c.Name, "input": fields{}}, pieces("input_json_delta", "partial_json", c.Input)...)
	}
	if reply.NoEnd {
		return all
	}
	stop := "end_turn"
	switch {
	case reply.Refusal != "", reply.Filtered:
		stop = "refusal"
	case reply.Length:
		stop = "max_tokens"
	case len(reply.Calls) > 0:
		stop = "tool_use"
	}
	end := fields{"output_tokens": u.Output}
	if u.Reasoning > 0 {
		end["output_tokens_details"] = fields{"thinking_tokens": u.Reasoning}
	}
	if reply.NoUsage {
		end = fields{}
	}
	put("message_delta", fields{"delta": fields{"stop_reason": stop, "stop_sequence": nil}, "usage": end})
	put("message_stop", fields{})
	return all
}

func geminiPieces(r Request, reply Reply) []string {
	var all []string
	put := func(f fields, parts ...fields) {
		f["modelVersion"] = r.Model + "-2026"
		if f["promptFeedback"] == nil {
			candidate := fields{"index": 0, "content": fields{"role": "model", "parts": parts}}
			if f["finishReason"] != nil {
				candidate["finishReason"] = f["finishReason"]
				delete(f, "finishReason")
			}
			f["candidates"] = []fields{candidate}
		}
		all = append(all, event(Gemini, "", write(f)))
	}
	if reply.Refusal != "" {
		put(fields{"promptFeedback": fields{"blockReason": "PROHIBITED_CONTENT"}})
		return all
	}
	for _, piece := range split(reply.Thinking, reply.Split) {
		put(fields{}, fields{"text": piece, "thought": true})
	}
	for _, piece := range split(reply.Text, reply.Split) {
		put(fields{}, fields{"text": piece})
	}
	sealed := reply.Sealed
	for _, c := range reply.Calls {
		call := fields{"name": c.Name, "args": json.RawMessage(c.Input)}
		if c.ID != "" {
			call["id"] = c.ID
		}
		part := fields{"functionCall": call}
		if sealed != "" {
			part["thoughtSignature"], sealed = sealed, ""
		}
		if !json.Valid([]byte(c.Input)) {
			put(fields{"finishReason": "MALFORMED_FUNCTION_CALL"})
			return all
		}
		put(fields{}, part)
	}
	if sealed != "" {
		put(fields{}, fields{"text": "", "thoughtSignature": sealed})
	}
	if reply.NoEnd {
		return all
	}
	end := fields{"finishReason": "STOP"}
	switch {
	case reply.Filtered:
		end["finishReason"] = "SAFETY"
	case reply.Length:
		end["finishReason"] = "MAX_TOKENS"
	}
	if u := reply.Usage; !reply.NoUsage {
		end["usageMetadata"] = fields{"promptTokenCount": u.Input, "cachedContentTokenCount": u.Cached, "candidatesTokenCount": u.Output - u.Reasoning,
			"thoughtsTokenCount": u.Reasoning, "totalTokenCount": u.Input + u.Output}
	}
	put(end, fields{"text": ""})
	return all
}

// Sign answers a thought signature for a reply of Gemini.
func Sign(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func ollamaPieces(r Request, reply Reply) []string {
	var all []string
	put := func(f fields) {
		f["model"], f["created_at"] = r.Model, "2026-11-25T10:00:00Z"
		all = append(all, write(f)+"\n")
	}
	say := func(message fields) {
		message["role"] = "assistant"
		if message["content"] == nil {
			message["content"] = ""
		}
		put(fields{"message": message, "done": false})
	}
	for _, piece := range split(reply.Thinking, reply.Split) {
		say(fields{"thinking": piece})
	}
	for _, piece := range split(reply.Text+reply.Refusal, reply.Split) {
		say(fields{"content": piece})
	}
	for _, c := range reply.Calls {
		input := json.RawMessage(c.Input)
		if !json.Valid(input) {
			input = json.RawMessage(write(c.Input)) // a text where an object belongs
		}
		say(fields{"tool_calls": []fields{{"function": fields{"name": c.Name, "arguments": input}}}})
	}
	if reply.NoEnd {
		return all
	}
	end := fields{"message": fields{"role": "assistant", "content": ""}, "done": true, "done_reason": "stop"}
	if reply.Length {
		end["done_reason"] = "length"
	}
	if !reply.NoUsage {
		end["prompt_eval_count"], end["eval_count"] = reply.Usage.Input, reply.Usage.Output
	}
	put(end)
	return all
}
