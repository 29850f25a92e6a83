package detectors_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/detect"
	"reeve/internal/detectors"
	"reeve/internal/ops"
)

var update = flag.Bool("update", false, "accept what the detectors answer in testdata")

// begin is when every time-line begins: a Monday.
var begin = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// A played is what came of a scene.
type played struct {
	edges  []string
	opened bool
	closed bool
	held   bool // it was holding, and let go without opening
}

// play drives a scene through the detector and the real hold and clear
// machine, as package watch does: a pass now and then, and one whenever a
// timer ends.
func play(t *testing.T, d detect.Definition, s scene) played {
	var p played
	var track detect.Track
	limits := map[string]float64{}
	for _, l := range d.Thresholds {
		limits[l.Name] = l.Default
	}
	for name, v := range s.limits {
		if _, ok := limits[name]; !ok {
			t.Fatalf("%s: %s has no threshold %q", s.name, d.Name, name)
		}
		limits[name] = v
	}
	for now := begin; !now.After(begin.Add(s.run)); {
		v := verdict(t, d, s, now, limits, track.Active())
		next, edge := track.Step(now, d, v)
		if edge != detect.None {
			p.edges = append(p.edges, fmt.Sprintf("%s %s", short(now.Sub(begin)), wording(edge, next, v)))
		}
		p.opened = p.opened || edge == detect.Raised
		p.closed = p.closed || edge == detect.Cleared
		p.held = p.held || track.Phase == detect.Holding && next.Phase == detect.Idle
		track = next
		now = now.Add(s.pass)
		if w := track.NextAt; !w.IsZero() && w.Before(now) {
			now = w
		}
	}
	return p
}

func wording(edge detect.Edge, next detect.Track, v detect.Verdict) string {
	words := string(edge)
	if edge != detect.Cleared {
		words += " " + string(next.Severity)
	}
	return words + ": " + v.Summary
}

func verdict(t *testing.T, d detect.Definition, s scene, now time.Time, limits map[string]float64, active bool) detect.Verdict {
	r, hidden := s.resourceAt(now)
	if hidden {
		return detect.NoData()
	}
	subject := detect.Subject{Now: now, Started: s.startedAt(now), Resource: r, Limits: limits, Active: active}
	back := detect.Stale
	if d.Window > 0 {
		back = d.Window
	}
	for _, x := range s.series {
		cut := ops.Series{Metric: x.Metric, Labels: x.Labels}
		for _, p := range x.Points {
			if p.At.After(now) || p.At.Before(now.Add(-back)) {
				continue
			}
			if n := len(cut.Points); n > 0 && d.Step > 0 && cut.Points[n-1].At.Truncate(d.Step).Equal(p.At.Truncate(d.Step)) {
				cut.Points = cut.Points[:n-1]
			}
			cut.Points = append(cut.Points, p)
		}
		if n := len(cut.Points); n > 0 && d.Window == 0 {
			cut.Points = cut.Points[n-1:]
		}
		if len(cut.Points) > 0 {
			subject.Series = append(subject.Series, cut)
		}
	}
	for _, e := range s.events {
		if !e.At.After(now) && !e.At.Before(now.Add(-d.Window)) {
			subject.Events = append(subject.Events, e)
		}
	}
	v := d.Eval(subject)
	checkVerdict(t, d, v)
	return v
}

// checkVerdict holds every verdict of every time-line against what people
// may expect of one.
func checkVerdict(t *testing.T, d detect.Definition, v detect.Verdict) {
	switch {
	case v.State == detect.Bad && (!v.Severity.Valid() || v.Summary == ""):
		t.Errorf("%s: bad without severity or summary: %+v", d.Name, v)
	case v.State != detect.Bad && v.Severity != "":
		t.Errorf("%s: %s with a severity", d.Name, v.State)
	case strings.Contains(v.Summary, "%!") || strings.Contains(v.Summary, "NaN"):
		t.Errorf("%s: summary %q", d.Name, v.Summary)
	}
	for _, x := range v.Evidence {
		if !slices.Contains(d.Metrics, x.Metric) {
			t.Errorf("%s: evidence %q is not one of its metrics", d.Name, x.Metric)
		}
	}
}

