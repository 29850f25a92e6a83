package llm

import (
	"encoding/json"
	"slices"

	"reeve/internal/schema"
)

// fieldsOf answers a schema as the plain JSON that it is.
func fieldsOf(s *schema.Schema) map[string]any {
	fields := map[string]any{}
	if b, err := encode(s); err == nil && s != nil {
		// A schema is an object: it cannot fail.
		_ = json.Unmarshal(b, &fields)
	}
	if s == nil || fields["type"] == nil {
		fields["type"] = "object"
	}
	return fields
}

// unheeded are the keywords that providers of structured replies refuse. The
// reply is checked against the whole schema here all the same.
var unheeded = []string{"$schema", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "pattern", "format", "default", "examples"}

// strictSchema answers a schema in the form that providers can hold a model
// to: objects closed, no limits of numbers and lengths. ok is false where that
// cannot be said, for objects with names that are not known before.
func strictSchema(s *schema.Schema) (fields map[string]any, ok bool) {
	fields = fieldsOf(s)
	return fields, tighten(fields)
}

func tighten(fields map[string]any) bool {
	for _, name := range unheeded {
		delete(fields, name)
	}
	ok := true
	if fields["type"] == "object" {
		if open, is := fields["additionalProperties"].(map[string]any); is && open["not"] == nil {
			return false
		}
		if fields["properties"] == nil {
			return false
		}
		fields["additionalProperties"] = false
	}
	for name, v := range fields {
		switch v := v.(type) {
		case map[string]any:
			if name == "properties" || name == "$defs" {
				for _, p := range v {
					if inner, is := p.(map[string]any); is {
						ok = tighten(inner) && ok
					}
				}
				continue
			}
			ok = tighten(v) && ok
		case []any:
			for _, x := range v {
				if inner, is := x.(map[string]any); is {
					ok = tighten(inner) && ok
				}
			}
		}
	}
	return ok
}

// allRequired reports whether every object of a strict schema requires all of
// its fields, as OpenAI demands of schemas that it enforces.
func allRequired(fields map[string]any) bool {
	if properties, ok := fields["properties"].(map[string]any); ok {
		required, _ := fields["required"].([]any)
		for name := range properties {
			if !slices.Contains(required, any(name)) {
				return false
			}
		}
		for _, p := range properties {
			if inner, is := p.(map[string]any); is && !allRequired(inner) {
				return false
			}
		}
	}
	if items, ok := fields["items"].(map[string]any); ok {
		return allRequired(items)
	}
	return true
}
