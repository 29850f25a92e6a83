package config

import (
	"reflect"
	"slices"

	"reeve/internal/collect"
	"reeve/internal/redact"
)

// Masked answers a configuration as it may be shown: settings that hold
// secrets are replaced, in channels all but name and type.
func Masked(c Config) map[string]any { return maskStruct(reflect.ValueOf(c)) }

func maskStruct(v reflect.Value) map[string]any {
	shown := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := field.Tag.Get("koanf")
		if name == "" || name == "-" {
			continue
		}
		value := v.Field(i)
		switch {
		case name == "channels":
			shown[name] = maskChannels(value.Interface().([]map[string]any))
		case name == "checks":
			shown[name] = maskChecks(value.Interface().([]collect.Check))
		case field.Tag.Get("secret") != "" && value.Kind() == reflect.String:
			shown[name] = maskText(value.String())
		case value.Kind() == reflect.Struct:
			shown[name] = maskStruct(value)
		case value.Kind() == reflect.Map && value.Type().Elem().Kind() == reflect.Struct:
			shown[name] = maskStructs(value)
		default:
			shown[name] = value.Interface()
		}
	}
	return shown
}

// maskStructs is maskStruct for each value of a map.
func maskStructs(v reflect.Value) map[string]any {
	shown := map[string]any{}
	for _, key := range v.MapKeys() {
		shown[key.String()] = maskStruct(v.MapIndex(key))
	}
	return shown
}

func maskText(s string) string {
	switch {
	case s == "":
		return ""
	case len(s) > 7 && s[:7] == "sqlite:":
		return s
	}
	if shown := redact.URL(s); shown != redact.Mask {
		return shown
	}
	return redact.Mask
}

// maskChecks hides the values of headers and what of a target is not its
// place: they often hold a token.
func maskChecks(all []collect.Check) []collect.Check {
	shown := slices.Clone(all)
	for i := range shown {
		headers := map[string]string{}
		for name := range shown[i].Headers {
			headers[name] = redact.Mask
		}
		shown[i].Headers = headers
		if shown[i].Type == "http" {
			shown[i].Target = redact.URL(shown[i].Target)
		}
	}
	return shown
}

func maskChannels(all []map[string]any) []map[string]any {
	shown := make([]map[string]any, len(all))
	for i, c := range all {
		shown[i] = map[string]any{}
		for k, v := range c {
			if k != "name" && k != "type" {
				v = redact.Mask
			}
			shown[i][k] = v
		}
	}
	return shown
}
