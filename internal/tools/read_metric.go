package tools

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "read_metric", Doc: "Statistics and course of a metric.", Effect: tool.Reads, Profiles: everyone, Core: everyone,
}, readMetric))

type metricInput struct {
	Resource string `json:"resource"`
	Metric   string `json:"metric"`
	Minutes  int64  `json:"minutes,omitempty" doc:"default 60"`
	Step     int64  `json:"step,omitempty" doc:"minutes"`
}

// The bounds of an answer.
const (
	metricSeries = 6
	metricPoints = 24
	metricMost   = 96
)

func readMetric(ctx context.Context, e Env, in metricInput) (string, error) {
	r, err := e.find(ctx, in.Resource)
	if err != nil {
		return "", err
	}
	from, err := e.since(in.Minutes, 60)
	if err != nil {
		return "", err
	}
	if in.Step < 0 {
		return "", ops.Errorf(ops.Invalid, "step is a number of minutes, at least 1")
	}
	if e.WithheldFields["processes"] && strings.HasPrefix(in.Metric, "process_") {
		return "", e.open("processes")
	}
	now := e.Now()
	found, err := e.source().Series(ctx, r.ID, in.Metric, from, now)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return noMetric(ctx, e, r, in.Metric, now.Sub(from))
	}
	lines := []string{fmt.Sprintf("%s %s, last %d min", r.ID, place(r), int64(now.Sub(from).Minutes()))}
	for _, s := range found[:min(len(found), metricSeries)] {
		lines = append(lines, course(s, from, now, in.Step))
	}
	if len(found) > metricSeries {
		lines = append(lines, fmt.Sprintf("[%d of %d series shown]", metricSeries, len(found)))
	}
	return strings.Join(lines, "\n"), nil
}

func noMetric(ctx context.Context, e Env, r ops.Resource, metric string, window time.Duration) (string, error) {
	newest, err := e.latest(ctx, r.ID, "")
	if err != nil {
		return "", err
	}
	var names []string
	for _, s := range newest {
		if len(names) == 0 || names[len(names)-1] != s.Metric {
			names = append(names, s.Metric)
		}
	}
	text := fmt.Sprintf("there is no %s of %s in the last %d min", line(metric, 80), place(r), int64(window.Minutes()))
	if len(names) > 0 {
		text += "; there are: " + strings.Join(names[:min(len(names), 60)], ", ")
	}
	return "", ops.Errorf(ops.NotFound, "%s", text)
}

// course writes the statistics of a series, which are those that claims are
// checked against, and means of about 24 equal parts of the window.
func course(s ops.Series, from, now time.Time, step int64) string {
	text := called(s)
	if u := evidence.UnitOf(s.Metric); u != "" {
		text += " " + u
	}
	for _, stat := range []string{"last", "min", "avg", "max", "delta"} {
		if v, ok := evidence.Statistic(stat, s, now); ok {
			text += " " + stat + "=" + number(v)
		}
	}
	if p, ok := s.Last(); ok {
		text += " at " + at(p.At)
	}
	if len(s.Points) == 0 {
		return text + " no readings"
	}
	if first := s.Points[0].At; first.After(from) {
		from = first
	}
	every := max(now.Sub(from)/time.Duration(min(metricPoints, len(s.Points))), time.Second)
	if step > 0 {
		every = max(time.Duration(step)*time.Minute, now.Sub(from)/metricMost)
	}
	parts := max(1, int(math.Ceil(float64(now.Sub(from))/float64(every))))
	sums, counts := make([]float64, parts), make([]int, parts)
	for _, p := range s.Points {
		if i := int(p.At.Sub(from) / every); i >= 0 && !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			i = min(i, parts-1)
			sums[i], counts[i] = sums[i]+p.Value, counts[i]+1
		}
	}
	var points []string
	for i, n := range counts {
		if n == 0 {
			points = append(points, "-")
			continue
		}
		points = append(points, short(sums[i]/float64(n)))
	}
	return text + fmt.Sprintf("; means of %s each: %s", every.Round(time.Second), strings.Join(points, " "))
}

// short writes a mean with three digits.
func short(v float64) string {
	if math.Abs(v) >= 1e6 {
		return fmt.Sprintf("%.3g", v)
	}
	return number(math.Round(v*1000/scale(v)) * scale(v) / 1000)
}

// scale is the power of ten just above a value.
func scale(v float64) float64 {
	if v == 0 {
		return 1
	}
	return math.Pow10(int(math.Floor(math.Log10(math.Abs(v)))) + 1)
}
