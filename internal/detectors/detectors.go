// Package detectors is the catalogue of conditions: what counts as a problem
// of a resource, one file each. A detector judges what is known now; package
// detect keeps the time for which that must last. What is not known is never
// judged: it answers NoData.
package detectors

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"reeve/internal/catalog"
	"reeve/internal/detect"
	"reeve/internal/ops"
)

var all = catalog.New("detector", func(d detect.Definition) string { return d.Name })

// All answers every detector of this build, sorted by name.
func All() []detect.Definition { return all.All() }

// Get answers the detector of a condition.
func Get(name string) (detect.Definition, bool) { return all.Get(name) }

// Steps makes the usual three thresholds of a level: warning, critical, and
// how far below the warning it must fall to count as good again.
func steps(unit string, warning, critical, margin float64) []detect.Threshold {
	return []detect.Threshold{
		{Name: "warning", Default: warning, Unit: unit, Doc: "A warning from here on."},
		{Name: "critical", Default: critical, Unit: unit, Doc: "Critical from here on."},
		{Name: "margin", Default: margin, Unit: unit, Doc: "It clears when it is this far below the warning."},
	}
}

// Judge compares a value with the thresholds of steps. The sentence is kept
// for good verdicts too: it explains why there is no finding.
func judge(s detect.Subject, v float64, format string, args ...any) detect.Verdict {
	state, sev := detect.Levels(v, s.Limit("warning"), s.Limit("critical"), s.Limit("margin"))
	return say(state, sev, format, args...)
}

// Say makes a verdict of any state with a sentence.
func say(state detect.State, sev ops.Severity, format string, args ...any) detect.Verdict {
	return detect.Verdict{State: state, Severity: sev, Summary: fmt.Sprintf(format, args...)}
}

// Fine is a good verdict that says why.
func fine(format string, args ...any) detect.Verdict {
	return say(detect.Good, "", format, args...)
}

// Reading answers the newest reading of a metric and its series, ok being
// false when there is none that is recent enough.
func reading(s detect.Subject, metric string) (v float64, x ops.Series, ok bool) {
	if x, ok = s.One(metric); !ok {
		return 0, x, false
	}
	v, ok = s.Fresh(x)
	return v, x, ok && finite(v)
}

// Finite tells a number from what a broken source may give for one.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Slow answers the newest reading of a metric that is read rarely, such as
// those of SMART: as old as the definition's window allows.
func slow(s detect.Subject, metric string) (v float64, x ops.Series, ok bool) {
	if x, ok = s.One(metric); !ok {
		return 0, x, false
	}
	p, _ := x.Last()
	return p.Value, x, finite(p.Value)
}

// Mean answers the mean of a series over its last span; ok is false when the
// newest point is too old to count. A series that is read less often than
// the span answers its newest point.
func mean(s detect.Subject, x ops.Series, span time.Duration) (v float64, ok bool) {
	if v, ok = s.Fresh(x); !ok {
		return 0, false
	}
	last, _ := x.Last()
	sum, n := 0.0, 0
	for i := len(x.Points) - 1; i >= 0 && last.At.Sub(x.Points[i].At) < span; i-- {
		sum += x.Points[i].Value
		n++
	}
	v = sum / float64(n)
	return v, finite(v)
}

// Labelled answers the series of a metric whose label has the value.
func labelled(s detect.Subject, metric, label, value string) (x ops.Series, ok bool) {
	for _, x := range s.All(metric) {
		if x.Labels[label] == value && len(x.Points) > 0 {
			return x, true
		}
	}
	return ops.Series{}, false
}

// Happened answers the events of a type in the last span, and how many times
// they happened together.
func happened(s detect.Subject, typ ops.EventType, span time.Duration) (events []ops.Event, times int64) {
	for _, e := range s.Events {
		if e.Type == typ && s.Now.Sub(e.At) <= span {
			events = append(events, e)
			times += max(e.Count, 1)
		}
	}
	return events, times
}

// Lines answers the newest texts of events, each text once and at most five.
func lines(events []ops.Event) (quotes []string) {
	seen := map[string]bool{}
	for i := len(events) - 1; i >= 0 && len(quotes) < 5; i-- {
		if text := events[i].Text; text != "" && !seen[text] {
			seen[text] = true
			quotes = append(quotes, text)
		}
	}
	return quotes
}

// Points answers a ratio in percent, free of the noise of binary fractions:
// 0.29 is 29 and not 28.999….
func points(ratio float64) float64 { return math.Round(ratio*1e8) / 1e6 }

// Percent writes a ratio for people. What is nearly full is never written as
// 100 %, nor what is nearly nothing as 0 %.
func percent(ratio float64) string {
	p := points(ratio)
	if p > 99 && p < 100 || p > 0 && p < 1 {
		return strconv.FormatFloat(math.Trunc(p*10)/10, 'f', -1, 64) + " %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}

// Bytes writes a size for people, in powers of 1000.
func bytes(n float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	u := 0
	for math.Abs(n) >= 999.5 && u < len(units)-1 {
		n /= 1000
		u++
	}
	if u > 0 && math.Abs(n) < 9.95 {
		return fmt.Sprintf("%.1f %s", n, units[u])
	}
	return fmt.Sprintf("%.0f %s", n, units[u])
}

// Span writes a duration for people, in its one or two largest units.
func span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Seconds answers a duration of at most a hundred years, so that a broken
// figure cannot turn over.
func seconds(n float64) time.Duration {
	const most = 100 * 365 * 24 * 3600
	if math.IsNaN(n) {
		return 0
	}
	return time.Duration(max(-most, min(n, most)) * float64(time.Second))
}

// Clock writes a time for people; every time that Reeve writes is UTC.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Count writes a number with its noun.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// workloadProblem judges a declared workload by what reconciliation found: a
// reason under the name of the condition.
func workloadProblem(s detect.Subject, condition string, severity ops.Severity) detect.Verdict {
	why, ok := s.Resource.Observed.Text(condition)
	if !ok {
		return fine("%s is as it should be", s.Resource.Name)
	}
	desired, _ := s.Resource.Observed.Text("desired")
	observed, _ := s.Resource.Observed.Text("observed")
	return detect.Badf(severity, "%s: %s", s.Resource.Name, why).Fact("desired", "%s", desired).Fact("observed", "%s", observed).AtOnce()
}
