package notify

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"reeve/internal/config"
	"reeve/internal/ops"
)

// Decode fills the settings struct that into points to. Values may be of
// their own type or texts, as configuration from the environment is. An
// unknown name, a missing one that is required and a value outside its enum
// are errors that name the setting, and so is a sealed setting. The error is
// Unavailable when nothing else is wrong than that sealed settings cannot be
// opened.
func Decode(raw map[string]any, into any) error { return decode(raw, into, NothingSealed) }

// decode is Decode where a secret may be a sealed setting.
func decode(raw map[string]any, into any, sealed Opener) error {
	d := decoder{sealed: sealed, raw: raw, known: map[string]bool{}, wrong: map[string]string{}, unopened: map[string]string{}}
	d.fill(reflect.ValueOf(into).Elem())
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !d.known[name] {
			d.wrong[name] = "there is no such setting; " + d.suggest(name)
		}
	}
	kind := ops.Invalid
	if len(d.wrong) == 0 {
		if len(d.unopened) == 0 {
			return nil
		}
		kind, d.wrong = ops.Unavailable, d.unopened
	}
	names := slices.Sorted(maps.Keys(d.wrong))
	name := names[0]
	// A mistyped name explains why another one seems to be missing.
	if i := slices.IndexFunc(names, func(n string) bool { return !d.known[n] }); i >= 0 {
		name = names[i]
	}
	err := ops.Errorf(kind, "setting %s: %s", name, d.wrong[name])
	err.Fields = d.wrong
	return err
}

func (d *decoder) suggest(name string) string {
	known := slices.Sorted(maps.Keys(d.known))
	if near := config.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

type decoder struct {
	sealed Opener
	raw    map[string]any
	known  map[string]bool
	wrong  map[string]string
	// unopened are settings that are right as far as can be seen: their
	// sealed settings cannot be opened.
	unopened map[string]string
}

func (d *decoder) fill(into reflect.Value) {
	for i := range into.NumField() {
		field := into.Type().Field(i)
		if field.Anonymous {
			d.fill(into.Field(i))
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		d.known[name] = true
		value, given := d.raw[name]
		if text, ok := value.(string); !given || value == nil || ok && text == "" {
			value, given = field.Tag.Lookup("default")
		}
		if !given {
			if !strings.Contains(options, "omitempty") {
				d.wrong[name] = "is required"
			}
			continue
		}
		if err := d.assign(into.Field(i), value, field.Tag.Get("enum")); err != nil {
			d.fail(name, err)
		}
	}
}

// fail keeps what is wrong, with the names of settings inside as name.inner.
func (d *decoder) fail(name string, err error) {
	message, fields := ops.Shown(err)
	into := d.wrong
	if ops.KindOf(err) == ops.Unavailable {
		into = d.unopened
	}
	for inner, what := range fields {
		into[name+"."+inner] = what
	}
	if len(fields) == 0 {
		into[name] = message
	}
}

func (d *decoder) assign(into reflect.Value, value any, enum string) error {
	switch to := into.Addr().Interface().(type) {
	case *Secret:
		secret, err := ReadSecret(fmt.Sprint(value), d.sealed)
		*to = secret
		return err
	case *[]string:
		*to = words(value)
		return nil
	case *map[string]string:
		texts, err := pairs(value)
		*to = texts
		return err
	case *bool:
		b, err := strconv.ParseBool(fmt.Sprint(value))
		if err != nil {
			return ops.Errorf(ops.Invalid, "is true or false")
		}
		*to = b
		return nil
	case *int:
		n, err := strconv.Atoi(fmt.Sprint(value))
		if err != nil {
			return ops.Errorf(ops.Invalid, "is a whole number")
		}
		*to = n
		return nil
	case *string:
		*to = fmt.Sprint(value)
		if enum != "" && !slices.Contains(strings.Split(enum, ","), *to) {
			return ops.Errorf(ops.Invalid, "is one of %s", enum)
		}
		return nil
	case encoding.TextUnmarshaler:
		if err := to.UnmarshalText([]byte(fmt.Sprint(value))); err != nil {
			return ops.Because(ops.Invalid, err, "%s", err.Error())
		}
		return nil
	}
	if into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct {
		return d.assignStructs(into, value)
	}
	panic("notify: a setting cannot be of type " + into.Type().String())
}

// assignStructs fills a list of structs; each is decoded like the whole.
func (d *decoder) assignStructs(into reflect.Value, value any) error {
	list, ok := value.([]any)
	if !ok {
		return ops.Errorf(ops.Invalid, "is a list")
	}
	all := reflect.MakeSlice(into.Type(), len(list), len(list))
	for i, x := range list {
		raw, ok := x.(map[string]any)
		if !ok {
			return ops.Errorf(ops.Invalid, "entry %d is a list of names with values", i+1)
		}
		if err := decode(raw, all.Index(i).Addr().Interface(), d.sealed); err != nil {
			return err
		}
	}
	into.Set(all)
	return nil
}

// words answers a list; a text is split at commas.
func words(value any) []string {
	var all []string
	add := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	switch v := value.(type) {
	case []any:
		for _, x := range v {
			add(fmt.Sprint(x))
		}
	case []string:
		for _, x := range v {
			add(x)
		}
	default:
		for x := range strings.SplitSeq(fmt.Sprint(v), ",") {
			add(x)
		}
	}
	return all
}

func pairs(value any) (map[string]string, error) {
	texts := map[string]string{}
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			texts[k] = fmt.Sprint(x)
		}
	case map[string]string:
		maps.Copy(texts, v)
	default:
		return nil, ops.Errorf(ops.Invalid, "is a list of names with values")
	}
	return texts, nil
}
