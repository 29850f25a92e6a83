package brief

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Amount writes a value of a metric with the unit that the metric's name ends
// with, for people: a ratio in percent, bytes in powers of 1000.
func Amount(metric string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "no number"
	}
	unit := metric[strings.LastIndexByte(metric, '_')+1:]
	switch unit {
	case "ratio":
		return digits(v*100) + " %"
	case "bytes":
		return sized(v)
	case "seconds":
		return length(v)
	case "celsius":
		return digits(v) + " °C"
	case "watts":
		return digits(v) + " W"
	case "rpm":
		return digits(v) + " rpm"
	}
	return digits(v)
}

// digits writes a number with three significant digits, whole ones whole.
func digits(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	if a := math.Abs(v); a >= 100 && a < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func sized(n float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	u := 0
	for math.Abs(n) >= 999.5 && u < len(units)-1 {
		n /= 1000
		u++
	}
	return digits(n) + " " + units[u]
}

// length writes seconds in their largest units.
func length(s float64) string {
	a := math.Abs(s)
	switch {
	case a < 1:
		return digits(s*1000) + " ms"
	case a < 120:
		return digits(s) + " s"
	case a < 7200:
		return digits(math.Trunc(s/60)) + " min"
	case a < 172800:
		return digits(math.Trunc(s/3600)) + " h"
	}
	return digits(math.Trunc(s/86400)) + " days"
}

// Age writes how long ago something was, in its largest unit: 12m, 3h, 5d.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
