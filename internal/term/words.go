package term

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Age says how long ago a time was, in one or two units.
func Age(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return Span(now.Sub(at))
}

// Span writes a time span in its two largest units.
func Span(d time.Duration) string {
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

// SpanMS writes a time span of milliseconds.
func SpanMS(ms int64) string { return Span(time.Duration(ms) * time.Millisecond) }

// Stamp writes a time in the zone of the reader.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Ratio writes a part of one as percent.
func Ratio(v *float64) string {
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

// Bytes writes bytes in the unit that suits.
func Bytes(v float64) string {
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

// Reading writes a value of a metric in the unit that its name says.
func Reading(metric string, v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return strings.TrimSuffix(fmt.Sprintf("%+f", v), "inity")
	case strings.HasSuffix(metric, "_ratio"):
		return percent(v)
	case strings.HasSuffix(metric, "_bytes_per_s"):
		return Bytes(v) + "/s"
	case strings.HasSuffix(metric, "_bytes"):
		return Bytes(v)
	case strings.HasSuffix(metric, "_celsius"):
		return Number(v) + " C"
	case strings.HasSuffix(metric, "_seconds") && math.Abs(v) >= 60 && math.Abs(v) < 1e9:
		return Span(time.Duration(v * float64(time.Second)))
	case strings.HasSuffix(metric, "_seconds"):
		return Number(v) + " s"
	case strings.HasSuffix(metric, "_per_s"):
		return Number(v) + "/s"
	}
	return Number(v)
}

// Number writes a number with four digits that matter.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e7:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case a >= 1000 && a < 1e7:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// Dollars writes what something cost, which may not be known.
func Dollars(micro *int64) string {
	if micro == nil {
		return "cost unknown"
	}
	return USD(*micro)
}

// USD writes millionths of a dollar as dollars.
func USD(micro int64) string {
	if micro != 0 && micro < 10_000 {
		return fmt.Sprintf("$%.6f", float64(micro)/1e6)
	}
	return fmt.Sprintf("$%.2f", float64(micro)/1e6)
}

// Micros writes a time span of microseconds in the unit that suits.
func Micros(us int64) string {
	if us < 1000 {
		return fmt.Sprintf("%dµs", us)
	}
	return Span(max(time.Duration(us)*time.Microsecond, time.Millisecond))
}

// Plural writes a count with its noun.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Shortened answers the IDs of all cut to the shortest length at which they differ, at
// least so long that two of different times do.
func Shortened[T any](all []T, idOf func(T) string) map[string]string {
	const least = 17
	short := map[string]string{}
	for n := least; ; n++ {
		clear(short)
		seen := map[string]string{}
		unique := true
		for _, x := range all {
			id := idOf(x)
			s := id[:min(n, len(id))]
			if other, ok := seen[s]; ok && other != id {
				unique = false
			}
			seen[s], short[id] = id, s
		}
		if unique {
			return short
		}
	}
}
