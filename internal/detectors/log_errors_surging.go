package detectors

import (
	"fmt"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "log_errors_surging",
	Title: "Log shows new or many more errors",
	Doc: "Within five minutes a log had many more error lines than usual and than any five minutes of the hour before, or repeated an error of a form that was never " +
		"seen there, and that lasted for a minute. What is new in a log that is watched for less than an hour is not judged. " +
		"It clears after ten minutes with few errors and nothing new.",
	Kinds:  []ops.Kind{ops.KindHost, ops.KindUnit, ops.KindContainer},
	Role:   detect.Symptom,
	Events: []ops.EventType{ops.EventLogError},
	Window: time.Hour,
	Hold:   time.Minute,
	Clear:  10 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "lines", Default: 20, Unit: "lines", Doc: "Fewer error lines than this in five minutes are never a surge."},
		{Name: "times", Default: 5, Unit: "times", Doc: "How many times the usual rate it must be."},
		{Name: "new_lines", Default: 3, Unit: "lines", Doc: "How often an error of a new form must come within ten minutes."},
	},
	Eval: logErrorsSurging,
	Causes: []string{
		"Something that it needs went away: a database, the network, a disk, a credential.",
		"A new version or configuration.",
		"Someone sends it requests that it cannot serve.",
	},
	Checks: []string{
		"Read the lines below: the first new one usually names the cause.",
		"Read the log around the start: `journalctl -u UNIT --since -30m` or `docker logs --since 30m CONTAINER`.",
		"See what was changed or deployed at that time.",
		"See other findings of this host and of what it depends on.",
	},
})

const (
	surgeSpan = 5 * time.Minute
	newSpan   = 10 * time.Minute
)

func logErrorsSurging(s detect.Subject) detect.Verdict {
	watched := s.Now.Sub(s.Resource.FirstSeen)
	if s.Resource.FirstSeen.IsZero() {
		return detect.NoData()
	}
	recent, n := happened(s, ops.EventLogError, surgeSpan)
	fresh, template := newTemplate(s, watched)
	usual, peak, known := usualLines(s, watched)
	name := s.Resource.Name
	switch {
	case len(fresh) > 0:
		v := detect.Badf(ops.Warning, "%s logs an error that was never seen there before", name).Fact("template", "%s", template)
		v.Quotes = lines(fresh)
		return v.Fact("lines_5min", "%d", n)
	case s.Active:
		return whileSurging(s, recent, n)
	case !known:
		return detect.NoData()
	}
	text := fmt.Sprintf("%s logged %s within 5 min; usual are %.1f and at most %d", name, count(n, "error line", "error lines"), usual, peak)
	if float64(n) < s.Limit("lines") || float64(n) < s.Limit("times")*usual || n < 2*peak {
		return fine("%s", text)
	}
	v := detect.Badf(ops.Warning, "%s", text).Fact("lines_5min", "%d", n).Fact("usual_5min", "%.1f", usual).Fact("peak_5min", "%d", peak)
	v.Quotes = lines(recent)
	return v
}

// WhileSurging judges an open finding by the lines alone: the surge itself
// has become part of what is usual.
func whileSurging(s detect.Subject, recent []ops.Event, n int64) detect.Verdict {
	text := fmt.Sprintf("%s logged %s within 5 min", s.Resource.Name, count(n, "error line", "error lines"))
	if float64(n) < s.Limit("lines")/2 {
		return fine("%s", text)
	}
	v := detect.Badf(ops.Warning, "%s", text).Fact("lines_5min", "%d", n)
	v.Quotes = lines(recent)
	return v
}

// UsualLines answers how many error lines five minutes had, as a mean and at
// most, in the part of the hour before the newest five minutes in which the
// log was watched; ok is false when that is too short to know.
func usualLines(s detect.Subject, watched time.Duration) (usual float64, peak int64, ok bool) {
	before := min(watched, time.Hour) - surgeSpan
	if before < 2*surgeSpan {
		return 0, 0, false
	}
	var sum int64
	slots := map[time.Duration]int64{}
	for _, e := range s.Events {
		age := s.Now.Sub(e.At)
		if e.Type != ops.EventLogError || age <= surgeSpan || age > before+surgeSpan {
			continue
		}
		n := max(e.Count, 1)
		sum += n
		slots[age/surgeSpan] += n
		peak = max(peak, slots[age/surgeSpan])
	}
	return float64(sum) / (before.Minutes() / surgeSpan.Minutes()), peak, true
}

// NewTemplate answers the newest events of the most frequent error that is
// new within ten minutes, if it came often enough.
func newTemplate(s detect.Subject, watched time.Duration) (found []ops.Event, template string) {
	if watched < time.Hour {
		return nil, ""
	}
	recent, _ := happened(s, ops.EventLogError, newSpan)
	isNew, times := map[string]bool{}, map[string]int64{}
	for _, e := range recent {
		id := e.Facts["template_id"]
		isNew[id] = isNew[id] || e.Facts["new"] == "true"
		times[id] += max(e.Count, 1)
	}
	best := ""
	for _, e := range recent { // in order of time, so that the answer is always the same
		id := e.Facts["template_id"]
		if isNew[id] && float64(times[id]) >= s.Limit("new_lines") && (best == "" || times[id] > times[best]) {
			best, template = id, e.Facts["template"]
		}
	}
	for _, e := range recent {
		if best != "" && e.Facts["template_id"] == best {
			found = append(found, e)
		}
	}
	return found, template
}
