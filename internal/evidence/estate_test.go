package evidence_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/evidence"
	"reeve/internal/ops"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// An estate is generated state, with an oracle of what is true about it.
type estate struct {
	resources []ops.Resource
	series    map[string][]ops.Series // by resource
	texts     map[string][]evidence.Text
	times     map[string][]evidence.Moment
}

func (e *estate) source() evidence.Source {
	return evidence.Source{
		Series: func(_ context.Context, id, metric string, from, to time.Time) ([]ops.Series, error) {
			var all []ops.Series
			for _, s := range e.series[id] {
				if s.Metric != metric {
					continue
				}
				cut := ops.Series{Metric: metric, Labels: s.Labels}
				for _, p := range s.Points {
					if !p.At.Before(from) && !p.At.After(to) {
						cut.Points = append(cut.Points, p)
					}
				}
				all = append(all, cut)
			}
			return all, nil
		},
		Resource: func(_ context.Context, id string) (ops.Resource, error) {
			for _, r := range e.resources {
				if r.ID == id {
					return r, nil
				}
			}
			return ops.Resource{}, ops.Errorf(ops.NotFound, "there is no resource %s", id)
		},
		Texts: func(_ context.Context, id string) ([]evidence.Text, error) { return e.texts[id], nil },
		Times: func(_ context.Context, id string) ([]evidence.Moment, error) { return e.times[id], nil },
	}
}

var (
	hostNames = []string{"web-1", "db-2", "nas", "pve3", "build.lan", "k8s-node-04", "saturn"}
	messages  = []string{
		"nginx: upstream timed out (110: Connection timed out) while reading response header from upstream",
		"EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
		"Out of memory: Killed process 4312 (java) total-vm:8123456kB, anon-rss:4123456kB",
		"FATAL: remaining connection slots are reserved for non-replication superuser connections",
		"panic: runtime error: index out of range [5] with length 3",
		"connection to 10.0.4.17:5432 refused after 30 attempts",
	}
	metrics = []string{"fs_used_ratio", "memory_used_ratio", "fs_available_bytes", "disk_temperature_celsius", "load1",
		"container_restarts_total", "check_duration_seconds", "net_receive_bytes_per_s"}
	attributes = map[string][]string{"state": {"running", "exited", "restarting"}, "exit_code": {"0", "1", "137", "143"},
		"policy": {"always", "no", "on-failure"}, "read_only": {"true", "false"}, "mount": {"/", "/var", "/srv/data"}}
)

func estates() *rapid.Generator[*estate] {
	return rapid.Custom(func(t *rapid.T) *estate {
		e := &estate{series: map[string][]ops.Series{}, texts: map[string][]evidence.Text{}, times: map[string][]evidence.Moment{}}
		for i := range rapid.IntRange(1, 4).Draw(t, "resources") {
			host := rapid.SampledFrom(hostNames).Draw(t, "host")
			r := ops.Resource{ID: fmt.Sprintf("res_%023d", i), Kind: ops.KindContainer, Name: fmt.Sprintf("%s-%d", rapid.SampledFrom([]string{"app", "cache", "proxy"}).Draw(t, "name"), i),
				HostName: host, HostID: "res_" + strings.Repeat("h", 23), Presence: ops.Present, Reachable: "online", ObservedAt: now.Add(-10 * time.Second), Observed: ops.Attrs{}}
			for name, values := range attributes {
				r.Observed[name] = rapid.SampledFrom(values).Draw(t, name)
			}
			e.resources = append(e.resources, r)
			for _, m := range metrics {
				e.series[r.ID] = append(e.series[r.ID], drawSeries(t, m))
			}
			for j, m := range messages {
				if rapid.Bool().Draw(t, "logged") {
					e.texts[r.ID] = append(e.texts[r.ID], evidence.Text{Text: m, At: now.Add(-time.Duration(j) * time.Minute), Where: "event log_error"})
				}
			}
			for _, name := range []string{"opened", "changed", "container_exit"} {
				e.times[r.ID] = append(e.times[r.ID], evidence.Moment{Name: name, At: now.Add(-time.Duration(rapid.IntRange(1, 20_000).Draw(t, name)) * time.Second)})
			}
		}
		return e
	})
}

func drawSeries(t *rapid.T, metric string) ops.Series {
	s := ops.Series{Metric: metric}
	scale := map[string]float64{"ratio": 1, "bytes": 1 << 40, "celsius": 90, "seconds": 30}[evidence.UnitOf(metric)]
	if scale == 0 {
		scale = 40
	}
	v := rapid.Float64Range(0.02, 0.95).Draw(t, "level") * scale
	for i := range 60 {
		step := rapid.Float64Range(-0.01, 0.012).Draw(t, "step")
		v = math.Max(v*(1+step), scale/1000)
		if evidence.UnitOf(metric) == "ratio" {
			v = math.Min(v, 1)
		}
		x := v
		if strings.HasSuffix(metric, "_total") {
			x = math.Floor(v) + float64(i/10)
		}
		s.Points = append(s.Points, ops.Point{At: now.Add(-time.Duration(59-i) * time.Minute), Value: x})
	}
	return s
}

