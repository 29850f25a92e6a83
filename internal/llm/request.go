package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reeve/internal/redact"
	"reeve/internal/schema"
	"reeve/internal/tokens"
)

// perMessage is what the frame of a message, a tool or a part takes beside
// its text.
const perMessage = 8

// EstimateRequest answers about how many tokens a request takes, rather too
// many than too few.
func EstimateRequest(r Request) int64 {
	n := perMessage + tokens.Estimate(r.System)
	for _, t := range r.Tools {
		n += perMessage + tokens.Estimate(t.Name) + tokens.Estimate(t.Doc) + estimateSchema(t.Schema)
	}
	if r.Schema != nil {
		n += estimateSchema(r.Schema)
	}
	for _, m := range r.Messages {
		n += perMessage
		for _, p := range m.Parts {
			n += EstimatePart(p)
		}
	}
	return n
}

// EstimatePart is EstimateRequest for one part of a message.
func EstimatePart(p Part) int64 {
	n := tokens.Estimate(p.Text)
	if p.Call != nil {
		n += perMessage + tokens.Estimate(p.Call.ID) + tokens.Estimate(p.Call.Name) + tokens.Estimate(string(p.Call.Input))
	}
	if p.Result != nil {
		n += perMessage + tokens.Estimate(p.Result.CallID) + tokens.Estimate(p.Result.Text)
	}
	return n + int64(len(p.Opaque)+3)/4 // Mostly base 64: four letters or so a token.
}

func estimateSchema(s *schema.Schema) int64 {
	text, err := json.Marshal(s)
	if err != nil {
		return 0
	}
	return tokens.Estimate(string(text))
}

// forModel answers a request as it may be sent to a model: what other models
// thought is theirs and stays away.
func forModel(r Request, name string) Request {
	messages := make([]Message, 0, len(r.Messages))
	for _, m := range r.Messages {
		parts := make([]Part, 0, len(m.Parts))
		for _, p := range m.Parts {
			if len(p.Opaque) > 0 && p.Owner != name {
				p.Opaque, p.Owner = nil, ""
			}
			if p.Text != "" || p.Call != nil || p.Result != nil || len(p.Opaque) > 0 {
				parts = append(parts, p)
			}
		}
		if len(parts) > 0 {
			messages = append(messages, Message{Role: m.Role, Parts: parts})
		}
	}
	r.Messages = messages
	return r
}

// maxShown bounds what of an unfit reply its model is shown again.
const maxShown = 8 << 10

// repair answers the request that tells a model what is wrong with its reply.
func repair(r Request, reply Reply, wrong string) Request {
	text := redact.Cut(strings.ToValidUTF8(reply.Message.Text(), "\uFFFD"), maxShown)
	if strings.TrimSpace(text) == "" {
		text = "(nothing)"
	}
	r.Messages = append(slices.Clone(r.Messages), Say(Assistant, text),
		Say(User, "That reply cannot be used: "+wrong+". Answer again with one JSON object that fits the schema, and nothing else."))
	return r
}

// fit answers the JSON object of a structured reply if it fits its schema.
func fit(name string, s *schema.Schema, reply Reply) (json.RawMessage, *Error) {
	raw, ok := objectIn(reply.Message.Text())
	wrong := "it holds no JSON object"
	if reply.Stop == StopLength {
		wrong = "it was cut off because it was too long"
	}
	if ok {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			wrong = "it is not valid JSON"
		} else if bad := schema.Check(s, value); len(bad) == 0 {
			return raw, nil
		} else {
			wrong = listed(bad)
		}
	}
	return nil, &Error{Class: Protocol, Provider: name, Code: unfit, Message: wrong}
}

// listed writes the mistakes of a reply in order.
func listed(bad map[string]string) string {
	var all []string
	for _, field := range slices.Sorted(maps.Keys(bad)) {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s", redact.Line(field, 100), bad[field])))
	}
	return redact.Cut(strings.Join(all, "; "), 2000)
}

// objectIn answers the first JSON object in a text: models wrap it in fences
// and words although they were told not to.
func objectIn(text string) (json.RawMessage, bool) {
	for from := 0; ; {
		at := strings.IndexByte(text[from:], '{')
		if at < 0 {
			return nil, false
		}
		from += at
		var raw json.RawMessage
		if json.NewDecoder(strings.NewReader(text[from:])).Decode(&raw) == nil {
			return bytes.TrimSpace(raw), true
		}
		if from++; from >= 64<<10 {
			return nil, false
		}
	}
}
