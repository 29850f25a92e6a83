package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check compares a value, as encoding/json decodes it into an any, with a
// schema of this package and answers what is wrong, by field: texts for the
// person who filled in a form. Fields inside others are named with dots. An
// empty answer means that the value fits.
func Check(s *Schema, value any) map[string]string {
	c := checker{}
	c.check(s, "", value)
	return c
}

type checker map[string]string

// maxWrong bounds the answer to hostile input.
const maxWrong = 20

func (c checker) wrong(path, format string, args ...any) {
	if len(c) < maxWrong {
		c[path] = fmt.Sprintf(format, args...)
	}
}

func (c checker) check(s *Schema, path string, value any) {
	if s == nil || !c.checkType(s, path, value) {
		return
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		c.wrong(path, "must be one of %s", texts(s.Enum))
		return
	}
	switch v := value.(type) {
	case map[string]any:
		c.checkObject(s, path, v)
	case []any:
		for i, x := range v {
			c.check(s.Items, fmt.Sprintf("%s[%d]", path, i), x)
		}
	case string:
		if strings.ContainsRune(v, 0) {
			c.wrong(path, "must not hold a zero character")
		}
	case float64:
		if s.Minimum != nil && v < *s.Minimum {
			c.wrong(path, "must not be below %v", *s.Minimum)
		}
		if s.Maximum != nil && v > *s.Maximum {
			c.wrong(path, "must not be above %v", *s.Maximum)
		}
	}
}

func (c checker) checkObject(s *Schema, path string, v map[string]any) {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			c.wrong(join(path, name), "is missing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p, known := s.Properties[name]
		switch {
		case strings.ContainsRune(name, 0):
			c.wrong(path, "must not hold names with a zero character")
		case known:
			c.check(p, join(path, name), v[name])
		case s.AdditionalProperties != nil && s.AdditionalProperties.Not == nil:
			c.check(s.AdditionalProperties, join(path, name), v[name])
		default:
			c.wrong(join(path, short(name)), "is not a field; the fields are %s", strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", "))
		}
	}
}

func (c checker) checkType(s *Schema, path string, value any) bool {
	allowed := s.Types
	if s.Type != "" {
		allowed = []string{s.Type}
	}
	if len(allowed) == 0 {
		return true
	}
	got := typeOf(value)
	for _, want := range allowed {
		if want == got || want == "number" && got == "integer" {
			return true
		}
	}
	c.wrong(path, "must be %s, not %s", strings.Join(allowed, " or "), got)
	return false
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// short bounds a name that came from outside.
func short(name string) string {
	const limit = 64
	if len(name) <= limit {
		return name
	}
	return strings.ToValidUTF8(name[:limit], "") + "…"
}

func texts(values []any) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = fmt.Sprint(v)
	}
	return strings.Join(all, ", ")
}
