package detectors_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

// The language of testdata/*.txt, one statement a line, # begins a comment:
//
//	== NAME                  begins a scene; what stands before the first
//	                         scene belongs to all of them
//	resource KIND NAME       key SOURCE KEY      first_seen -D
//	attr NAME VALUE          limit NAME NUMBER   pass D   run D
//	series METRIC{a=b}       readings follow, each from where the last ended:
//	  every D from X to Y over D
//	  every D at X for D
//	  gap D                  no reading
//	  from D                 go on at a time, which may lie before the begin
//	at D attr NAME VALUE     at D unset NAME
//	at D event TYPE a=b ...  | TEXT
//	at D silent              no longer seen      at D seen
//	at D unreachable         the host is silent  at D reachable
//	at D start               Reeve was started
//	at D state WORD TEXT     the state of a host and why
//	at D conflict TEXT       what came with a host's key; "none" for nothing
//	---                      what follows are the edges that must come
//
// D is a duration, with d for days. @D in a value is the time D after the
// begin.
type file struct{ scenes []scene }

type scene struct {
	name     string
	head     []string // the lines of the scene, as read
	resource ops.Resource
	limits   map[string]float64
	pass     time.Duration
	run      time.Duration
	series   []ops.Series
	cursor   time.Time
	events   []ops.Event
	changes  []change
	want     []string
	prelude  []string
}

// A change is something that becomes so at a time.
type change struct {
	at                time.Time
	what, name, value string
}

func parse(t *testing.T, d detect.Definition, text string) *file {
	prelude, rest, _ := strings.Cut("\n"+text, "\n== ")
	f := &file{}
	for block := range strings.SplitSeq(rest, "\n== ") {
		name, body, _ := strings.Cut(block, "\n")
		head, want, _ := strings.Cut(body, "---\n")
		s := scene{name: name, pass: 10 * time.Second, limits: map[string]float64{}, cursor: begin}
		s.resource = ops.Resource{ID: "res_1", Kind: d.Kinds[0], Name: "thing", Observed: ops.Attrs{}, FirstSeen: begin.Add(-30 * 24 * time.Hour),
			HostID: "res_0", HostName: "web1", Key: ops.ResourceKey{Host: "web1", Source: "linux", Key: "thing"}, Presence: ops.Present, Reachable: "online"}
		s.prelude = strings.Split(strings.TrimSpace(prelude), "\n")
		s.head = strings.Split(strings.TrimSpace(head), "\n")
		for i, line := range slices.Concat(s.prelude, s.head) {
			line, _, _ = strings.Cut(line, "# ")
			if line = strings.TrimSpace(line); line == "" || line == "#" {
				continue
			}
			if err := s.statement(d, line); err != nil {
				t.Fatalf("%s, line %d of scene %q: %q: %v", d.Name, i+1, name, line, err)
			}
		}
		for line := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
			if line != "" && line != "nothing" {
				s.want = append(s.want, line)
			}
		}
		if s.run == 0 {
			t.Fatalf("%s: scene %q does not say how long it runs", d.Name, name)
		}
		f.scenes = append(f.scenes, s)
	}
	return f
}

func (s *scene) statement(d detect.Definition, line string) (err error) {
	w := strings.Fields(line)
	switch w[0] {
	case "resource":
		s.resource.Kind, s.resource.Name = ops.Kind(w[1]), strings.Join(w[2:], " ")
		if !slices.Contains(d.Kinds, s.resource.Kind) {
			return fmt.Errorf("the condition is not of that kind")
		}
	case "key":
		s.resource.Key.Source, s.resource.Key.Key = w[1], w[2]
	case "first_seen":
		s.resource.FirstSeen, err = moment(w[1])
	case "attr":
		s.resource.Observed[w[1]], err = value(strings.Join(w[2:], " "))
	case "limit":
		s.limits[w[1]], err = strconv.ParseFloat(w[2], 64)
	case "pass":
		s.pass, err = duration(w[1])
	case "run":
		s.run, err = duration(w[1])
	case "series":
		err = s.begins(d, w[1])
	case "every", "gap", "from":
		err = s.readings(w)
	case "at":
		err = s.at(d, w, line)
	default:
		err = fmt.Errorf("no such statement")
	}
	return err
}

func (s *scene) begins(d detect.Definition, text string) error {
	metric, labels, _ := strings.Cut(strings.TrimSuffix(text, "}"), "{")
	if !slices.Contains(d.Metrics, metric) {
		return fmt.Errorf("the detector does not read it")
	}
	x := ops.Series{Metric: metric}
	for l := range strings.SplitSeq(labels, ",") {
		if name, v, ok := strings.Cut(l, "="); ok {
			if x.Labels == nil {
				x.Labels = map[string]string{}
			}
			x.Labels[name] = v
		}
	}
	s.series, s.cursor = append(s.series, x), begin
	return nil
}

