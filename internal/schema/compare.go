package schema

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Change is one way in which a schema differs from an older one.
type Change struct {
	Path     string
	What     string
	Breaking bool // what was right before is wrong now
}

func (c Change) String() string {
	if c.Breaking {
		return c.Path + ": " + c.What + " (breaks what relied on it)"
	}
	return c.Path + ": " + c.What
}

// Compare answers how two schemas differ, for a reader of one who knows the
// other: properties that came and went, types, values, descriptions.
func Compare(before, after *Schema) []Change {
	var all comparison
	all.compare("", before, after)
	return all
}

type comparison []Change

func (c *comparison) add(path string, breaking bool, format string, args ...any) {
	if path == "" {
		path = "(root)"
	}
	*c = append(*c, Change{Path: path, What: fmt.Sprintf(format, args...), Breaking: breaking})
}

func (c *comparison) compare(path string, a, b *Schema) {
	if a == nil || b == nil {
		if a != b {
			c.add(path, a != nil, "schema %s", map[bool]string{true: "added", false: "removed"}[a == nil])
		}
		return
	}
	if x, y := typeNames(a), typeNames(b); x != y {
		c.add(path, true, "type %s became %s", x, y)
	}
	if a.Ref != b.Ref {
		c.add(path, true, "reference %s became %s", a.Ref, b.Ref)
	}
	if a.Description != b.Description {
		c.add(path, false, "description %q became %q", a.Description, b.Description)
	}
	c.compareEnum(path, a.Enum, b.Enum)
	c.compareProperties(path, a, b)
	if a.Items != nil || b.Items != nil {
		c.compare(path+"[]", a.Items, b.Items)
	}
	if a.AdditionalProperties != nil || b.AdditionalProperties != nil {
		c.compare(join(path, "*"), a.AdditionalProperties, b.AdditionalProperties)
	}
}

func (c *comparison) compareEnum(path string, a, b []any) {
	for _, v := range a {
		if !slices.ContainsFunc(b, func(x any) bool { return reflect.DeepEqual(x, v) }) {
			c.add(path, true, "value %v removed", v)
		}
	}
	for _, v := range b {
		if !slices.ContainsFunc(a, func(x any) bool { return reflect.DeepEqual(x, v) }) {
			c.add(path, false, "value %v added", v)
		}
	}
}

func (c *comparison) compareProperties(path string, a, b *Schema) {
	names := map[string]bool{}
	for name := range a.Properties {
		names[name] = true
	}
	for name := range b.Properties {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		at := join(path, name)
		switch was, is := a.Properties[name], b.Properties[name]; {
		case was == nil:
			c.add(at, slices.Contains(b.Required, name), "added")
		case is == nil:
			c.add(at, true, "removed")
		default:
			if x, y := slices.Contains(a.Required, name), slices.Contains(b.Required, name); x != y {
				c.add(at, y, "required %v became %v", x, y)
			}
			c.compare(at, was, is)
		}
	}
}

func typeNames(s *Schema) string {
	if s.Type != "" {
		return s.Type
	}
	if len(s.Types) > 0 {
		return strings.Join(slices.Sorted(slices.Values(s.Types)), "|")
	}
	return "any"
}
