package gather

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var box = ops.HostIdentity{Key: "host_1", Name: "box"}

// inbox takes reports as a server does.
type inbox struct {
	mu      sync.Mutex
	reports []ops.Report
	refuse  error
	offered []int64
}

func (i *inbox) hand(_ context.Context, r ops.Report) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.offered = append(i.offered, r.Sequence)
	if i.refuse != nil {
		return i.refuse
	}
	i.reports = append(i.reports, r)
	return nil
}

func (i *inbox) setRefuse(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuse = err
}

// of answers what came of one collector.
func (i *inbox) of(collector string) []ops.Observation {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []ops.Observation
	for _, r := range i.reports {
		for _, o := range r.Observations {
			if o.Collector == collector {
				all = append(all, o)
			}
		}
	}
	return all
}

// health answers the attributes of a collector's own resource in the last
// observation, and collector_up.
func health(t *testing.T, all []ops.Observation, collector string) (ops.Attrs, float64) {
	t.Helper()
	if len(all) == 0 {
		t.Fatalf("nothing came of %s", collector)
	}
	last, up := all[len(all)-1], -1.0
	for _, s := range last.Samples {
		if s.Metric == "collector_up" && s.Resource.Key == "collector:"+collector {
			up = s.Value
		}
	}
	for _, s := range last.Sightings {
		if s.Key == (ops.ResourceKey{Host: box.Key, Source: "reeve", Key: "collector:" + collector}) {
			if s.Kind != ops.KindComponent || s.Name != "collector "+collector {
				t.Errorf("%+v", s)
			}
			return s.Observed, up
		}
	}
	t.Fatalf("%s did not tell of itself", collector)
	return nil, 0
}

func definition(name string, f collect.Func) collect.Definition {
	return collect.Definition{
		Name: name, Doc: "test", Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
		Open: func(collect.Env) collect.Collector { return f },
	}
}

// run runs a worker in the bubble of the test and answers its inbox.
func run(t *testing.T, settings map[string]Setting, definitions ...collect.Definition) *inbox {
	t.Helper()
	in := &inbox{}
	env := RecordedEnv(slog.New(slog.DiscardHandler), Roots{Root: t.TempDir()})
	w, err := New(slog.New(slog.DiscardHandler), Options{Host: box, Env: env, Definitions: definitions, Settings: settings, Hand: in.hand})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return in
}

func TestCollectorsRunAtTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := definition("a", func(_ context.Context, out *collect.Batch) error {
			out.Add(out.HostRef(), "load1", 1)
			return nil
		})
		slow := definition("b", d.Open(collect.Env{}).Collect)
		fast := definition("c", d.Open(collect.Env{}).Collect)
		in := run(t, map[string]Setting{"b": {Every: 30 * time.Second}, "c": {Every: 2 * time.Second}}, d, slow, fast)
		time.Sleep(59*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if n := len(in.of("a")); n != 6 {
			t.Errorf("%d passes in a minute at 10 s", n)
		}
		if n := len(in.of("b")); n != 2 || in.of("b")[0].EveryMS != 30000 {
			t.Errorf("%d passes in a minute at 30 s", n)
		}
		if n := len(in.of("c")); n != 30 {
			t.Errorf("%d passes in a minute at 2 s", n)
		}
		if attrs, up := health(t, in.of("a"), "a"); attrs["state"] != "ok" || attrs["failures"] != "0" || attrs["every_ms"] != "10000" || up != 1 {
			t.Errorf("%v up %v", attrs, up)
		}
		if len(in.reports[0].Observations) != 3 {
			t.Error("what began together is not in one report")
		}
	})
}

func TestFirstPassesOfDearCollectorsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, definitions, start := make(chan time.Duration, 8), []collect.Definition{}, time.Now()
		for i, name := range []string{"a", "b", "c", "d"} {
			d := definition(name, func(context.Context, *collect.Batch) error {
				began <- time.Since(start)
				return nil
			})
			if i > 0 {
				d.Cost = collect.Dear
			}
			definitions = append(definitions, d)
		}
		run(t, nil, definitions...)
		time.Sleep(time.Second)
		synctest.Wait()
		var at []time.Duration
		for range 4 {
			at = append(at, <-began)
		}
		if at[0] != 0 || !slices.IsSorted(at) || len(slices.Compact(at)) != 4 {
			t.Errorf("first passes at %v", at)
		}
	})
}

func TestStuckCollectorHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, passes := make(chan struct{}), 0
		stuck := definition("stuck", func(context.Context, *collect.Batch) error {
			passes++
			<-release
			return nil
		})
		fine := definition("fine", func(context.Context, *collect.Batch) error { return nil })
		in := run(t, nil, stuck, fine)
		time.Sleep(time.Minute + 500*time.Millisecond)
		synctest.Wait()
		if passes != 1 {
			t.Errorf("%d passes of one collector at once", passes)
		}
		if n := len(in.of("fine")); n < 6 {
			t.Errorf("%d passes of the other", n)
		}
		if attrs, up := health(t, in.of("stuck"), "stuck"); attrs["state"] != "stuck" || attrs["error"] == "" || up != 0 {
			t.Errorf("%v up %v", attrs, up)
		}
		close(release)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if attrs, up := health(t, in.of("stuck"), "stuck"); attrs["state"] != "ok" || attrs["error"] != "" || up != 1 {
			t.Errorf("after it ended: %v up %v", attrs, up)
		}
	})
}

func TestFailureIsTheCollectorsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := true
		d := definition("a", func(_ context.Context, out *collect.Batch) error {
			out.Add(out.HostRef(), "load1", 1)
			out.Whole(ops.KindDisk)
			if fail {
				return errors.New("read: no")
			}
			return nil
		})
		p := definition("p", func(context.Context, *collect.Batch) error { panic("no") })
		slow := definition("slow", func(ctx context.Context, _ *collect.Batch) error { <-ctx.Done(); return ctx.Err() })
		in := run(t, nil, d, p, slow)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if attrs, up := health(t, in.of("a"), "a"); attrs["state"] != "failing" || attrs["failures"] != "3" || attrs["error"] != "read: no" || up != 0 {
			t.Errorf("%v up %v", attrs, up)
		}
		if o := in.of("a")[0]; o.Err != "read: no" || len(o.Complete) != 0 || o.Samples[0].Metric != "load1" {
			t.Errorf("%+v", o)
		}
		if attrs, _ := health(t, in.of("p"), "p"); attrs["error"] != "panic: no" {
			t.Errorf("%v", attrs)
		}
		if attrs, _ := health(t, in.of("slow"), "slow"); attrs["state"] != "failing" || !strings.Contains(attrs["error"], "longer than") {
			t.Errorf("%v", attrs)
		}
		fail = false
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if attrs, up := health(t, in.of("a"), "a"); attrs["state"] != "ok" || attrs["failures"] != "0" || attrs["error"] != "" || up != 1 {
			t.Errorf("%v up %v", attrs, up)
		}
	})
}

func TestPassIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := run(t, nil, definition("a", func(_ context.Context, out *collect.Batch) error {
			for range passLimit + 1 {
				out.See(ops.Sighting{Key: out.Ref("x", "y"), Kind: ops.KindContainer})
			}
			out.Whole(ops.KindContainer)
			return nil
		}))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if o := in.of("a")[0]; o.Err == "" || len(o.Complete) != 0 || len(o.Sightings) != passLimit+1 {
			t.Errorf("%q, %d sightings, the collector's own among them", o.Err, len(o.Sightings))
		}
	})
}

func TestGapAndAbsenceAreNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gap := definition("gap", func(_ context.Context, out *collect.Batch) error {
			out.Gap("SMART", "smartctl is not installed", "apt install smartmontools")
			out.Gap("SMART", "smartctl is not installed", "apt install smartmontools")
			return nil
		})
		absent := definition("absent", func(context.Context, *collect.Batch) error { return collect.ErrAbsent })
		in := run(t, nil, gap, absent)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		attrs, up := health(t, in.of("gap"), "gap")
		if attrs["state"] != "gap" || attrs["gap"] != "SMART: smartctl is not installed; apt install smartmontools" || attrs["failures"] != "0" || up != 1 {
			t.Errorf("%v up %v", attrs, up)
		}
		if attrs, up := health(t, in.of("absent"), "absent"); attrs["state"] != "ok" || attrs["absent"] != "true" || up != 1 || in.of("absent")[0].Err != "" {
			t.Errorf("%v up %v", attrs, up)
		}
	})
}

func TestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var option string
		opened := definition("a", nil)
		opened.Open = func(env collect.Env) collect.Collector {
			option = env.Option("ignore")
			return collect.Func(func(context.Context, *collect.Batch) error { return nil })
		}
		off := definition("off", nil)
		off.Open = func(collect.Env) collect.Collector { t.Error("a disabled collector was opened"); return nil }
		no := false
		in := run(t, map[string]Setting{"a": {Options: map[string]string{"ignore": "/mnt"}}, "off": {Enabled: &no}}, opened, off)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if option != "/mnt" {
			t.Errorf("option %q", option)
		}
		if attrs, up := health(t, in.of("off"), "off"); attrs["state"] != "disabled" || up != -1 || len(in.of("off")) != 1 {
			t.Errorf("%v up %v", attrs, up)
		}
	})
	if _, err := New(slog.New(slog.DiscardHandler), Options{Settings: map[string]Setting{"cpuu": {}}}); ops.KindOf(err) != ops.Invalid {
		t.Errorf("a setting of no collector: %v", err)
	}
}

func TestReportsAreOfferedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := definition("a", func(_ context.Context, out *collect.Batch) error {
			out.Add(out.HostRef(), "load1", 1)
			return nil
		})
		in := run(t, nil, d)
		in.setRefuse(errors.New("the server is away"))
		time.Sleep(35 * time.Second)
		synctest.Wait()
		in.setRefuse(nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(in.of("a")); n < 30 {
			t.Errorf("%d of 33 passes came", n)
		}
		if !slices.IsSorted(in.offered) || in.offered[0] != in.offered[1] {
			t.Errorf("sequences %v", in.offered)
		}
		var last int64
		for _, r := range in.reports {
			if r.Sequence <= last {
				t.Fatalf("sequence %d after %d", r.Sequence, last)
			}
			last = r.Sequence
		}
	})
}

func TestCloseNamesWhatDoesNotStop(t *testing.T) {
	w, err := New(slog.New(slog.DiscardHandler), Options{Host: box, Hand: (&inbox{}).hand, Env: LiveEnv(slog.New(slog.DiscardHandler), Roots{})})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	w.jobs = append(w.jobs, newJob(w.log, definition("rock", func(context.Context, *collect.Batch) error { <-release; return nil }), Setting{}, collect.Env{}))
	if err := w.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.Close(ctx); err == nil || !strings.Contains(err.Error(), "rock") {
		t.Errorf("%v", err)
	}
	close(release)
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseHandsOverWhatCameInLast(t *testing.T) {
	in := &inbox{}
	w, err := New(slog.New(slog.DiscardHandler), Options{Host: box, Hand: in.hand, Env: LiveEnv(slog.New(slog.DiscardHandler), Roots{})})
	if err != nil {
		t.Fatal(err)
	}
	w.buffer.add(ops.Observation{Collector: "logs", Events: []ops.Event{{SourceID: "1"}}})
	if err := w.Close(t.Context()); err != nil || len(in.of("logs")) != 1 {
		t.Errorf("%+v, %v", in.reports, err)
	}
}

// closing answers a worker whose reports are refused until it is closed, after
// 7 s, and the error of its end.
func closing(t *testing.T, definitions ...collect.Definition) (*inbox, error) {
	t.Helper()
	in := &inbox{refuse: errors.New("away")}
	env := RecordedEnv(slog.New(slog.DiscardHandler), Roots{Root: t.TempDir()})
	w, err := New(slog.New(slog.DiscardHandler), Options{Host: box, Env: env, Definitions: definitions, Hand: in.hand})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	time.Sleep(7 * time.Second)
	in.setRefuse(nil)
	cancel()
	return in, <-done
}

func eventsOf(all []ops.Observation) (n int) {
	for _, o := range all {
		n += len(o.Events)
	}
	return n
}

func TestCollectorThatDoesNotStopLosesNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		stuck := definition("stuck", func(context.Context, *collect.Batch) error {
			<-release
			return nil
		})
		fine := definition("fine", func(_ context.Context, out *collect.Batch) error {
			out.Happen(ops.Event{Resource: out.HostRef(), Type: ops.EventBoot, SourceID: "1"})
			return nil
		})
		in, err := closing(t, stuck, fine)
		if err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("the end does not tell who does not stop: %v", err)
		}
		if all := in.of("fine"); eventsOf(all) != 1 {
			t.Errorf("what was seen is lost: %+v", all)
		}
	})
}

func TestPassThatIsBrokenOffLosesNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, err := closing(t, definition("long", func(ctx context.Context, out *collect.Batch) error {
			out.Happen(ops.Event{Resource: out.HostRef(), Type: ops.EventBoot, SourceID: "1"})
			<-ctx.Done()
			out.Add(out.HostRef(), "up", 0)
			return ctx.Err()
		}))
		all := in.of("long")
		if err != nil || eventsOf(all) != 1 || len(all[0].Samples) != 0 || all[0].Err != "" {
			t.Errorf("%v: %+v", err, all)
		}
	})
}
