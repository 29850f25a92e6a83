package tsdb

import "math"

// tally is what some readings come to. Not-a-number counts as a reading and
// spoils the average, but is neither minimum nor maximum unless there is
// nothing else, as in PromQL.
type tally struct{ sum, count, min, max float64 }

func newTally() *tally { return &tally{min: math.NaN(), max: math.NaN()} }

func (t *tally) add(v float64) {
	t.addMany(v, 1)
	t.lower(v)
	t.raise(v)
}

// addMany adds count readings by their average.
func (t *tally) addMany(avg, count float64) {
	t.sum += avg * count
	t.count += count
}

func (t *tally) lower(v float64) {
	if v < t.min || math.IsNaN(t.min) {
		t.min = v
	}
}

func (t *tally) raise(v float64) {
	if v > t.max || math.IsNaN(t.max) {
		t.max = v
	}
}

func (t *tally) avg() float64 { return t.sum / t.count }

// ceil answers the first multiple of step at or after t.
func ceil(t, step int64) int64 { return floor(t+step-1, step) }

// floor answers the last multiple of step at or before t.
func floor(t, step int64) int64 {
	rest := t % step
	if rest < 0 {
		rest += step
	}
	return t - rest
}
