package investigate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A course is what the readings of one series did around the beginning.
type course struct {
	last     ops.Point
	before   float64 // mean until shortly before it began
	known    bool    // there were enough readings before
	peak     ops.Point
	rising   time.Time // when it began to rise, zero when it cannot be told
	readings int
}

// enough is how many readings make a mean.
const enough = 3

// quietUntil answers the end of what counts as before: some minutes before it
// began, because conditions hold for a while before they open; where it was
// watched only shortly, less.
func (s *Scene) quietUntil(points []ops.Point) time.Time {
	at := s.Began.Add(-settled)
	if len(points) >= enough && !points[enough-1].At.Before(at) {
		return s.Began.Add(-settledLeast)
	}
	return at
}

// courseOf reads a series.
func courseOf(s *Scene, points []ops.Point) (c course, ok bool) {
	sum, n := 0.0, 0
	quiet := s.quietUntil(points)
	for _, p := range points {
		if math.IsNaN(p.Value) || p.At.After(s.Now.Add(time.Minute)) {
			continue
		}
		c.readings++
		c.last = p
		if p.At.Before(quiet) {
			sum += p.Value
			n++
		} else if c.peak.At.IsZero() || p.Value > c.peak.Value {
			c.peak = p
		}
	}
	if n >= enough {
		c.before, c.known = sum/float64(n), true
	}
	if c.known && !c.peak.At.IsZero() {
		c.rising = risingSince(points, c)
	}
	return c, c.readings > 0
}

// risingSince answers the last time at which it was still near to what it had
// been.
func risingSince(points []ops.Point, c course) time.Time {
	near := c.before + (c.peak.Value-c.before)/5
	var at time.Time
	for _, p := range points {
		if p.At.After(c.peak.At) {
			break
		}
		if p.Value <= near {
			at = p.At
		}
	}
	return at
}

// rose says that it is much higher since it began than before.
func (c course) rose(metric string) bool {
	if !c.known || c.peak.At.IsZero() {
		return false
	}
	d := c.peak.Value - c.before
	if strings.HasSuffix(metric, "_ratio") && !strings.Contains(metric, "cpu_ratio") && d < 0.05 {
		return false
	}
	return d > 0 && d >= 0.2*math.Abs(c.before)
}

// label names a series among several of one metric.
func label(x ops.Series) string {
	for _, name := range []string{"process", "what", "mode", "sensor", "device", "core"} {
		if v := x.Labels[name]; v != "" {
			if pid := x.Labels["pid"]; pid != "" {
				return fmt.Sprintf("%s (pid %s)", v, pid)
			}
			return v
		}
	}
	return ""
}

// judgeLevel tells what a metric reads now, and between what it was.
func judgeLevel(s *Scene, r Read) []Sign {
	var all []Sign
	for _, res := range s.targets(r.Of) {
		for _, x := range s.series(res, r.Metric) {
			c, ok := courseOf(s, x.Points)
			if !ok || len(all) >= 5 {
				continue
			}
			least := slices.MinFunc(x.Points, func(a, b ops.Point) int { return cmp.Compare(a.Value, b.Value) })
			most := slices.MaxFunc(x.Points, func(a, b ops.Point) int { return cmp.Compare(a.Value, b.Value) })
			text := fmt.Sprintf("%s of %s is %s", title(r.Metric, x), name(res), amount(r.Metric, c.last.Value))
			if s.Now.Sub(c.last.At) > 5*time.Minute {
				text = fmt.Sprintf("%s of %s was %s at %s, and was not read since", title(r.Metric, x), name(res), amount(r.Metric, c.last.Value), clock(c.last.At))
			}
			all = append(all, Sign{Text: text + fmt.Sprintf(" (%s to %s since %s)", amount(r.Metric, least.Value), amount(r.Metric, most.Value), clock(x.Points[0].At))})
		}
	}
	return orNoReadings(s, r, all)
}

func title(metric string, x ops.Series) string {
	if l := label(x); l != "" {
		return metric + " " + l
	}
	return metric
}

func orNoReadings(s *Scene, r Read, all []Sign) []Sign {
	if len(all) == 0 {
		return signf("there are no readings of %s of %s", r.Metric, where(s, r.Of))
	}
	return all
}

// judgeRose compares a metric before and since it began. Where a runbook
// names what a rise means, that is a cause; where there was none, it speaks
// against it.
func judgeRose(s *Scene, r Read) []Sign {
	var all []Sign
	for _, res := range s.targets(r.Of) {
		for _, x := range s.series(res, r.Metric) {
			c, ok := courseOf(s, x.Points)
			if !ok || c.peak.At.IsZero() || len(all) >= 5 {
				continue
			}
			what := fmt.Sprintf("%s of %s", title(r.Metric, x), name(res))
			if !c.known {
				all = append(all, Sign{Text: fmt.Sprintf("%s is at most %s since it began; what it was before is not known", what, amount(r.Metric, c.peak.Value))})
				continue
			}
			if !c.rose(r.Metric) {
				all = append(all, Sign{Text: fmt.Sprintf("%s did not rise: %s before, at most %s since", what, amount(r.Metric, c.before), amount(r.Metric, c.peak.Value))})
				continue
			}
			all = append(all, roseSign(s, r, res, c, what))
		}
	}
	return orNoReadings(s, r, all)
}

