package llm

import (
	"encoding/json"
	"slices"

	"reeve/internal/schema"
)

// anyObject is the schema of a tool that takes nothing in particular.
var anyObject = json.RawMessage(`{"type":"object","properties":{}}`)

// formOf answers a schema as JSON, its fields in their order: a model writes
// them in the order in which it reads them.
func formOf(s *schema.Schema) json.RawMessage {
	if s == nil || s.Type != "object" {
		return anyObject
	}
	plain := *s
	plain.Schema = ""
	b, err := encode(&plain)
	if err != nil {
		return anyObject
	}
	return b
}

// strictSchema answers a schema in the form that providers can hold a model
// to: objects closed, and nothing about the size of numbers, texts and lists,
// which they refuse. The reply is checked against the whole schema here all
// the same. ok is false where that cannot be said, for objects whose names
// are not known before.
func strictSchema(s *schema.Schema) (strict *schema.Schema, ok bool) {
	if s == nil {
		return nil, true
	}
	c := *s
	c.Schema, c.Format, c.Pattern, c.Default, c.Examples = "", "", "", nil, nil
	c.Minimum, c.Maximum, c.ExclusiveMinimum, c.ExclusiveMaximum, c.MultipleOf = nil, nil, nil, nil, nil
	c.MinLength, c.MaxLength, c.MinItems, c.MaxItems, c.UniqueItems, c.MinProperties, c.MaxProperties = nil, nil, nil, nil, false, nil, nil
	ok = true
	if isObject(s) {
		open := s.AdditionalProperties != nil && s.AdditionalProperties.Not == nil
		if open || len(s.Properties) == 0 {
			return &c, false
		}
		c.AdditionalProperties = &schema.Schema{Not: &schema.Schema{}}
		c.Properties = map[string]*schema.Schema{}
		for name, p := range s.Properties {
			inner, fits := strictSchema(p)
			c.Properties[name], ok = inner, ok && fits
		}
	}
	items, fits := strictSchema(s.Items)
	c.Items, ok = items, ok && fits
	c.AnyOf = nil
	for _, x := range s.AnyOf {
		inner, fits := strictSchema(x)
		c.AnyOf, ok = append(c.AnyOf, inner), ok && fits
	}
	return &c, ok && len(s.OneOf)+len(s.AllOf) == 0
}

func isObject(s *schema.Schema) bool {
	return s.Type == "object" || slices.Contains(s.Types, "object")
}

// allRequired reports whether every object of a schema requires all of its
// fields, as OpenAI demands of schemas that it enforces.
func allRequired(s *schema.Schema) bool {
	if s == nil {
		return true
	}
	for name, p := range s.Properties {
		if !slices.Contains(s.Required, name) || !allRequired(p) {
			return false
		}
	}
	for _, x := range s.AnyOf {
		if !allRequired(x) {
			return false
		}
	}
	return allRequired(s.Items)
}
