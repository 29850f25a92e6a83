package journal

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
	"reeve/internal/ops"
)

// A world is what a server knows after the reports that it took.
type world struct {
	State  map[string]map[string]ops.Sighting // by collector and key
	Events map[string]int                     // how often each came
	last   int64
}

func worldOf(t testing.TB, reports []ops.Report) *world {
	t.Helper()
	w := &world{State: map[string]map[string]ops.Sighting{}, Events: map[string]int{}}
	for _, r := range reports {
		if r.Sequence <= w.last {
			t.Fatalf("%d comes after %d", r.Sequence, w.last)
		}
		w.last = r.Sequence
		for _, o := range r.Observations {
			w.take(o)
		}
	}
	return w
}

func (w *world) take(o ops.Observation) {
	state := w.State[o.Collector]
	if state == nil {
		state = map[string]ops.Sighting{}
		w.State[o.Collector] = state
	}
	for key, s := range state {
		if o.Err == "" && slices.Contains(o.Complete, s.Kind) {
			delete(state, key)
		}
	}
	for _, s := range o.Sightings {
		state[s.Key.Key] = s
	}
	for _, e := range o.Events {
		if _, known := state[e.Resource.Key]; !known {
			w.Events["of what is not known: "+e.SourceID]++
		}
		w.Events[e.SourceID]++
	}
}

func (w *world) String() string {
	b, _ := json.Marshal(w)
	return string(b)
}

// list answers a report with the whole list of a collector's containers, and
// what it says of itself.
func list(collector string, sequence int64, containers ...int) ops.Report {
	r := report(sequence, 0)
	o := ops.Observation{Collector: collector, Complete: []ops.Kind{ops.KindContainer},
		Sightings: []ops.Sighting{{Key: ops.ResourceKey{Source: "reeve", Key: collector}, Kind: ops.KindComponent, Name: fmt.Sprint(sequence)}}}
	for _, n := range containers {
		o.Sightings = append(o.Sightings, ops.Sighting{Key: ops.ResourceKey{Source: "docker", Key: fmt.Sprint(n)}, Kind: ops.KindContainer, Name: fmt.Sprint("web", n),
			Observed: ops.Attrs{"state": "running", "seen": fmt.Sprint(sequence)}})
	}
	r.Observations = []ops.Observation{o}
	return r
}

// withEvent answers a report whose first observation has an event of one of
// its resources.
func withEvent(r ops.Report, i int) ops.Report {
	o := &r.Observations[0]
	o.Events = []ops.Event{{Resource: o.Sightings[i].Key, Type: ops.EventContainerExit, At: r.At, SourceID: fmt.Sprint(r.Sequence), Count: 1}}
	return r
}

func TestListsNeverCrowdEventsOut(t *testing.T) {
	s := openTestSpool(t, fastDir(t), 64<<10, disk{})
	fifty := make([]int, 50)
	for i := range fifty {
		fifty[i] = i
	}
	put(t, s, list("podman", 1, 7)) // and nothing of it ever again
	all := []ops.Report{list("podman", 1, 7)}
	for n := int64(2); n < 200; n++ {
		r := list("docker", n, fifty...)
		if n%5 == 0 {
			r = withEvent(r, 3)
		}
		put(t, s, r)
		all = append(all, r)
	}
	left := contents(t, s)
	if got, want := worldOf(t, left).String(), worldOf(t, all).String(); got != want {
		t.Errorf("the server would know %s, not %s", got, want)
	}
	if n, _, _ := s.Depth(); n != len(left) || n > 80 || s.Damaged() != 0 {
		t.Errorf("%d reports wait, %d are there, %d are damaged", n, len(left), s.Damaged())
	}
}

