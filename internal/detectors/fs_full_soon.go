package detectors

import (
	"math"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "fs_full_soon",
	Title: "File system will be full soon",
	Doc: "A straight line through the last six hours says that the file system will be full within a day. It needs half an hour of " +
		"readings that follow the line well, and growth that still goes on. One that is already almost full is fs_full instead. " +
		"It must last for ten minutes and clears when the growth stopped or slowed for half an hour.",
	Kinds:   []ops.Kind{ops.KindFilesystem},
	Role:    detect.Storage,
	Future:  true,
	Metrics: []string{"fs_used_ratio", "fs_size_bytes"},
	Window:  6 * time.Hour,
	Step:    2 * time.Minute,
	Hold:    10 * time.Minute,
	Clear:   30 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 24, Unit: "hours", Doc: "Full within this time: a warning."},
		{Name: "critical", Default: 4, Unit: "hours", Doc: "Full within this time: critical."},
		{Name: "full", Default: 85, Unit: "percent", Doc: "From here on it is for fs_full; keep it at the warning of that."},
		{Name: "fit", Default: 0.8, Unit: "ratio", Doc: "How well the readings must follow the line (R squared)."},
		{Name: "rise", Default: 0.5, Unit: "percent", Doc: "How much it must have grown at least."},
	},
	Eval: fsFullSoon,
	Causes: []string{
		"A log or a trace grows without end, often since a fault elsewhere.",
		"An import, backup or download writes more than fits.",
		"A queue or spool is filled and not emptied.",
	},
	Checks: []string{
		"See what grows: `du -x -d1 -h /MOUNT | sort -h`, and again some minutes later.",
		"Find files written in the last hour: `find /MOUNT -xdev -type f -mmin -60 -size +50M -exec ls -lh {} +`.",
		"See who writes: `iotop -oPa`, or `docker ps -s` for containers.",
		"Stop the writer or make room before the time named here.",
	},
})

func fsFullSoon(s detect.Subject) detect.Verdict {
	used, ok := s.One("fs_used_ratio")
	if !ok {
		return detect.NoData()
	}
	first, last := used.Points[0].At, used.Points[len(used.Points)-1].At
	if s.Now.Sub(last) > 15*time.Minute {
		return detect.NoData()
	}
	now := used.Points[len(used.Points)-1].Value
	name := s.Resource.Name
	if s.Resource.Observed.Is("read_only_expected", "true") {
		return fine("%s is mounted read-only on purpose", name)
	}
	if points(now) >= s.Limit("full") {
		return fine("%s is %s full already; that is fs_full", name, percent(now))
	}
	if len(used.Points) < 10 || last.Sub(first) < 30*time.Minute {
		return detect.NoData()
	}
	whole, late := fit(used.Points), fit(lastThird(used.Points))
	rise := whole.perHour * last.Sub(first).Hours()
	steady := whole.r2 >= s.Limit("fit") && late.perHour >= whole.perHour/2
	if whole.perHour <= 0 || points(rise) < s.Limit("rise") || !steady {
		return fine("%s does not grow steadily", name).With(used)
	}
	return fillsUp(s, used, now, whole.perHour)
}

func fillsUp(s detect.Subject, used ops.Series, now, perHour float64) detect.Verdict {
	hours := (1 - now) / perHour
	name := s.Resource.Name
	if hours >= s.Limit("warning")*1.5 {
		return fine("%s grows by %s an hour, which leaves it more than %.0f h", name, percent(perHour), s.Limit("warning")).With(used)
	}
	state, sev := detect.Bad, ops.Warning
	switch {
	case hours > s.Limit("warning"):
		state, sev = detect.Between, ""
	case hours <= s.Limit("critical"):
		sev = ops.Critical
	}
	left := time.Duration(hours * float64(time.Hour))
	at := s.Now.Add(left)
	v := say(state, sev, "%s is %s full and will be full in %s (%s): it grows by %s an hour",
		name, percent(now), span(left), clock(at), percent(perHour)).With(used).
		Fact("full_at", "%s", at.UTC().Truncate(time.Second).Format(time.RFC3339)).
		Fact("used", "%s", percent(now)).Fact("growth_per_hour", "%s", percent(perHour))
	if size, ok := s.Value("fs_size_bytes"); ok {
		v = v.Fact("growth_per_hour_bytes", "%s", bytes(size*perHour))
	}
	return v
}

// A line is a straight line by least squares, and how well it fits.
type line struct{ perHour, r2 float64 }

func fit(ps []ops.Point) line {
	var x, y, xx, xy, yy float64
	for _, p := range ps {
		h, n := p.At.Sub(ps[0].At).Hours(), p.Value
		x, y, xx, xy, yy = x+h, y+n, xx+h*h, xy+h*n, yy+n*n
	}
	n := float64(len(ps))
	sxx, sxy, syy := xx-x*x/n, xy-x*y/n, yy-y*y/n
	if n < 2 || sxx <= 0 {
		return line{}
	}
	l := line{perHour: sxy / sxx}
	if syy > 0 {
		l.r2 = math.Min(sxy*sxy/(sxx*syy), 1)
	}
	return l
}

func lastThird(ps []ops.Point) []ops.Point { return ps[len(ps)-max(len(ps)/3, 2):] }
