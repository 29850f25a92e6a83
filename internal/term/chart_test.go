package term

import (
	"math"
	"strings"
	"testing"
	"time"

	"reeve/internal/glyph"
	"reeve/internal/ops"
)

func sine(n int) []ops.Point {
	at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.Local)
	var all []ops.Point
	for i := range n {
		all = append(all, ops.Point{At: at.Add(time.Duration(i) * time.Minute), Value: math.Sin(float64(i)/float64(n)*2*math.Pi)/2 + 0.5})
	}
	return all
}

func TestChartDrawsTheCourse(t *testing.T) {
	points := sine(121)
	for _, ascii := range []bool{false, true} {
		p, out := paper(60, false)
		p.ascii = ascii
		p.Charts([]Course{{"x", "cpu_busy_ratio", points}}, points[0].At, points[120].At)
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		if len(lines) != chartRows+2 {
			t.Fatalf("%d lines:\n%s", len(lines), out)
		}
		for _, l := range lines {
			if glyph.Columns(l) > 60 {
				t.Errorf("too wide: %q", l)
			}
		}
		for _, want := range []string{"100%", "0%", "10:00", "11:00", "12:00"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in\n%s", want, out)
			}
		}
		// The crest is in the left half, the trough in the right one.
		if crest := firstMark(lines[0]); crest < 0 || crest > 30 {
			t.Errorf("crest at %d\n%s", crest, out)
		}
		if trough := firstMark(lines[chartRows-1]); trough < 30 {
			t.Errorf("trough at %d\n%s", trough, out)
		}
	}
}

// firstMark answers the column of the first dot after the axis.
func firstMark(line string) int {
	axis := strings.IndexAny(line, "│|")
	if axis < 0 {
		return -1
	}
	for i, r := range []rune(line[axis:]) {
		if i > 0 && r != ' ' {
			return i
		}
	}
	return -1
}

func TestChartBreaksWhereReadingsAreMissing(t *testing.T) {
	points := sine(121)
	kept := append(append([]ops.Point{}, points[:30]...), points[90:]...)
	p, out := paper(60, false)
	p.chart([]Course{{"x", "x_ratio", kept}}, points[0].At, points[120].At, 10)
	for _, l := range strings.Split(out.String(), "\n")[:10] {
		if cells := []rune(l); len(cells) > 31 && cells[31] != ' ' {
			t.Errorf("something is drawn in the gap: %q", l)
		}
	}
}

func TestChartsBearAnything(t *testing.T) {
	at := time.Now()
	for name, points := range map[string][]ops.Point{
		"none": nil, "one": {{At: at, Value: 1}}, "constant": {{At: at.Add(-time.Minute), Value: 7}, {At: at, Value: 7}},
		"nan": {{At: at.Add(-time.Minute), Value: math.NaN()}, {At: at, Value: math.Inf(1)}}, "huge": {{At: at.Add(-time.Minute), Value: -math.MaxFloat64}, {At: at, Value: math.MaxFloat64}},
		"outside": {{At: at.Add(-time.Hour), Value: 1}, {At: at.Add(time.Hour), Value: 2}}, "tiny": {{At: at.Add(-time.Minute), Value: 1e-300}, {At: at, Value: 2e-300}},
	} {
		p, out := paper(50, true)
		p.Charts([]Course{{name, "x", points}, {name, "x", points}}, at.Add(-10*time.Minute), at)
		if out.Len() == 0 {
			t.Error(name)
		}
		p.Charts([]Course{{name, "x", points}}, at, at)
	}
}
