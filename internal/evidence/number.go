package evidence

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Number is a value with what it is counted in: "ratio", "percent",
// "bytes", "seconds", "celsius", or "" for a plain count.
type Number struct {
	Value float64
	Unit  string
}

// UnitOf answers what a metric is counted in, after its name.
func UnitOf(metric string) string {
	for _, u := range []struct{ suffix, unit string }{
		{"_ratio", "ratio"}, {"_bytes", "bytes"}, {"_bytes_per_s", "bytes"}, {"_seconds", "seconds"}, {"_celsius", "celsius"},
	} {
		if strings.HasSuffix(metric, u.suffix) {
			return u.unit
		}
	}
	return ""
}

// most is how far a number with one digit may be from what it stands for.
const most = 0.02

// near reports whether a number that was written with the given last digit
// (0.1 for 4.2) stands for an actual one. With two digits or more it may be
// rounded to its last digit; beyond that it may be off by its last digit, but
// by no more than 2 % of the actual one: 0.97 stands for 0.9731, 1 does not.
func near(said, digit, actual float64) bool {
	if math.IsNaN(actual) || math.IsInf(actual, 0) {
		return false
	}
	off := math.Min(digit, most*math.Abs(actual))
	if math.Abs(said) >= 9.999*digit {
		off = math.Max(off, digit/2)
	}
	return math.Abs(said-actual) <= off+1e-9*math.Abs(actual)
}

// lastDigit answers the worth of the last digit of a number that is not
// zero: 0.01 for 0.97, 100 for 4200. What is beyond nine digits is how a
// computer counts, nothing that was said.
func lastDigit(v float64) float64 {
	text := strconv.FormatFloat(math.Abs(v), 'e', 8, 64)
	mantissa, exponent, _ := strings.Cut(text, "e")
	mantissa = strings.TrimRight(mantissa, "0")
	e, err := strconv.Atoi(exponent)
	if err != nil {
		return 0
	}
	_, decimals, _ := strings.Cut(mantissa, ".")
	return math.Pow10(e - len(decimals))
}

// A said is a number as it stands in a text.
type said struct {
	value, digit float64
	unit         unit
}

// A unit is how a number in a text is counted: the kind, and what one of it
// is worth; kilo may be 1000 or 1024.
type unit struct {
	kind  string // percent, bytes, time, celsius, ""
	worth []float64
}

var units = func() map[string]unit {
	all := map[string]unit{}
	put := func(u unit, names ...string) {
		for _, n := range names {
			all[n] = u
		}
	}
	put(unit{"percent", []float64{1}}, "%", "percent", "pct", "percentage")
	put(unit{"celsius", []float64{1}}, "°c", "c", "celsius", "degrees", "°")
	put(unit{"bytes", []float64{1}}, "b", "byte", "bytes")
	for i, p := range []string{"k", "m", "g", "t", "p", "e"} {
		ten, two := math.Pow(1000, float64(i+1)), math.Pow(1024, float64(i+1))
		put(unit{"bytes", []float64{ten, two}}, p+"b", p)
		put(unit{"bytes", []float64{two}}, p+"ib", p+"i")
	}
	for i, n := range []string{"kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"} {
		put(unit{"bytes", []float64{math.Pow(1000, float64(i+1)), math.Pow(1024, float64(i+1))}}, n, n+"s")
	}
	for i, n := range []string{"kibibyte", "mebibyte", "gibibyte", "tebibyte"} {
		put(unit{"bytes", []float64{math.Pow(1024, float64(i+1))}}, n, n+"s")
	}
	for _, t := range []struct {
		worth time.Duration
		names string
	}{
		{time.Microsecond, "µs us microsecond microseconds"}, {time.Millisecond, "ms millisecond milliseconds"},
		{time.Second, "s sec secs second seconds"}, {time.Minute, "min mins minute minutes"},
		{time.Hour, "h hr hrs hour hours"}, {24 * time.Hour, "d day days"}, {7 * 24 * time.Hour, "w week weeks"},
		{30 * 24 * time.Hour, "month months"}, {365 * 24 * time.Hour, "year years"},
	} {
		put(unit{"time", []float64{t.worth.Seconds()}}, strings.Fields(t.names)...)
	}
	return all
}()

// unitNamed answers the unit that a word is; rates are counted like what they
// are rates of.
func unitNamed(word string) (unit, bool) {
	word = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(word), "/s"), "ps")
	u, ok := units[word]
	return u, ok
}

var numberForm = regexp.MustCompile(`^([-+−]?)((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE]([-+]?\d{1,3}))?`)

// parseNumber reads the number at the beginning of a text and answers the
// rest; ok is false when there is none.
func parseNumber(text string) (n said, rest string, ok bool) {
	m := numberForm.FindStringSubmatch(text)
	if m == nil {
		return n, text, false
	}
	digits := strings.ReplaceAll(m[2], ",", "")
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return n, text, false
	}
	exponent := 0
	if m[3] != "" {
		if exponent, err = strconv.Atoi(m[3]); err != nil {
			return n, text, false
		}
	}
	_, decimals, _ := strings.Cut(digits, ".")
	n.value, n.digit = v*math.Pow10(exponent), math.Pow10(exponent-len(decimals))
	if m[1] == "-" || m[1] == "−" {
		n.value = -n.value
	}
	return n, text[len(m[0]):], true
}

// fits reports whether a number in a text stands for a known one.
func (n said) fits(k Number) bool {
	switch n.unit.kind {
	case "":
		return near(n.value, n.digit, k.Value)
	case "percent":
		switch k.Unit {
		case "percent":
			return near(n.value, n.digit, k.Value)
		case "ratio":
			return near(n.value, n.digit, k.Value*100)
		}
		return false
	case "time":
		return k.Unit == "seconds" && n.worth(k.Value)
	}
	return k.Unit == n.unit.kind && n.worth(k.Value)
}

func (n said) worth(actual float64) bool {
	for _, w := range n.unit.worth {
		if near(n.value*w, n.digit*w, actual) {
			return true
		}
	}
	return false
}

// lasts reports whether a time that a text says is a known one. People say 3
// hours for what lasts from two and a half to just under four.
func (n said) lasts(d time.Duration) bool {
	if n.unit.kind != "time" {
		return false
	}
	have := math.Abs(d.Seconds()) / n.unit.worth[0]
	down, off := have-n.value, math.Abs(have-n.value)
	return down >= 0 && down < n.digit || off <= n.digit/2 || off <= most*have
}
