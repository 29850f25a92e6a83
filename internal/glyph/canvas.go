// Package glyph knows what a terminal can show: how many columns a text takes
// and where it breaks, which characters a terminal would obey instead of
// showing them, and how a course of readings is drawn with characters.
package glyph

import (
	"math"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A Scale maps times and values to a canvas.
type Scale struct {
	From, To  time.Time
	Low, High float64
}

// A Canvas is a grid of dots: in a braille character two wide and four high,
// in ASCII one.
type Canvas struct {
	columns, rows int
	wide, high    int // dots of one character
	dots          [][]uint8
	line          [][]int // which line drew last there
}

// NewCanvas makes an empty canvas of so many characters.
func NewCanvas(columns, rows int, ascii bool) *Canvas {
	c := &Canvas{columns: columns, rows: rows, wide: 2, high: 4}
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

func (c *Canvas) set(x, y, line int) {
	column, row := x/c.wide, y/c.high
	if column < 0 || column >= c.columns || row < 0 || row >= c.rows {
		return
	}
	c.dots[row][column] |= braille[x%c.wide][y%c.high]
	c.line[row][column] = line
}

// Draw draws the course of points. Where readings are missing the line breaks.
func (c *Canvas) Draw(points []ops.Point, line int, s Scale) {
	last := ops.Point{}
	lastX, lastY, connected := 0, 0, false
	usual := usualStep(points)
	for _, p := range points {
		if !finite(p.Value) || p.At.Before(s.From) || p.At.After(s.To) {
			connected = false
			continue
		}
		x := int(float64(p.At.Sub(s.From)) / float64(max(1, s.To.Sub(s.From))) * float64(c.columns*c.wide-1))
		y := int(math.Round((s.High - p.Value) / (s.High - s.Low) * float64(c.rows*c.high-1)))
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

func (c *Canvas) stroke(x0, y0, x1, y1, line int) {
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

// Row answers a row of characters; paint marks each with the number of the
// line that it belongs to.
func (c *Canvas) Row(row int, paint func(line int, dots string) string) string {
	var b strings.Builder
	for column := range c.columns {
		dots := c.dots[row][column]
		switch {
		case dots == 0:
			b.WriteByte(' ')
		case c.wide == 1:
			b.WriteByte('*')
		default:
			b.WriteString(paint(c.line[row][column], string(rune(0x2800+int(dots)))))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// TimeAxis answers the times below a chart.
func TimeAxis(from, to time.Time, width int) string {
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

// Bounds answers the least and the greatest value to show. What stays above
// nothing is drawn from nothing, unless that would flatten it.
func Bounds(courses [][]ops.Point) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, points := range courses {
		for _, p := range points {
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
