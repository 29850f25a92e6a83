package cli

import (
	"net/url"
	"strings"
	"time"

	"reeve/internal/config"
)

// putSpans reads spans into the body as milliseconds.
func putSpans(body map[string]any, spans map[string]string) error {
	for name, text := range spans {
		if text == "" {
			continue
		}
		d, err := config.ParseDuration(text)
		if err != nil {
			return wrongUse("--%s %s", strings.TrimSuffix(name, "_ms"), err)
		}
		body[name] = d.Milliseconds()
	}
	return nil
}

func putPairs(body map[string]any, lists map[string][]string) error {
	for name, list := range lists {
		if len(list) == 0 {
			continue
		}
		pairs := map[string]string{}
		for _, text := range list {
			key, value, ok := strings.Cut(text, "=")
			if !ok || key == "" {
				return wrongUse("--%s %q is not NAME=VALUE", strings.TrimSuffix(name, "s"), text)
			}
			pairs[key] = value
		}
		body[name] = pairs
	}
	return nil
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// parseUntil reads an end: a span from now, or a time.
func parseUntil(text string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, wrongUse("%q is neither a span nor a time; write it as 2h, 3d or 2026-01-31T08:30:00Z", text)
}
