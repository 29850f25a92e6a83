package ops

import "time"

// A Point is one reading.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// A Sample is one reading of one metric of one resource. Metric names are
// <what>_<unit>; Labels hold only what distinguishes series of one resource
// (device, mount, sensor, mode), never host or resource.
type Sample struct {
	Resource ResourceKey       `json:"resource"`
	Metric   string            `json:"metric"`
	Labels   map[string]string `json:"labels,omitempty"`
	At       time.Time         `json:"at"`
	Value    float64           `json:"value"`
}

// A Series is readings of one metric of one resource, oldest first.
type Series struct {
	Metric string            `json:"metric"`
	Labels map[string]string `json:"labels,omitempty"`
	Points []Point           `json:"points"`
}

// Last answers the newest reading; ok is false when there is none.
func (s Series) Last() (p Point, ok bool) {
	if len(s.Points) == 0 {
		return Point{}, false
	}
	return s.Points[len(s.Points)-1], true
}
