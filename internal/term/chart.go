package term

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"reeve/internal/glyph"
	"reeve/internal/ops"
)

// A Course is one series to draw.
type Course struct {
	Name   string
	Metric string // its unit is in its name
	Points []ops.Point
}

// The measures of charts, in characters.
const (
	chartColumns    = 100 // where the page has no width
	maxChartColumns = 180
	chartRows       = 10
	smallRows       = 4
	together        = 6  // lines that one chart holds
	maxCharts       = 12 // charts under each other
)

// lineStyles tell the lines of one chart apart.
var lineStyles = []Style{cyan, Yellow, Magenta, Green, blue, Red}

// Drawable reports whether there is anything to see a course of.
func Drawable(lines []Course) bool {
	for _, l := range lines {
		n := 0
		for _, p := range l.Points {
			if finite(p.Value) {
				n++
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Charts draws lines: together where colours tell them apart, else each by
// itself.
func (p *Page) Charts(lines []Course, from, to time.Time) {
	if len(lines) == 1 || p.colour && len(lines) <= together {
		rows := chartRows
		if _, low, _, high, ok := lines[0].summary(); ok && len(lines) == 1 && low == high {
			rows = smallRows // A straight line needs little room.
		}
		p.chart(lines, from, to, rows)
		if len(lines) > 1 {
			for i, l := range lines {
				p.Line("  %s %s", p.Paint(lineStyles[i], p.glyph("──", "--")), Safe(l.Name))
			}
		}
		return
	}
	for _, l := range lines[:min(len(lines), maxCharts)] {
		p.Line("%s", Safe(l.Name))
		p.chart([]Course{l}, from, to, smallRows)
	}
	if more := len(lines) - maxCharts; more > 0 {
		p.Line("and %d more series", more)
	}
}

func (p *Page) glyph(best, ascii string) string {
	if p.ascii {
		return ascii
	}
	return best
}

// chart draws lines over one pair of axes.
func (p *Page) chart(lines []Course, from, to time.Time, rows int) {
	courses := make([][]ops.Point, len(lines))
	for i, l := range lines {
		courses[i] = l.Points
	}
	low, high := glyph.Bounds(courses)
	labels := axisLabels(lines[0].Metric, low, high, rows)
	margin := 0
	for _, l := range labels {
		margin = max(margin, glyph.Columns(l))
	}
	width := p.width
	if width == 0 {
		width = chartColumns
	}
	width = min(max(width-margin-3, 10), maxChartColumns)
	c := glyph.NewCanvas(width, rows, p.ascii)
	for i, l := range lines {
		c.Draw(l.Points, i, glyph.Scale{From: from, To: to, Low: low, High: high})
	}
	for row := range rows {
		label := labels[row]
		p.Line("%s%s %s%s", strings.Repeat(" ", margin-glyph.Columns(label)), label, p.glyph("│", "|"), c.Row(row, p.dots))
	}
	p.Line("%s %s%s", strings.Repeat(" ", margin), p.glyph("└", "+"), strings.Repeat(p.glyph("─", "-"), width))
	p.Line("%s  %s", strings.Repeat(" ", margin), glyph.TimeAxis(from, to, width))
}

// dots paints what a line of a chart drew.
func (p *Page) dots(line int, text string) string {
	return p.Paint(lineStyles[line%len(lineStyles)], text)
}

// axisLabels answers what stands before each row: the ends and the middle.
func axisLabels(metric string, low, high float64, rows int) []string {
	labels := make([]string, rows)
	labels[0] = Reading(metric, high)
	labels[rows-1] = Reading(metric, low)
	if rows > 5 {
		labels[rows/2] = Reading(metric, high-(high-low)*float64(rows/2)/float64(rows-1))
	}
	return labels
}

// summary answers the newest, least, mean and greatest value of a line.
func (l Course) summary() (last, low, mean, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	sum, n := 0.0, 0
	for _, p := range l.Points {
		if !finite(p.Value) {
			continue
		}
		last, low, high = p.Value, min(low, p.Value), max(high, p.Value)
		sum, n = sum+p.Value, n+1
	}
	return last, low, sum / float64(max(1, n)), high, n > 0
}

// ChartWidth answers how many columns a chart takes at most.
func (p *Page) ChartWidth() int {
	width := p.width
	if width == 0 {
		width = chartColumns
	}
	return min(width, maxChartColumns)
}

// Summaries prints the newest, least, mean and greatest value of each line.
func (p *Page) Summaries(lines []Course) {
	t := p.Table("SERIES", ">LAST", ">LEAST", ">MEAN", ">MOST")
	for _, l := range lines {
		last, low, mean, high, ok := l.summary()
		if !ok {
			continue
		}
		t.Add(Of(l.Name), Of(Reading(l.Metric, last)), Of(Reading(l.Metric, low)), Of(Reading(l.Metric, mean)), Of(Reading(l.Metric, high)))
	}
	t.Print()
}

// SeriesName writes a series as PromQL does, without the labels to hide.
func SeriesName(metric string, labels map[string]string, hide ...string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		hidden := name == "__name__"
		for _, h := range hide {
			hidden = hidden || h == name
		}
		if !hidden {
			parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
		}
	}
	if len(parts) == 0 {
		return cmp.Or(metric, "{}")
	}
	return metric + "{" + strings.Join(parts, ", ") + "}"
}