// actual computes a statistic anew, the plain way.
func actual(s ops.Series, stat string, minutes int) float64 {
	points := s.Points[len(s.Points)-min(minutes+1, len(s.Points)):]
	sum, low, high := 0.0, math.Inf(1), math.Inf(-1)
	for _, p := range points {
		sum, low, high = sum+p.Value, math.Min(low, p.Value), math.Max(high, p.Value)
	}
	switch stat {
	case "avg":
		return sum / float64(len(points))
	case "min":
		return low
	case "max":
		return high
	case "delta":
		if strings.HasSuffix(s.Metric, "_total") {
			rise := 0.0
			for i := 1; i < len(points); i++ {
				if d := points[i].Value - points[i-1].Value; d < 0 {
					rise += points[i].Value
				} else {
					rise += d
				}
			}
			return rise
		}
		return points[len(points)-1].Value - points[0].Value
	}
	return points[len(points)-1].Value
}

// round writes a value with so many digits, as a person would copy it.
func round(v float64, digits int) float64 {
	if v == 0 {
		return 0
	}
	p := math.Pow10(digits - 1 - int(math.Floor(math.Log10(math.Abs(v)))))
	return math.Round(v*p) / p
}

// trueClaim draws something that is so.
func (e *estate) trueClaim(t *rapid.T) ops.Claim {
	r := rapid.SampledFrom(e.resources).Draw(t, "resource")
	c := ops.Claim{ResourceID: r.ID}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		if texts := e.texts[r.ID]; len(texts) > 0 {
			c.Kind, c.Text = "quote", part(t, rapid.SampledFrom(texts).Draw(t, "text").Text)
			return c
		}
		fallthrough
	case 1:
		c.Kind, c.Name = "state", rapid.SampledFrom([]string{"state", "exit_code", "policy", "read_only", "mount", "presence"}).Draw(t, "attribute")
		c.Text = r.Observed[c.Name]
		if c.Name == "presence" {
			c.Text = "present"
		}
	case 2:
		m := rapid.SampledFrom(e.times[r.ID]).Draw(t, "moment")
		c.Kind, c.Name, c.At = "time", m.Name, m.At.Add(time.Duration(rapid.IntRange(-59, 59).Draw(t, "off"))*time.Second)
	default:
		s := rapid.SampledFrom(e.series[r.ID]).Draw(t, "series")
		c.Kind, c.Metric, c.Stat = "metric", s.Metric, rapid.SampledFrom([]string{"last", "avg", "min", "max", "delta"}).Draw(t, "stat")
		c.Minutes = int64(rapid.IntRange(5, 59).Draw(t, "minutes"))
		v := round(actual(s, c.Stat, int(c.Minutes)), rapid.IntRange(3, 6).Draw(t, "digits"))
		if evidence.UnitOf(s.Metric) == "ratio" && v > 0.02 && rapid.Bool().Draw(t, "percent") {
			v = round(v*100, 6)
		}
		c.Value = &v
	}
	return c
}

// part cuts a quote out of a text at blanks.
func part(t *rapid.T, text string) string {
	words := strings.Fields(text)
	from := rapid.IntRange(0, len(words)-4).Draw(t, "from")
	return strings.Join(words[from:rapid.IntRange(from+4, len(words)).Draw(t, "to")], " ")
}

// falseClaim changes one thing of a true claim so that it is not so.
func (e *estate) falseClaim(t *rapid.T) ops.Claim {
	c := e.trueClaim(t)
	if rapid.IntRange(0, 9).Draw(t, "where") == 0 {
		c.ResourceID = "res_" + strings.Repeat("z", 23)
		return c
	}
	switch c.Kind {
	case "quote":
		words := strings.Fields(c.Text)
		i := rapid.IntRange(0, len(words)-1).Draw(t, "word")
		words[i] = rapid.SampledFrom([]string{"segfault", "quota", "42", "successfully", "denied", "sdb1"}).Draw(t, "instead")
		c.Text = strings.Join(words, " ")
		for _, x := range e.texts[c.ResourceID] {
			if strings.Contains(x.Text, c.Text) {
				c.Text += " never"
			}
		}
	case "state":
		c.Text += rapid.SampledFrom([]string{"x", " not", "7"}).Draw(t, "more")
	case "time":
		c.At = c.At.Add(time.Duration(rapid.SampledFrom([]int{-1, 1}).Draw(t, "side")*rapid.IntRange(121, 4000).Draw(t, "seconds")) * time.Second)
		for _, m := range e.times[c.ResourceID] {
			if m.Name == c.Name && m.At.Sub(c.At).Abs() <= time.Minute {
				c.At = c.At.Add(-5 * time.Minute)
			}
		}
	default:
		v := *c.Value * rapid.SampledFrom([]float64{0.1, 0.5, 0.9, 0.93, 1.07, 1.1, 1.5, 2, 10, 1000}).Draw(t, "by")
		if v == 0 {
			v = 5
		}
		if e.isTrue(c, v) {
			v = v*3 + 1e15
		}
		c.Value = &v
	}
	return c
}

// isTrue says whether a value that was drawn as a lie happens to be none: the
// reading of another of the last minutes, a percent that is a ratio.
func (e *estate) isTrue(c ops.Claim, v float64) bool {
	for _, s := range e.series[c.ResourceID] {
		if s.Metric != c.Metric {
			continue
		}
		real := []float64{actual(s, c.Stat, int(c.Minutes))}
		if c.Stat == "last" {
			for _, p := range s.Points[len(s.Points)-11:] {
				real = append(real, p.Value)
			}
		}
		for _, x := range real {
			for _, y := range []float64{x, x * 100} {
				if math.Abs(v-y) <= 0.021*math.Abs(y) {
					return true
				}
			}
		}
	}
	return false
}
