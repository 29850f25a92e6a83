package schema

import (
	"iter"
	"reflect"
	"strings"
)

// fieldsOf yields the fields that JSON sees, embedded structs flattened.
func fieldsOf(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if _, seen := nameOf(f); f.Anonymous || !f.IsExported() || !seen {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// nameOf answers the name of a field outside the program: its json name, or
// its koanf name where it has none. seen is false for a field that is not
// shown.
func nameOf(f reflect.StructField) (name string, seen bool) {
	for _, tag := range []string{"json", "koanf"} {
		text, ok := f.Tag.Lookup(tag)
		if !ok {
			continue
		}
		if name, _, _ = strings.Cut(text, ","); name == "-" {
			return "", false
		}
		if name != "" {
			return name, true
		}
	}
	return f.Name, true
}

// optional reports whether a field may be left out.
func optional(f reflect.StructField) bool {
	_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	for o := range strings.SplitSeq(options, ",") {
		if o == "omitempty" || o == "omitzero" {
			return true
		}
	}
	_, ok := f.Tag.Lookup("default")
	return ok
}
