package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// unknownKeys lists the keys of a tree that a struct does not have, each with
// the nearest one that it has.
func unknownKeys(tree map[string]any, t reflect.Type, at string) []string {
	fields := fieldsOf(t)
	var wrong []string
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		f, ok := fields[key]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is not a setting%s", at+key, suggestion(at, key, fields)))
			continue
		}
		wrong = append(wrong, unknownBelow(tree[key], f, at+key)...)
	}
	return wrong
}

func unknownBelow(value any, t reflect.Type, at string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return unknownBelow(value, t.Elem(), at)
	case reflect.Struct:
		if sub, ok := value.(map[string]any); ok {
			return unknownKeys(sub, t, at+".")
		}
	case reflect.Map:
		var wrong []string
		if sub, ok := value.(map[string]any); ok && t.Elem().Kind() == reflect.Struct {
			for _, k := range slices.Sorted(maps.Keys(sub)) {
				wrong = append(wrong, unknownBelow(sub[k], t.Elem(), at+"."+k)...)
			}
		}
		return wrong
	case reflect.Slice:
		var wrong []string
		if list, ok := value.([]any); ok && t.Elem().Kind() == reflect.Struct {
			for i, x := range list {
				wrong = append(wrong, unknownBelow(x, t.Elem(), fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
		return wrong
	}
	return nil
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		if name := f.Tag.Get("koanf"); name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

func suggestion(at, key string, fields map[string]reflect.Type) string {
	near := Nearest(key, slices.Sorted(maps.Keys(fields)))
	if near == "" {
		return "; known here are " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	}
	return fmt.Sprintf("; did you mean %s?", at+near)
}

// Nearest answers the word that key was probably meant to be, "" when none is
// near: a word of which less than half is left was not meant.
func Nearest(key string, known []string) string {
	best, distance := "", min(max(2, len(key)/3), len(key)/2)+1
	for _, k := range known {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance is the optimal string alignment distance: insertions,
// deletions, substitutions and swaps of neighbours count one each.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// leaves answers the dotted keys of settings that hold one value, for the
// environment: lists and maps are for the file.
func leaves(t reflect.Type, at string) []string {
	var keys []string
	for name, f := range fieldsOf(t) {
		switch {
		case f.Kind() == reflect.Struct:
			keys = append(keys, leaves(f, at+name+".")...)
		case f.Kind() == reflect.Map, f.Kind() == reflect.Slice && f.Elem().Kind() != reflect.String:
		default:
			keys = append(keys, at+name)
		}
	}
	slices.Sort(keys)
	return keys
}

// EnvName answers the environment variable of a setting: REEVE_METRICS_URL
// for metrics.url.
func EnvName(key string) string {
	return "REEVE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}
