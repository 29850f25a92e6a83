package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/internal/schema"
)

// NoInput is the input of a route that takes none.
type NoInput struct{}

// ByID is the input of a route about one thing.
type ByID struct {
	ID string `path:"id"`
}

// A plan says where the fields of an input struct come from, by their tags:
// path, query, header, or body for the struct that the JSON body becomes.
type plan struct {
	fields []source
	body   int // index of the body's field, -1 without one
	schema *schema.Schema
}

type source struct {
	index    int
	in, name string
	enum     []string
}

func planOf(t reflect.Type) plan {
	p := plan{body: -1}
	for i := range t.NumField() {
		f := t.Field(i)
		if _, ok := f.Tag.Lookup("body"); ok {
			p.body, p.schema = i, schema.For(f.Type)
			continue
		}
		for _, in := range []string{"path", "query", "header"} {
			if name, ok := f.Tag.Lookup(in); ok {
				s := source{index: i, in: in, name: name}
				if enum := f.Tag.Get("enum"); enum != "" {
					s.enum = strings.Split(enum, ",")
				}
				p.fields = append(p.fields, s)
			}
		}
	}
	return p
}

func (p plan) decode(r *http.Request, into reflect.Value) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return ops.Because(ops.Invalid, err, "the query of the address cannot be read")
	}
	for _, f := range p.fields {
		var values []string
		switch f.in {
		case "path":
			values = []string{r.PathValue(f.name)}
		case "header":
			values = r.Header.Values(f.name)
		default:
			values = query[f.name]
		}
		if err := f.set(into.Field(f.index), values); err != nil {
			return err
		}
	}
	if p.body < 0 {
		return nil
	}
	return p.decodeBody(r, into.Field(p.body))
}

func (f source) set(into reflect.Value, values []string) error {
	for _, v := range values {
		if len(v) > 4096 || !PlainText(v) {
			return Invalid(f.name, "%s is too long or is not text", f.name)
		}
		if f.enum != nil && v != "" {
			if err := Among(f.name, f.name, v, f.enum); err != nil {
				return err
			}
		}
	}
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return nil
	}
	switch to := into.Addr().Interface().(type) {
	case *string:
		*to = values[0]
	case *[]string:
		*to = words(values)
	case *map[string]string:
		return f.setPairs(to, values)
	case *int:
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 0 {
			return Invalid(f.name, "%s must be a whole number that is not negative", f.name)
		}
		*to = n
	case *bool:
		b, err := strconv.ParseBool(values[0])
		if err != nil {
			return Invalid(f.name, "%s must be true or false", f.name)
		}
		*to = b
	case *time.Time:
		t, err := parseTime(values[0])
		if err != nil {
			return Invalid(f.name, "%s must be a time like 2026-01-31T08:30:00Z", f.name)
		}
		*to = t
	default:
		panic(fmt.Sprintf("rest: input %s has type %v", f.name, into.Type()))
	}
	return nil
}

// PlainText reports whether every database takes s as a text.
func PlainText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// words splits repeated and comma-separated values.
func words(values []string) []string {
	var all []string
	for _, v := range values {
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" && len(all) < 100 {
				all = append(all, w)
			}
		}
	}
	return all
}

func (f source) setPairs(to *map[string]string, values []string) error {
	pairs := map[string]string{}
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" || len(pairs) > 20 {
			return Invalid(f.name, "%s must be NAME=VALUE, at most 20 times", f.name)
		}
		pairs[name] = value
	}
	*to = pairs
	return nil
}

// parseTime reads RFC 3339 or seconds since 1970.
func parseTime(text string) (time.Time, error) {
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 && s < 1e11 {
		return time.UnixMilli(int64(s * 1000)).UTC(), nil
	}
	return time.Parse(time.RFC3339, text)
}

func (p plan) decodeBody(r *http.Request, into reflect.Value) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if len(text) == 0 {
		text = []byte("{}")
	} else if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return WithStatus(http.StatusUnsupportedMediaType, ops.Errorf(ops.Invalid, "the body must be JSON and say so: Content-Type: application/json"))
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return ops.Because(ops.Invalid, err, "the body is not valid JSON")
	}
	if wrong := schema.Check(p.schema, value); len(wrong) > 0 {
		name := slices.Sorted(maps.Keys(wrong))[0]
		e := ops.Errorf(ops.Invalid, "%s", strings.TrimSpace(name+" "+wrong[name]))
		e.Fields = wrong
		return e
	}
	if err := json.Unmarshal(text, into.Addr().Interface()); err != nil {
		return ops.Because(ops.Invalid, err, "the body does not fit what this address takes")
	}
	return nil
}

// Among answers an error that names the nearest known value when a value of a
// filter is none: an empty list would say that all is well.
func Among[T ~string](field, what, value string, known []T) error {
	if slices.Contains(known, T(value)) {
		return nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	if near := config.Nearest(value, names); near != "" {
		return Invalid(field, "there is no %s %q; did you mean %s?", what, Short(value), near)
	}
	if len(names) == 0 {
		return Invalid(field, "there is no %s %q", what, Short(value))
	}
	return Invalid(field, "there is no %s %q; there are %s", what, Short(value), strings.Join(names, ", "))
}
