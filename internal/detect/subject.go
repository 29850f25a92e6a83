package detect

import (
	"time"

	"reeve/internal/ops"
)

// A Subject is all that a detector may know of one resource.
type Subject struct {
	Now time.Time
	// Started is when Reeve was started: it did not hear what came between its
	// end and this.
	Started  time.Time
	Resource ops.Resource
	Parent   ops.Resource // zero when unknown
	Children []ops.Resource
	// Series are those of the definition's metrics, oldest point first,
	// within its window.
	Series []ops.Series
	// Events are those of the definition's types within its window, oldest
	// first.
	Events []ops.Event
	// Limits are the thresholds for this resource; see Limit.
	Limits map[string]float64
	// Active says that the finding is open now: the detector may use it where
	// clearing is not the reverse of opening.
	Active bool
}

// Limit answers a threshold. Asking for one that the definition does not
// declare is a mistake in the detector.
func (s Subject) Limit(name string) float64 {
	v, ok := s.Limits[name]
	if !ok {
		panic("detect: threshold " + name + " is not declared")
	}
	return v
}

// All answers every series of a metric.
func (s Subject) All(metric string) []ops.Series {
	var all []ops.Series
	for _, x := range s.Series {
		if x.Metric == metric {
			all = append(all, x)
		}
	}
	return all
}

// One answers the first series of a metric; ok is false without any point.
func (s Subject) One(metric string) (x ops.Series, ok bool) {
	for _, x := range s.Series {
		if x.Metric == metric && len(x.Points) > 0 {
			return x, true
		}
	}
	return ops.Series{}, false
}

// Value answers the newest reading of a metric if it is not older than Stale.
func (s Subject) Value(metric string) (v float64, ok bool) {
	x, ok := s.One(metric)
	if !ok {
		return 0, false
	}
	return s.Fresh(x)
}

// Fresh answers the newest reading of a series if it is not older than Stale.
func (s Subject) Fresh(x ops.Series) (v float64, ok bool) {
	p, ok := x.Last()
	if !ok || s.Now.Sub(p.At) > Stale {
		return 0, false
	}
	return p.Value, true
}

// Increase answers how much a counter rose within the window, counter resets
// included; ok is false with fewer than two points.
func Increase(x ops.Series) (rise float64, ok bool) {
	for i := 1; i < len(x.Points); i++ {
		d := x.Points[i].Value - x.Points[i-1].Value
		if d < 0 {
			d = x.Points[i].Value
		}
		rise += d
	}
	return rise, len(x.Points) > 1
}

// Levels judges a reading against a warning and a critical threshold with
// hysteresis: bad at or above warn (critical at or above crit), good below
// warn - margin, between otherwise. While a finding is active, between keeps
// it open.
func Levels(v, warn, crit, margin float64) (State, ops.Severity) {
	switch {
	case v >= crit:
		return Bad, ops.Critical
	case v >= warn:
		return Bad, ops.Warning
	case v < warn-margin:
		return Good, ""
	}
	return Between, ""
}
