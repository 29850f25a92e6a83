package evidence

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// The bounds of a claim about a metric.
const (
	defaultMinutes = 60
	maxMinutes     = 7 * 24 * 60
	maxKept        = 500 // points stored as evidence
	// recent is how old a reading may be and still be the last one: a claim
	// comes some time after the look that it rests on.
	recent = 10 * time.Minute
)

func stat(c ops.Claim) string {
	if c.Stat == "" {
		return "last"
	}
	return c.Stat
}

func minutes(c ops.Claim) int64 {
	if c.Minutes == 0 {
		return defaultMinutes
	}
	return c.Minutes
}

// checkMetric recomputes a statistic. Where the resource has several series of
// the metric, the claim holds when it does for one of them; Name chooses those
// that have it as a value of a label.
//
// The value counts in the metric's own unit. It may also be what Text says
// beside it (%, GiB, min ...), and percent for a ratio when it is above 1.
func checkMetric(ctx context.Context, src Source, now time.Time, c ops.Claim) Result {
	switch {
	case c.Metric == "" || c.Value == nil:
		return refuse("a claim about a metric has its name and a value")
	case math.IsNaN(*c.Value) || math.IsInf(*c.Value, 0):
		return refuse("the value is no number")
	case c.Minutes < 0 || c.Minutes > maxMinutes:
		return refuse("minutes are from 1 to %d", maxMinutes)
	}
	if !slices.Contains([]string{"last", "avg", "min", "max", "delta"}, stat(c)) {
		return refuse("a statistic is last, avg, min, max or delta, not %q", redact.Line(c.Stat, 40))
	}
	from := now.Add(-time.Duration(minutes(c)) * time.Minute)
	list, err := src.Series(ctx, c.ResourceID, c.Metric, from, now)
	if err != nil {
		return refuse("the metric cannot be read now")
	}
	var actual []string
	for _, s := range list {
		if c.Name != "" && !hasLabel(s, c.Name) {
			continue
		}
		values, ok := statistic(stat(c), s, now)
		if !ok {
			continue
		}
		if slices.ContainsFunc(values, func(v float64) bool { return saidOf(c, v) }) {
			return Result{OK: true, Evidence: ops.Evidence{What: Say(c), Query: query(c), From: from, To: now, Series: []ops.Series{thin(s, stat(c))}}}
		}
		actual = append(actual, strconv.FormatFloat(values[0], 'g', 4, 64))
	}
	if len(actual) == 0 {
		return refuse("there is no %s of the resource in the last %d minutes", redact.Line(c.Metric, 80), minutes(c))
	}
	return refuse("%s of %s over %d minutes is %s", stat(c), redact.Line(c.Metric, 80), minutes(c), strings.Join(actual[:min(len(actual), 5)], ", "))
}

func hasLabel(s ops.Series, value string) bool {
	for _, v := range s.Labels {
		if v == value {
			return true
		}
	}
	return false
}

// statistic answers the statistic of a series; for last all that were the last
// one within recent, the newest first.
func statistic(name string, s ops.Series, now time.Time) (values []float64, ok bool) {
	points := make([]ops.Point, 0, len(s.Points))
	for _, p := range s.Points {
		if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) && !p.At.After(now.Add(ahead)) {
			points = append(points, p)
		}
	}
	if len(points) == 0 {
		return nil, false
	}
	first, last := points[0].Value, points[len(points)-1]
	lowest, highest, sum := first, first, 0.0
	for _, p := range points {
		lowest, highest, sum = min(lowest, p.Value), max(highest, p.Value), sum+p.Value
	}
	switch name {
	case "avg":
		return []float64{sum / float64(len(points))}, true
	case "min":
		return []float64{lowest}, true
	case "max":
		return []float64{highest}, true
	case "delta":
		return []float64{delta(s.Metric, points)}, true
	}
	values = []float64{last.Value}
	for i := len(points) - 2; i >= 0 && last.At.Sub(points[i].At) <= recent && now.Sub(points[i].At) <= recent; i-- {
		values = append(values, points[i].Value)
	}
	return values, true
}

// delta answers how much a value changed; of a counter, how much it rose with
// its resets.
func delta(metric string, points []ops.Point) float64 {
	if !strings.HasSuffix(metric, "_total") {
		return points[len(points)-1].Value - points[0].Value
	}
	rise := 0.0
	for i := 1; i < len(points); i++ {
		d := points[i].Value - points[i-1].Value
		if d < 0 {
			d = points[i].Value
		}
		rise += d
	}
	return rise
}

// saidOf reports whether the value of a claim stands for an actual one.
func saidOf(c ops.Claim, actual float64) bool {
	v := *c.Value
	if v == 0 {
		return actual == 0
	}
	n := said{value: v, digit: lastDigit(v)}
	if word := strings.TrimSpace(c.Text); word != "" {
		if u, ok := unitNamed(word); ok {
			n.unit = u
			return n.fits(Number{actual, UnitOf(c.Metric)})
		}
	}
	if near(v, n.digit, actual) {
		return true
	}
	return UnitOf(c.Metric) == "ratio" && math.Abs(v) > 1 && near(v, n.digit, actual*100)
}

// query answers PromQL for the statistic.
func query(c ops.Claim) string {
	selector := fmt.Sprintf("%s{resource=%q}", c.Metric, c.ResourceID)
	f := map[string]string{"avg": "avg_over_time", "min": "min_over_time", "max": "max_over_time", "delta": "delta"}[stat(c)]
	if f == "delta" && strings.HasSuffix(c.Metric, "_total") {
		f = "increase"
	}
	if f == "" {
		return selector
	}
	return fmt.Sprintf("%s(%s[%dm])", f, selector, minutes(c))
}

// thin bounds what is stored of a series so that the statistic can still be
// recomputed: for avg means of equally many points, else every nth with the
// ends and the extremes.
func thin(s ops.Series, stat string) ops.Series {
	if stat == "last" {
		s.Points = s.Points[max(0, len(s.Points)-60):]
	}
	if len(s.Points) <= maxKept {
		return s
	}
	every := (len(s.Points) + maxKept - 1) / maxKept
	var kept []ops.Point
	for part := range slices.Chunk(s.Points, every) {
		if stat == "avg" {
			sum := 0.0
			for _, p := range part {
				sum += p.Value
			}
			kept = append(kept, ops.Point{At: part[len(part)-1].At, Value: sum / float64(len(part))})
			continue
		}
		kept = append(kept, extremes(part)...)
	}
	if last := s.Points[len(s.Points)-1]; len(kept) > 0 && kept[len(kept)-1].At.Before(last.At) {
		kept = append(kept, last)
	}
	if first := s.Points[0]; len(kept) > 0 && kept[0].At.After(first.At) {
		kept = slices.Insert(kept, 0, first)
	}
	s.Points = kept
	return s
}

// extremes answers the lowest and the highest point in their order.
func extremes(points []ops.Point) []ops.Point {
	low, high := points[0], points[0]
	for _, p := range points {
		if p.Value < low.Value {
			low = p
		}
		if p.Value > high.Value {
			high = p
		}
	}
	switch {
	case low.At.Equal(high.At):
		return []ops.Point{low}
	case low.At.Before(high.At):
		return []ops.Point{low, high}
	}
	return []ops.Point{high, low}
}

// Statistic answers the statistic that claims about a metric are checked
// against: last, avg, min, max or delta of a series.
func Statistic(name string, s ops.Series, now time.Time) (v float64, ok bool) {
	values, ok := statistic(name, s, now)
	if !ok {
		return 0, false
	}
	return values[0], true
}
