package gather

import (
	"log/slog"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// Passes that begin a little early or late have samples exactly a period
// apart; one that began at another time has that of its own, and the next ones
// follow it.
func TestSamplesAreAPeriodApart(t *testing.T) {
	const every = 10 * time.Second
	w, err := New(slog.New(slog.DiscardHandler), Options{Host: box, Env: RecordedEnv(slog.New(slog.DiscardHandler), Roots{Root: t.TempDir()}),
		Definitions: []collect.Definition{definition("a", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 11, 27, 12, 0, 0, 300_700_000, time.UTC)
	steps := []struct {
		what          string
		began, sample time.Duration // after the first
	}{
		{"the first", 0, 0},
		{"late", every + 49*time.Millisecond, every},
		{"early", 2*every - 49*time.Millisecond, 2 * every},
		{"on time", 3 * every, 3 * every},
		{"a little more each time", 4*every + 30*time.Millisecond, 4 * every},
		{"until it is too much", 5*every + 60*time.Millisecond, 5*every + 60*time.Millisecond},
		{"from there", 6*every + 60*time.Millisecond, 6*every + 60*time.Millisecond},
		{"one was missed", 8*every + 65*time.Millisecond, 8*every + 65*time.Millisecond},
		{"the clock was set back an hour", 9*every - time.Hour, 9*every - time.Hour},
		{"from there", 10*every - time.Hour + time.Millisecond, 10*every - time.Hour},
		{"the clock was set forward", 11 * every, 11 * every},
	}
	for _, s := range steps {
		obs := ops.Observation{Collector: "a", Started: first.Add(s.began), EveryMS: every.Milliseconds()}
		collect.NewBatch(box, obs.Started, &obs).Add(box.HostResource(), "load1", 1)
		w.finish(w.jobs[0], result{obs: obs})
		told := w.buffer.take()
		if len(told) != 1 || len(told[0].Samples) != 3 {
			t.Fatalf("%s: %+v", s.what, told)
		}
		for _, x := range told[0].Samples {
			if want := first.Truncate(time.Millisecond).Add(s.sample); !x.At.Equal(want) {
				t.Errorf("%s: %s is of %s, want %s", s.what, x.Metric, x.At, want)
			}
		}
		if !told[0].Started.Equal(obs.Started) {
			t.Errorf("%s: the pass says that it began at %s", s.what, told[0].Started)
		}
	}
}

// A pass of a second must not be moved by as much as one of a minute may be.
func TestAShortPeriodMovesLess(t *testing.T) {
	j := &job{every: time.Second}
	first := time.UnixMilli(1_700_000_000_000)
	j.stamp(&ops.Observation{Started: first})
	o := ops.Observation{Started: first.Add(time.Second + 11*time.Millisecond), Samples: make([]ops.Sample, 1)}
	if j.stamp(&o); !o.Samples[0].At.Equal(o.Started) {
		t.Errorf("the sample is of %s, its pass began at %s", o.Samples[0].At, o.Started)
	}
}
