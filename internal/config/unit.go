package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Duration is a time span that people write as 90s, 5m, 12h, 30d, 2w or 1y,
// also one after the other: 1d12h.
type Duration time.Duration

// Days answers a span of days.
func Days(n int) Duration { return Duration(time.Duration(n) * 24 * time.Hour) }

var (
	spanForm = regexp.MustCompile(`^(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)`)
	spans    = map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
	}
)

// ParseDuration reads a span. 0 needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "0" {
		return 0, nil
	}
	var total float64
	for first := true; rest != "" || first; first = false {
		m := spanForm.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("%q is not a time span; write it as 90s, 5m, 12h, 30d, 2w or 1y", text)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a time span: %w", text, err)
		}
		total += n * float64(spans[m[2]])
		rest = rest[len(m[0]):]
	}
	if total > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is too long a time span", text)
	}
	return time.Duration(total), nil
}

// UnmarshalText reads what a person wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// MarshalText writes the span as people do.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the span with whole days where it has them.
func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := time.Duration(d).String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// A Size is a number of bytes that people write as 500MB or 8GiB; units are
// of 1024 either way.
type Size int64

var sizeForm = regexp.MustCompile(`(?i)^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?\s*$`)

// UnmarshalText reads what a person wrote.
func (s *Size) UnmarshalText(text []byte) error {
	m := sizeForm.FindStringSubmatch(string(text))
	if m == nil {
		return fmt.Errorf("%q is not a size; write it as 500MB or 8GB", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return fmt.Errorf("%q is not a size: %w", text, err)
	}
	n *= math.Pow(1024, float64(strings.Index("kmgt", strings.ToLower(m[2]))+1)*flag(m[2] != ""))
	if n > math.MaxInt64/2 {
		return fmt.Errorf("%q is too large a size", text)
	}
	*s = Size(n)
	return nil
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// MarshalText writes the size in the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) {
	n, unit := int64(s), ""
	for _, u := range []string{"KB", "MB", "GB", "TB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return fmt.Appendf(nil, "%d%s", n, unit), nil
}
