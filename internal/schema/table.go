package schema

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Table renders the reference of a struct as a Markdown table: one row for
// each field, those of inner structs with dots. It reads the json tag, or the
// koanf tag where there is none.
func Table(t reflect.Type) string {
	var b strings.Builder
	b.WriteString("| name | type | default | what |\n|---|---|---|---|\n")
	tableRows(&b, "", t, 0)
	return b.String()
}

// maxDepth ends the table of a type that holds itself.
const maxDepth = 8

func tableRows(b *strings.Builder, prefix string, t reflect.Type, depth int) {
	for f := range fieldsOf(t) {
		name, _ := nameOf(f)
		name = prefix + name
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, typeText(f), defaultText(f), cell(f.Tag.Get("doc")))
		if in, suffix, ok := innerStruct(f.Type); ok && depth < maxDepth {
			tableRows(b, name+suffix+".", in, depth+1)
		}
	}
}

// innerStruct answers the struct that a field holds and how a name goes on
// into it.
func innerStruct(t reflect.Type) (in reflect.Type, suffix string, ok bool) {
	switch t.Kind() {
	case reflect.Pointer:
		return innerStruct(t.Elem())
	case reflect.Slice:
		in, suffix, ok = innerStruct(t.Elem())
		return in, "[]" + suffix, ok
	case reflect.Map:
		in, suffix, ok = innerStruct(t.Elem())
		return in, ".NAME" + suffix, ok
	}
	return t, "", t.Kind() == reflect.Struct && leaf(t) == nil
}

func typeText(f reflect.StructField) string {
	if enum := f.Tag.Get("enum"); enum != "" {
		words := strings.Split(enum, ",")
		for i, w := range words {
			words[i] = "`" + strings.TrimSpace(w) + "`"
		}
		return strings.Join(words, ", ")
	}
	return kindText(f.Type)
}

func kindText(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case leaf(t) != nil && leaf(t).Type == "":
		return "anything"
	case leaf(t) != nil:
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindText(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice, reflect.Array:
		return "list of " + kindText(t.Elem())
	case reflect.Map:
		return "names with " + kindText(t.Elem())
	case reflect.Struct:
		return "section"
	case reflect.Interface:
		return "anything"
	}
	return "whole number"
}

func defaultText(f reflect.StructField) string {
	if d, ok := f.Tag.Lookup("default"); ok {
		return "`" + cell(d) + "`"
	}
	if !optional(f) && f.Tag.Get("koanf") == "" {
		return "required"
	}
	return ""
}

// cell keeps a text inside its cell.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
