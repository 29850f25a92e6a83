package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A chartLine is one series to draw.
type chartLine struct {
	name   string
	metric string // its unit is in its name
	points []ops.Point
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
var lineStyles = []style{cyan, yellow, magenta, green, blue, red}

// drawable reports whether there is anything to see a course of.
func drawable(lines []chartLine) bool {
	for _, l := range lines {
		n := 0
		for _, p := range l.points {
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

// charts draws lines: together where colours tell them apart, else each by
// itself.
func (p *page) charts(lines []chartLine, from, to time.Time) {
	if len(lines) == 1 || p.colour && len(lines) <= together {
		rows := chartRows
		if _, low, _, high, ok := lines[0].summary(); ok && len(lines) == 1 && low == high {
			rows = smallRows // A straight line needs little room.
		}
		p.chart(lines, from, to, rows)
		if len(lines) > 1 {
			for i, l := range lines {
				p.line("  %s %s", p.paint(lineStyles[i], p.glyph("──", "--")), safe(l.name))
			}
		}
		return
	}
	for _, l := range lines[:min(len(lines), maxCharts)] {
		p.line("%s", safe(l.name))
		p.chart([]chartLine{l}, from, to, smallRows)
	}
	if more := len(lines) - maxCharts; more > 0 {
		p.line("and %d more series", more)
	}
}

func (p *page) glyph(best, ascii string) string {
	if p.ascii {
		return ascii
	}
	return best
}

// chart draws lines over one pair of axes.
func (p *page) chart(lines []chartLine, from, to time.Time, rows int) {
	low, high := bounds(lines)
	labels := axisLabels(lines[0].metric, low, high, rows)
	margin := 0
	for _, l := range labels {
		margin = max(margin, columns(l))
	}
	width := p.width
	if width == 0 {
		width = chartColumns
	}
	width = min(max(width-margin-3, 10), maxChartColumns)
	c := newCanvas(width, rows, p.ascii)
	for i, l := range lines {
		c.draw(l.points, i, scale{from, to, low, high})
	}
	for row := range rows {
		label := labels[row]
		p.line("%s%s %s%s", strings.Repeat(" ", margin-columns(label)), label, p.glyph("│", "|"), c.row(p, row))
	}
	p.line("%s %s%s", strings.Repeat(" ", margin), p.glyph("└", "+"), strings.Repeat(p.glyph("─", "-"), width))
	p.line("%s  %s", strings.Repeat(" ", margin), timeAxis(from, to, width))
}

// bounds answers the least and the greatest value to show. What stays above
// nothing is drawn from nothing, unless that would flatten it.
func bounds(lines []chartLine) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.points {
			if finite(p.Value) {
				low, high = min(low, p.Value), max(high, p.Value)
			}
		}
	}
	switch {
	case low > high:
		return 0, 1
	case low >= 0 && low < high/2:
		low = 0
	case low == high && low == 0:
		return 0, 1
	case low == high:
		return low - math.Abs(low)/10, high + math.Abs(high)/10
	}
	return low, high
}

// axisLabels answers what stands before each row: the ends and the middle.
func axisLabels(metric string, low, high float64, rows int) []string {
	labels := make([]string, rows)
	labels[0] = reading(metric, high)
	labels[rows-1] = reading(metric, low)
	if rows > 5 {
		labels[rows/2] = reading(metric, high-(high-low)*float64(rows/2)/float64(rows-1))
	}
	return labels
}

// timeAxis answers the times below a chart.
func timeAxis(from, to time.Time, width int) string {
	form := "15:04"
	switch d := to.Sub(from); {
	case d > 20*time.Hour:
		form = "Jan 02 15:04"
	case d < 10*time.Minute:
		form = "15:04:05"
	}
	left, right := from.Local().Format(form), to.Local().Format(form)
	middle := from.Add(to.Sub(from) / 2).Local().Format(form)
	space := width - len(left) - len(middle) - len(right)
	if space < 4 {
		return left + strings.Repeat(" ", max(1, width-len(left)-len(right))) + right
	}
	before := width/2 - len(middle)/2 - len(left)
	return left + strings.Repeat(" ", before) + middle + strings.Repeat(" ", space-before) + right
}

// A scale maps times and values to a canvas.
type scale struct {
	from, to  time.Time
	low, high float64
}

// A canvas is a grid of dots: in a braille character two wide and four high,
// in ASCII one.
type canvas struct {
	columns, rows int
	wide, high    int // dots of one character
	dots          [][]uint8
	line          [][]int // which line drew last there
}

func newCanvas(columns, rows int, ascii bool) *canvas {
	c := &canvas{columns: columns, rows: rows, wide: 2, high: 4}
	if ascii {
		c.wide, c.high = 1, 1
	}
	c.dots, c.line = make([][]uint8, rows), make([][]int, rows)
	for i := range rows {
		c.dots[i], c.line[i] = make([]uint8, columns), make([]int, columns)
	}
	return c
}

// braille are the bits of the dots of a character, by column and row.
var braille = [2][4]uint8{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

func (c *canvas) set(x, y, line int) {
	column, row := x/c.wide, y/c.high
	if column < 0 || column >= c.columns || row < 0 || row >= c.rows {
		return
	}
	c.dots[row][column] |= braille[x%c.wide][y%c.high]
	c.line[row][column] = line
}

// draw draws the course of points. Where readings are missing the line breaks.
func (c *canvas) draw(points []ops.Point, line int, s scale) {
	last := ops.Point{}
	lastX, lastY, connected := 0, 0, false
	usual := usualStep(points)
	for _, p := range points {
		if !finite(p.Value) || p.At.Before(s.from) || p.At.After(s.to) {
			connected = false
			continue
		}
		x := int(float64(p.At.Sub(s.from)) / float64(max(1, s.to.Sub(s.from))) * float64(c.columns*c.wide-1))
		y := int(math.Round((s.high - p.Value) / (s.high - s.low) * float64(c.rows*c.high-1)))
		if connected && p.At.Sub(last.At) <= 3*usual {
			c.stroke(lastX, lastY, x, y, line)
		} else {
			c.set(x, y, line)
		}
		last, lastX, lastY, connected = p, x, y, true
	}
}

// usualStep answers the least distance of two neighbours.
func usualStep(points []ops.Point) time.Duration {
	least := time.Duration(math.MaxInt64 / 4)
	for i := 1; i < len(points); i++ {
		if d := points[i].At.Sub(points[i-1].At); d > 0 {
			least = min(least, d)
		}
	}
	return least
}

func (c *canvas) stroke(x0, y0, x1, y1, line int) {
	steps := max(abs(x1-x0), abs(y1-y0), 1)
	for i := range steps + 1 {
		part := float64(i) / float64(steps)
		c.set(x0+int(math.Round(float64(x1-x0)*part)), y0+int(math.Round(float64(y1-y0)*part)), line)
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// row answers a row of characters, painted by line.
func (c *canvas) row(p *page, row int) string {
	var b strings.Builder
	for column := range c.columns {
		dots := c.dots[row][column]
		switch {
		case dots == 0:
			b.WriteByte(' ')
		case p.ascii:
			b.WriteByte('*')
		default:
			b.WriteString(p.paint(lineStyles[c.line[row][column]%len(lineStyles)], string(rune(0x2800+int(dots)))))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// summary answers the newest, least, mean and greatest value of a line.
func (l chartLine) summary() (last, low, mean, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	sum, n := 0.0, 0
	for _, p := range l.points {
		if !finite(p.Value) {
			continue
		}
		last, low, high = p.Value, min(low, p.Value), max(high, p.Value)
		sum, n = sum+p.Value, n+1
	}
	return last, low, sum / float64(max(1, n)), high, n > 0
}

// seriesName writes a series as PromQL does, without the labels to hide.
func seriesName(metric string, labels map[string]string, hide ...string) string {
	var parts []string
	for _, name := range sortedKeys(labels) {
		hidden := name == "__name__"
		for _, h := range hide {
			hidden = hidden || h == name
		}
		if !hidden {
			parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
		}
	}
	if len(parts) == 0 {
		return first(metric, "{}")
	}
	return metric + "{" + strings.Join(parts, ", ") + "}"
}