func TestDamagedNewestListOvertakesNothing(t *testing.T) {
	s := openTestSpool(t, fastDir(t), 0, disk{})
	put(t, s, list("docker", 1, 1), list("docker", 2, 1, 2))
	if err := s.survey(); err != nil {
		t.Fatal(err)
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	put(t, s, list("docker", 3, 1, 2, 3))
	if err := (disk{}).remove(s.segments[1].path(s.dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.rewrite(1, whole); err != nil {
		t.Fatal(err)
	}
	if err := s.rewrite(0, overtaken); err != nil {
		t.Fatal(err)
	}
	left := contents(t, s)
	if got, want := worldOf(t, left).String(), worldOf(t, []ops.Report{list("docker", 2, 1, 2)}).String(); got != want || len(left) != 1 {
		t.Errorf("%d reports are left: %s", len(left), got)
	}
}

// drawStates draws a report of collectors that list, see and fail, sometimes
// with events and samples.
func drawStates(rt *rapid.T, sequence int64) ops.Report {
	r := report(sequence, 0)
	r.Observations = nil
	for i := range rapid.IntRange(1, 3).Draw(rt, "observations") {
		kinds := []ops.Kind{ops.KindContainer, ops.KindService, ops.KindDisk}
		o := ops.Observation{Collector: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "collector")}
		o.Complete = rapid.SliceOfDistinct(rapid.SampledFrom(kinds), rapid.ID).Draw(rt, "complete")
		if rapid.IntRange(0, 4).Draw(rt, "fails") == 0 {
			o.Err = "it failed"
		}
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 8), 0, 6, rapid.ID).Draw(rt, "seen") {
			o.Sightings = append(o.Sightings, ops.Sighting{Key: ops.ResourceKey{Key: fmt.Sprint(n)}, Kind: kinds[n%len(kinds)], Name: fmt.Sprint(sequence)})
		}
		if len(o.Sightings) > 0 && rapid.IntRange(0, 7).Draw(rt, "happens") == 0 {
			o.Events = []ops.Event{{Resource: o.Sightings[0].Key, SourceID: fmt.Sprint(sequence, ".", i), At: r.At}}
		}
		for range rapid.IntRange(0, 4).Draw(rt, "samples") {
			o.Samples = append(o.Samples, ops.Sample{Metric: "m", At: r.At})
		}
		r.Observations = append(r.Observations, o)
	}
	return r
}

func TestThinnedReportsComeToTheSame(t *testing.T) {
	dir := filepath.Join(fastDir(t), "spool")
	dropped := 0
	rapid.Check(t, func(rt *rapid.T) {
		fill(t, dir, nil)
		most := rapid.Int64Range(3_000, 15_000).Draw(rt, "bytes")
		s := openTestSpool(t, dir, most, disk{})
		defer func() { s.Close() }()
		var accepted, sent []ops.Report
		sequence := int64(0)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(rt, "reports") {
					sequence++
					if r := drawStates(rt, sequence); s.Put(r) == nil {
						accepted = append(accepted, r)
					}
				}
			},
			"send": func(rt *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(rt, "reports") {
					r, ok, err := s.Next()
					if err != nil || ok && s.Done(r.Sequence) != nil {
						rt.Fatal(err)
					}
					if ok {
						sent = append(sent, r)
					}
				}
			},
			"open again": func(rt *rapid.T) {
				s.Close()
				s = openTestSpool(t, dir, most, disk{})
			},
			"": func(rt *rapid.T) {
				left := append(slices.Clone(sent), contents(t, s)...)
				if got, want := worldOf(t, left).String(), worldOf(t, accepted).String(); got != want {
					rt.Fatalf("the server knows\n%s, not\n%s", got, want)
				}
				if n, bytes, _ := s.Depth(); n != len(left)-len(sent) || bytes > most || bytes != filesBytes(t, dir) || s.Damaged() != 0 {
					rt.Fatalf("%d reports, %d there; %d bytes, at most %d; %d damaged", n, len(left)-len(sent), bytes, most, s.Damaged())
				}
				dropped = max(dropped, len(accepted)-len(left))
			},
		})
	})
	if dropped == 0 {
		t.Error("no report was ever dropped")
	}
}

// TestStatesSurviveACrashAtEveryStep looks before each step at all that a
// crash may leave of a spool that drops what is overtaken.
func TestStatesSurviveACrashAtEveryStep(t *testing.T) {
	top := fastDir(t)
	dir, copied := filepath.Join(top, "spool"), filepath.Join(top, "copy")
	sh, d := follow(t, dir)
	var accepted []ops.Report
	offered := list("docker", 1, 1)
	sh.before = func(op step) error {
		before, after := worldOf(t, accepted).String(), worldOf(t, append(slices.Clone(accepted), offered)).String()
		for _, m := range sh.moments(op) {
			fill(t, copied, m.files)
			s := openTestSpool(t, copied, 60_000, disk{})
			if got := worldOf(t, contents(t, s)).String(); got != before && got != after || s.Damaged() != 0 {
				t.Fatalf("step %d, before %s, %s: the server would know\n%s, not\n%s", sh.steps, m.step, m.how, got, before)
			}
			s.Close()
		}
		return nil
	}
	s := openTestSpool(t, dir, 6000, d)
	for n := int64(1); n <= 30; n++ {
		offered = list([]string{"docker", "podman"}[n%2], n, 1, 2, int(n))
		if n%8 == 0 {
			offered = withEvent(offered, 3)
		}
		put(t, s, offered)
		accepted = append(accepted, offered)
	}
	if n, _, _ := s.Depth(); n > 20 {
		t.Errorf("nothing was dropped: %d reports", n)
	}
}
