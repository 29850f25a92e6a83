// Package tool says what a tool of the assistant is, and is the one door
// through which every call of one goes: the same checks hold for a patrol, an
// investigation, a chat and MCP.
//
// Define makes a tool of a function and its input's type; a Set offers the
// tools of one profile and calls them. What a tool answers is data from the
// estate: it is cleaned and bounded here, and fenced by whoever hands it to a
// model. A Desk takes what a model reports.
package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/schema"
)

// An Effect says what a call can do to the world.
type Effect string

// The effects.
const (
	Reads  Effect = "reads"  // looks only
	Writes Effect = "writes" // records something in Reeve: a report, an assessment, a suggestion
)

// A Profile names who calls: which tools are offered to it, and may be called
// by it, is enforced in both places.
type Profile string

// The profiles.
const (
	Patrol        Profile = "patrol"
	Investigation Profile = "investigation"
	Assistant     Profile = "assistant"
)

// A Head is what a tool says of itself.
type Head struct {
	Name     string
	Doc      string // for the model: few words
	Effect   Effect
	Profiles []Profile
	// Core lists the profiles that are offered the tool from the first turn;
	// the others ask for it with more_tools.
	Core []Profile
}

// A Definition is a tool: its head, the schema of its input and its function.
// Env is all that the function may touch. Make one with Define.
type Definition[Env any] struct {
	Head
	Schema *schema.Schema
	call   func(context.Context, Env, json.RawMessage) (string, error)
}

// Define makes a tool. The fields of In are the arguments: those without
// omitempty or omitzero are needed, their doc and enum tags are the schema. A
// string is answered as it is, anything else as compact JSON. Errors of
// package ops are told to the model, other errors are not.
func Define[Env, In, Out any](h Head, f func(context.Context, Env, In) (Out, error)) Definition[Env] {
	return Definition[Env]{Head: h, Schema: slim(schema.Of[In]()), call: func(ctx context.Context, env Env, input json.RawMessage) (string, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return "", ops.Because(ops.Invalid, err, "the arguments do not fit: a number is out of range or a time is not RFC 3339")
		}
		out, err := f(ctx, env, in)
		if err != nil {
			return "", err
		}
		return render(out)
	}}
}

// For reports whether a profile has the tool.
func (h Head) For(p Profile) bool { return slices.Contains(h.Profiles, p) }

// CoreOf reports whether a profile has the tool from the first turn.
func (h Head) CoreOf(p Profile) bool { return h.For(p) && slices.Contains(h.Core, p) }

func render(out any) (string, error) {
	if text, ok := out.(string); ok {
		return text, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(out)
	return string(bytes.TrimSpace(b.Bytes())), err
}

// slim takes out of a schema what costs tokens in every request and that Call
// holds anyway: that null stands for what may be left out, and that there are
// no other fields than those named.
func slim(s *schema.Schema) *schema.Schema {
	if s == nil {
		return nil
	}
	if len(s.Types) == 2 && slices.Contains(s.Types, "null") {
		s.Type = s.Types[0]
		if s.Type == "null" {
			s.Type = s.Types[1]
		}
		s.Types = nil
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	s.Items = slim(s.Items)
	for name, p := range s.Properties {
		s.Properties[name] = slim(p)
	}
	return s
}

// A Spec is a tool as it is offered.
type Spec struct {
	Name   string
	Doc    string
	Effect Effect
	Schema *schema.Schema
}

// A Result is what a call answered, as text for the model. A refusal and a
// failure are results too: the model is told what was wrong.
type Result struct {
	Text   string
	Failed bool
	Cut    bool // Text is shorter than what there was
}

// A Toolbox is what a turn of a model may use; a Set behind one profile is
// one, and so is a recording of one for a replay. Calls of tools that only
// read may be made at the same time.
type Toolbox interface {
	Specs() []Spec
	Call(ctx context.Context, name string, input json.RawMessage) Result
}
