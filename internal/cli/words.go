package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"reeve/internal/config"
)

// age says how long ago a time was, in one or two units.
func age(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return span(now.Sub(at))
}

// span writes a time span in its two largest units.
func span(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.of {
			continue
		}
		text := sign + strconv.FormatInt(int64(d/u.of), 10) + u.name
		if rest := d % u.of; i+1 < len(units) && rest >= units[i+1].of && d < 10*u.of {
			text += " " + strconv.FormatInt(int64(rest/units[i+1].of), 10) + units[i+1].name
		}
		return text
	}
	if d >= time.Millisecond {
		return sign + strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	return "0s"
}

func spanMS(ms int64) string { return span(time.Duration(ms) * time.Millisecond) }

// stamp writes a time in the zone of the reader.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
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

// ratio writes a part of one as percent.
func ratio(v *float64) string {
	if v == nil {
		return ""
	}
	return percent(*v)
}

func percent(v float64) string {
	switch p := v * 100; {
	case p != 0 && math.Abs(p) < 10:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	default:
		return strconv.FormatFloat(p, 'f', 0, 64) + "%"
	}
}

// bytesText writes bytes in the unit that suits.
func bytesText(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for math.Abs(v) >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	digits := 1
	if i == 0 || math.Abs(v) >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + units[i]
}

// reading writes a value of a metric in the unit that its name says.
func reading(metric string, v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return strings.TrimSuffix(fmt.Sprintf("%+f", v), "inity")
	case strings.HasSuffix(metric, "_ratio"):
		return percent(v)
	case strings.HasSuffix(metric, "_bytes_per_s"):
		return bytesText(v) + "/s"
	case strings.HasSuffix(metric, "_bytes"):
		return bytesText(v)
	case strings.HasSuffix(metric, "_celsius"):
		return number(v) + " C"
	case strings.HasSuffix(metric, "_seconds") && math.Abs(v) >= 60 && math.Abs(v) < 1e9:
		return span(time.Duration(v * float64(time.Second)))
	case strings.HasSuffix(metric, "_seconds"):
		return number(v) + " s"
	case strings.HasSuffix(metric, "_per_s"):
		return number(v) + "/s"
	}
	return number(v)
}

// number writes a number with four digits that matter.
func number(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e7:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case a >= 1000 && a < 1e7:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