func (s *scene) readings(w []string) error {
	if len(s.series) == 0 {
		return fmt.Errorf("of which series?")
	}
	switch {
	case w[0] == "from":
		at, err := moment(w[1])
		s.cursor = at
		return err
	case w[0] == "gap":
		d, err := duration(w[1])
		s.cursor = s.cursor.Add(d)
		return err
	}
	every, err := duration(w[1])
	if err != nil {
		return err
	}
	first, last, length := w[3], w[3], w[5]
	if w[2] == "from" {
		last, length = w[5], w[7]
	}
	a, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return err
	}
	b, err := strconv.ParseFloat(last, 64)
	if err != nil {
		return err
	}
	span, err := duration(length)
	if err != nil {
		return err
	}
	x := &s.series[len(s.series)-1]
	for at := time.Duration(0); at < span; at += every {
		x.Points = append(x.Points, ops.Point{At: s.cursor.Add(at), Value: a + (b-a)*float64(at)/float64(span)})
	}
	s.cursor = s.cursor.Add(span)
	return nil
}

func (s *scene) at(d detect.Definition, w []string, line string) error {
	at, err := moment(w[1])
	if err != nil {
		return err
	}
	c := change{at: at, what: w[2]}
	switch w[2] {
	case "attr":
		c.name = w[3]
		c.value, err = value(strings.Join(w[4:], " "))
	case "unset":
		c.name = w[3]
	case "state":
		c.name, c.value = w[3], strings.Join(w[4:], " ")
	case "conflict":
		c.value = strings.Join(w[3:], " ")
	case "event":
		e := ops.Event{Type: ops.EventType(w[3]), At: at, Facts: map[string]string{}, Count: 1, Resource: s.resource.Key}
		if !slices.Contains(d.Events, e.Type) {
			return fmt.Errorf("the detector does not read it")
		}
		facts, text, _ := strings.Cut(line, "|")
		e.Text = strings.TrimSpace(text)
		for _, f := range strings.Fields(facts)[4:] {
			name, v, _ := strings.Cut(f, "=")
			if name == "count" {
				e.Count, err = strconv.ParseInt(v, 10, 64)
				continue
			}
			e.Facts[name] = v
		}
		s.events = append(s.events, e)
		slices.SortStableFunc(s.events, func(a, b ops.Event) int { return a.At.Compare(b.At) })
		return err
	case "silent", "seen", "unreachable", "reachable", "start":
	default:
		return fmt.Errorf("no such change")
	}
	s.changes = append(s.changes, c)
	return err
}

// startedAt answers the last start of Reeve before a time, zero without one.
func (s *scene) startedAt(now time.Time) (at time.Time) {
	for _, c := range s.changes {
		if c.what == "start" && !c.at.After(now) {
			at = c.at
		}
	}
	return at
}

// resourceAt answers the resource as it is at a time; hidden says that its
// host is silent.
func (s *scene) resourceAt(now time.Time) (r ops.Resource, hidden bool) {
	r = cloneResource(s.resource)
	r.ObservedAt = now
	silent := time.Time{}
	for _, c := range s.changes {
		if c.at.After(now) {
			continue
		}
		switch c.what {
		case "attr":
			r.Observed[c.name] = c.value
		case "unset":
			delete(r.Observed, c.name)
		case "state":
			r.Reachable, r.ReachWhy = c.name, c.value
		case "conflict":
			if r.Conflict = c.value; c.value == "none" {
				r.Conflict = ""
			}
		case "silent":
			silent = c.at
		case "seen":
			silent = time.Time{}
		case "unreachable", "reachable":
			hidden = c.what == "unreachable"
		}
	}
	if !silent.IsZero() {
		r.ObservedAt = silent
	}
	return r, hidden
}

func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * 24 * float64(time.Hour)), err
	}
	return time.ParseDuration(text)
}

func moment(text string) (time.Time, error) {
	d, err := duration(text)
	return begin.Add(d), err
}

// value replaces @D by the time D after the begin.
func value(text string) (string, error) {
	d, ok := strings.CutPrefix(text, "@")
	if !ok {
		return text, nil
	}
	at, err := moment(d)
	return at.Format(time.RFC3339), err
}

// text writes the file with what came as what is wanted.
func (f *file) text() string {
	var b strings.Builder
	b.WriteString(strings.Join(f.scenes[0].prelude, "\n") + "\n")
	for _, s := range f.scenes {
		fmt.Fprintf(&b, "\n== %s\n%s\n---\n", s.name, strings.Join(s.head, "\n"))
		for _, edge := range s.want {
			b.WriteString(edge + "\n")
		}
		if len(s.want) == 0 {
			b.WriteString("nothing\n")
		}
	}
	return b.String()
}