func TestTimelines(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			d, ok := detectors.Get(name)
			if !ok {
				t.Fatalf("there is no condition %s", name)
			}
			playFile(t, d, file)
		})
	}
}

func playFile(t *testing.T, d detect.Definition, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f := parse(t, d, string(b))
	var opensAndCloses, heldBack bool
	for i, s := range f.scenes {
		p := play(t, d, s)
		if !*update {
			if diff := cmp.Diff(s.want, p.edges); diff != "" {
				t.Errorf("%s:\n%s", s.name, diff)
			}
		}
		f.scenes[i].want = p.edges
		opensAndCloses = opensAndCloses || p.opened && p.closed
		heldBack = heldBack || p.held && !p.opened
	}
	if !opensAndCloses {
		t.Error("no scene opens a finding and resolves it")
	}
	if d.Hold > 0 && !heldBack {
		t.Error("no scene has a spike that is too brief to open")
	}
	if *update {
		if err := os.WriteFile(file, []byte(f.text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryDetectorHasATimeline(t *testing.T) {
	for _, d := range detectors.All() {
		if _, err := os.Stat("testdata/" + d.Name + ".txt"); err != nil {
			t.Error(err)
		}
	}
}

// A detector that is given nothing knows nothing: it must never take what is
// missing for a value.
func TestMissingDataIsNeverJudged(t *testing.T) {
	for _, d := range detectors.All() {
		limits := map[string]float64{}
		for _, l := range d.Thresholds {
			limits[l.Name] = l.Default
		}
		for _, kind := range d.Kinds {
			v := d.Eval(detect.Subject{Now: begin, Limits: limits, Resource: ops.Resource{
				ID: "res", Kind: kind, Name: "thing", Key: ops.ResourceKey{Host: "h", Source: "linux", Key: "thing"}}})
			if v.State == detect.Bad || v.State == detect.Between {
				t.Errorf("%s of a %s of which nothing is known is %s: %s", d.Name, kind, v.State, v.Summary)
			}
			if v.State == detect.Good && len(d.Metrics) > 0 && kind != ops.KindComponent && kind != ops.KindCheck && kind != ops.KindPool {
				t.Errorf("%s of a %s without any reading is good: %s", d.Name, kind, v.Summary)
			}
		}
	}
}

func TestDefinitionsAreWhole(t *testing.T) {
	for _, d := range detectors.All() {
		if d.Title == "" || d.Doc == "" || len(d.Kinds) == 0 || d.Eval == nil || len(d.Causes) == 0 || len(d.Checks) < 2 {
			t.Errorf("%s: title, doc, kinds, causes, checks or judgement is missing", d.Name)
		}
		if len(d.Events) > 0 && d.Window == 0 {
			t.Errorf("%s reads events but has no window", d.Name)
		}
		if len(d.Metrics) > 0 && d.Window > time.Hour && d.Step < time.Minute {
			t.Errorf("%s keeps every sample of %s in memory: it needs a step", d.Name, short(d.Window))
		}
		for _, k := range d.Kinds {
			if !ops.ValidKind(k) {
				t.Errorf("%s: kind %q", d.Name, k)
			}
		}
		for _, l := range d.Thresholds {
			if l.Name == "" || l.Unit == "" || l.Doc == "" {
				t.Errorf("%s: threshold %+v", d.Name, l)
			}
		}
		for _, text := range slices.Concat(d.Causes, d.Checks, []string{d.Doc}) {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q does not end with a full stop", d.Name, text)
			}
		}
	}
}

func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func cloneResource(r ops.Resource) ops.Resource {
	r.Observed = maps.Clone(r.Observed)
	return r
}
