// Package schema answers the JSON Schema of a Go struct. The struct's tags are
// its documentation: json names a field, doc describes it, enum lists its
// values, default is what holds when it is left out. One schema feeds the
// API's description, its checks of what comes in, the forms of the page and
// the reference of the configuration.
package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Schema is a JSON Schema of draft 2020-12.
type Schema = jsonschema.Schema

// Of answers the schema of a type with everything written out. It panics on a
// type that JSON cannot carry: types are fixed when the program is built.
func Of[T any]() *Schema { return For(reflect.TypeFor[T]()) }

// For is Of for a type that is known at run time.
func For(t reflect.Type) *Schema { return build(t, nil) }

// A Set gathers the schemas of named structs, so that other schemas refer to
// them by name.
type Set struct {
	prefix string
	naming func(reflect.Type) string
	defs   map[string]*Schema
	types  map[string]reflect.Type
}

// NewSet makes an empty set. A reference is the prefix and the name that
// naming answers for the type.
func NewSet(prefix string, naming func(reflect.Type) string) *Set {
	return &Set{prefix: prefix, naming: naming, defs: map[string]*Schema{}, types: map[string]reflect.Type{}}
}

// Defs answers the gathered schemas by name.
func (s *Set) Defs() map[string]*Schema { return s.defs }

// Ref answers the schema of a type in which named structs are references into
// the set. It panics when two types have one name.
func (s *Set) Ref(t reflect.Type) *Schema {
	if named(t) {
		return s.define(t)
	}
	return build(t, s)
}

func (s *Set) define(t reflect.Type) *Schema {
	name := s.naming(t)
	if other, ok := s.types[name]; ok && other != t {
		panic(fmt.Sprintf("schema: %v and %v have the name %s", other, t, name))
	} else if !ok {
		s.types[name] = t
		s.defs[name] = build(t, s)
	}
	return &Schema{Ref: s.prefix + name}
}

// named reports whether a type is a struct that has a name of its own and no
// JSON form of its own.
func named(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.Name() != "" && leaf(t) == nil
}

// build infers the schema of a type, then adds what the tags say.
func build(t reflect.Type, set *Set) *Schema {
	leaves := map[reflect.Type]*Schema{}
	findLeaves(t, leaves, map[reflect.Type]bool{})
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: leaves})
	if err != nil {
		panic(fmt.Sprintf("schema of %v: %v", t, err))
	}
	return dress(t, s, set)
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// leaf answers the schema of a type that has a JSON form of its own, nil for
// others.
func leaf(t reflect.Type) *Schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &Schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return &Schema{}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8: // encoded in base 64, whatever its name
		return &Schema{Type: "string", ContentEncoding: "base64"}
	case t.Kind() == reflect.Interface, t.Kind() == reflect.Pointer:
		return nil
	case t.Implements(marshaler):
		return &Schema{}
	case t.Implements(textMarshaler):
		return &Schema{Type: "string"}
	}
	return nil
}

// findLeaves gathers the types below t whose schema is not to be inferred
// from their structure.
func findLeaves(t reflect.Type, leaves map[reflect.Type]*Schema, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	if s := leaf(t); s != nil {
		leaves[t] = s
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		findLeaves(t.Elem(), leaves, seen)
	case reflect.Struct:
		for f := range fieldsOf(t) {
			findLeaves(f.Type, leaves, seen)
		}
	}
}

// dress adds what inference does not know: descriptions, values, defaults,
// references. Lists are lists, never null: that is a rule of the API.
func dress(t reflect.Type, s *Schema, set *Set) *Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if l := leaf(t); l != nil {
		if l.Type == "" {
			s.Types = nil // Of a pointer, inference knows only that it may be null.
		}
		return s
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		s.Type, s.Types = "array", nil
		s.Items = inner(t.Elem(), s.Items, set)
	case reflect.Map:
		s.AdditionalProperties = inner(t.Elem(), s.AdditionalProperties, set)
	case reflect.Struct:
		for f := range fieldsOf(t) {
			name, _ := nameOf(f)
			if p := s.Properties[name]; p != nil {
				s.Properties[name] = annotate(f, orNull(f, inner(f.Type, p, set)))
			}
		}
	}
	return s
}

// inner dresses a part: a named struct becomes a reference where there is a
// set.
func inner(t reflect.Type, s *Schema, set *Set) *Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if set != nil && named(t) {
		return set.define(t)
	}
	return dress(t, s, set)
}

// orNull lets a reference be null where the field is a pointer that is always
// written.
func orNull(f reflect.StructField, s *Schema) *Schema {
	if s.Ref == "" || f.Type.Kind() != reflect.Pointer || optional(f) {
		return s
	}
	return &Schema{AnyOf: []*Schema{s, {Type: "null"}}}
}

// annotate adds what the tags of a field say.
func annotate(f reflect.StructField, s *Schema) *Schema {
	s.Description = f.Tag.Get("doc")
	if enum := f.Tag.Get("enum"); enum != "" {
		at := s
		if s.Items != nil {
			at = s.Items
		}
		for v := range strings.SplitSeq(enum, ",") {
			at.Enum = append(at.Enum, valueOf(at, strings.TrimSpace(v)))
		}
	}
	if d, ok := f.Tag.Lookup("default"); ok {
		text, err := json.Marshal(valueOf(s, d))
		if err == nil {
			s.Default = text
		}
	}
	return s
}

// valueOf answers the text of a tag as a value of the schema's type.
func valueOf(s *Schema, text string) any {
	switch s.Type {
	case "integer", "number":
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}