func roseSign(s *Scene, r Read, res ops.Resource, c course, what string) Sign {
	sign := Sign{Text: fmt.Sprintf("%s rose from %s to %s", what, amount(r.Metric, c.before), amount(r.Metric, c.peak.Value))}
	if !c.rising.IsZero() {
		sign.Text += ", beginning at " + clock(c.rising)
	}
	slow := r.Within > 0 && (c.rising.IsZero() || s.Began.Sub(c.rising) > time.Duration(r.Within)*time.Minute)
	if r.Cause == "" || slow {
		return sign
	}
	since := s.Began.Add(-settled)
	if !c.rising.IsZero() && c.rising.Before(since) {
		since = c.rising
	}
	peak := c.peak.Value
	return sign.because(cmp.Or(r.Confidence, medium), res.ID, r.Cause,
		ops.Claim{Kind: "metric", ResourceID: res.ID, Metric: r.Metric, Stat: "max", Minutes: s.minutes(since), Value: &peak})
}

// A share is what one of several uses.
type share struct {
	who      string
	resource ops.Resource
	now      float64 // mean since shortly before it began, or of its last readings
	before   float64
	known    bool // it was there before
	peak     float64
}

// judgeTop names who uses most of something: the series of one resource
// (processes) or several resources (containers). One that uses more than half
// and more than before is a likely cause.
func judgeTop(s *Scene, r Read) []Sign {
	shares, watched := sharesOf(s, r)
	if len(shares) == 0 {
		return orNoReadings(s, r, nil)
	}
	total := 0.0
	for _, x := range shares {
		total += x.now
	}
	var named []string
	for _, x := range shares[:min(3, len(shares))] {
		named = append(named, fmt.Sprintf("%s %s", x.who, amount(r.Metric, x.now)))
	}
	first := shares[0]
	sign := Sign{Text: fmt.Sprintf("most %s: %s", cmp.Or(r.Name, r.Metric), strings.Join(named, ", "))}
	more := first.known && first.now >= 1.2*first.before || !first.known && watched
	if total <= 0 || first.now < total/2 || len(shares) == 1 && strings.HasPrefix(r.Of, "container") && !more {
		return []Sign{sign}
	}
	switch {
	case first.known && more:
		sign.Text += fmt.Sprintf("; %s used %s before", first.who, amount(r.Metric, first.before))
	case more:
		sign.Text += fmt.Sprintf("; %s was not among them before", first.who)
	default:
		return []Sign{sign.because(low, first.resource.ID, fmt.Sprintf("%s uses most %s, as it did before", first.who, cmp.Or(r.Name, r.Metric)), s.topClaim(r, first))}
	}
	cause := fmt.Sprintf("%s uses %s of %s, more than before", first.who, amount(r.Metric, first.now), cmp.Or(r.Name, r.Metric))
	return []Sign{sign.because(cmp.Or(r.Confidence, medium), first.resource.ID, cause, s.topClaim(r, first))}
}

func (s *Scene) topClaim(r Read, x share) ops.Claim {
	v := x.peak
	return ops.Claim{Kind: "metric", ResourceID: x.resource.ID, Metric: r.Metric, Stat: "max", Minutes: s.minutes(s.Began.Add(-settled)), Value: &v}
}

// sharesOf answers what each uses, the most first; watched says that there
// were readings of any of them before it began.
func sharesOf(s *Scene, r Read) (all []share, watched bool) {
	quiet := s.Began
	each := func(f func(ops.Resource, ops.Series)) {
		for _, res := range s.targets(r.Of) {
			for _, x := range s.series(res, r.Metric) {
				f(res, x)
			}
		}
	}
	// Who is busy only now has few readings of its own: what counts as before
	// is the same for all.
	each(func(_ ops.Resource, x ops.Series) {
		if at := s.quietUntil(x.Points); at.Before(quiet) {
			quiet = at
		}
	})
	each(func(res ops.Resource, x ops.Series) {
		watched = watched || len(x.Points) > 0 && x.Points[0].At.Before(quiet)
		if sh, ok := shareOf(quiet, res, x); ok {
			all = append(all, sh)
		}
	})
	slices.SortStableFunc(all, func(a, b share) int { return cmp.Compare(b.now, a.now) })
	return all, watched
}

func shareOf(quiet time.Time, res ops.Resource, x ops.Series) (share, bool) {
	sh := share{who: cmp.Or(label(x), name(res)), resource: res}
	var before, since []float64
	for _, p := range x.Points {
		if p.At.Before(quiet) {
			before = append(before, p.Value)
			continue
		}
		since = append(since, p.Value)
		sh.peak = max(sh.peak, p.Value)
	}
	if len(since) == 0 {
		return sh, false
	}
	sh.now = mean(since)
	if len(before) >= enough {
		sh.before, sh.known = mean(before), true
	}
	return sh, true
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
