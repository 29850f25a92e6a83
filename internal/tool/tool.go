// Package tool says what a tool of the assistant is, and is the one door
// through which every call of one goes: the same checks hold for a patrol, an
// investigation, a chat and MCP.
package tool

import (
	"context"
	"encoding/json"

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

// A Definition is a tool: its name, its words for the model, who may call it
// and its function. Env is all that the function may touch. Make one with
// Define.
type Definition[Env any] struct {
	Name     string
	Doc      string
	Effect   Effect
	Profiles []Profile
	// Core tools are offered from the first turn; the others when the model
	// asks for them with more_tools.
	Core   bool
	Schema *schema.Schema
	call   func(context.Context, Env, json.RawMessage) (string, error)
}

// A Spec is a tool as it is offered.
type Spec struct {
	Name   string
	Doc    string
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
// one, and so is a recording of one for a replay.
type Toolbox interface {
	Specs() []Spec
	Call(ctx context.Context, name string, input json.RawMessage) Result
}
