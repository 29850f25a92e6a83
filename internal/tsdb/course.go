package tsdb

import (
	"cmp"
	"slices"
	"time"

	"reeve/internal/ops"
)

// A Course is a series of samples for those who keep many until they read
// again: of a thousand hosts there are a million points, which take half of the
// room without what time.Time knows of clocks. Labels are shared: do not write
// to them.
type Course struct {
	Metric string
	Labels map[string]string
	Points []CoursePoint

	host string // tells those apart that are otherwise alike
}

// A CoursePoint is one sample.
type CoursePoint struct {
	At    int64 // unix ms
	Value float64
}

// AppendTo adds the points of the course to others.
func (c Course) AppendTo(points []ops.Point) []ops.Point {
	for _, p := range c.Points {
		points = append(points, ops.Point{At: time.UnixMilli(p.At), Value: p.Value})
	}
	return points
}

// before answers how many points are older than at.
func (c *Course) before(at int64) int {
	n, _ := slices.BinarySearchFunc(c.Points, at, func(p CoursePoint, at int64) int { return cmp.Compare(p.At, at) })
	return n
}
