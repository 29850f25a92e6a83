package collectors

import (
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// linuxCollectors are those that read nothing but /proc, /sys and a few small
// files.
var linuxCollectors = []string{
	"cpu", "load", "memory", "swap", "pressure", "filesystem", "disk", "network", "temperature", "host", "processes", "clock",
}

// onTree opens a collector on a recorded tree, runs one pass, and checks that
// everything it emits is documented.
func onTree(t *testing.T, tree, name string) ops.Observation {
	t.Helper()
	obs, err := pass(t, open(t, name, toolEnv(t, tree)), clock0)
	if err != nil {
		t.Fatalf("%s on %s: %v", name, tree, err)
	}
	d, _ := Get(name)
	checkDocumented(t, d, obs)
	return obs
}

// attrs compares attributes of a resource; "" means that it must be unknown.
func attrs(t *testing.T, obs ops.Observation, key string, want ops.Attrs) {
	t.Helper()
	got := seen(t, obs, key).Observed
	for name, v := range want {
		if g, ok := got[name]; v == "" && ok || v != "" && g != v {
			t.Errorf("%s: %s is %q, want %q", key, name, g, v)
		}
	}
}

// near compares a sample with what it should be.
func near(t *testing.T, obs ops.Observation, key, metric string, want float64, labels ...string) {
	t.Helper()
	got := value(t, obs, key, metric, labels...)
	if diff := got - want; diff > 1e-6*max(1, want) || diff < -1e-6*max(1, want) {
		t.Errorf("%s of %s %v is %v, want %v", metric, key, labels, got, want)
	}
}

// none fails when there is any sample of a metric.
func none(t *testing.T, obs ops.Observation, metric string) {
	t.Helper()
	for _, s := range obs.Samples {
		if s.Metric == metric {
			t.Errorf("unexpected %s of %s %v: %v", metric, s.Resource.Key, s.Labels, s.Value)
		}
	}
}

func TestLiveMachine(t *testing.T) {
	for _, name := range linuxCollectors {
		t.Run(name, func(t *testing.T) {
			d, _ := Get(name)
			c := d.Open(liveEnv())
			var samples int
			// Counters of the processors move every 10 ms.
			deadline := time.Now().Add(5 * time.Second)
			for i := 0; i < 2 || samples == 0 && name != "pressure" && time.Now().Before(deadline); i++ {
				obs, err := pass(t, c, time.Now().Add(time.Duration(i)*10*time.Second))
				if err == collect.ErrAbsent {
					if name != "temperature" {
						t.Fatalf("%s is absent", name)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				checkDocumented(t, d, obs)
				samples += len(obs.Samples)
				for _, s := range obs.Samples {
					if s.Value < 0 && s.Metric != "clock_offset_seconds" || s.Value != s.Value {
						t.Errorf("%s %v is %v", s.Metric, s.Labels, s.Value)
					}
				}
			}
			if samples == 0 && name != "pressure" {
				t.Error("no samples")
			}
		})
	}
}

func TestLiveReadingsAgreeWithTheMachine(t *testing.T) {
	obs := mustPass(t, open(t, "filesystem", liveEnv()), time.Now())
	if v := value(t, obs, "fs:/", "fs_used_ratio"); v <= 0 || v >= 1 {
		t.Errorf("/ is used %v", v)
	}
	attrs(t, obs, "fs:/", ops.Attrs{"hung": "false", "read_only": "false"})
	obs = mustPass(t, open(t, "memory", liveEnv()), time.Now())
	if v := value(t, obs, "host", "memory_used_ratio"); v <= 0 || v >= 1 {
		t.Errorf("memory is used %v", v)
	}
	obs = mustPass(t, open(t, "processes", liveEnv()), time.Now())
	if v := value(t, obs, "host", "processes_count"); v < 2 {
		t.Errorf("%v processes", v)
	}
}

func TestTreesWhole(t *testing.T) {
	for _, tree := range []string{"server", "old-kernel", "raspberry"} {
		for _, name := range linuxCollectors {
			d, _ := Get(name)
			c := d.Open(toolEnv(t, tree))
			for i := range 2 {
				obs, err := pass(t, c, clock0.Add(time.Duration(i)*10*time.Second))
				if err != nil && !(tree == "old-kernel" && name == "temperature" && err == collect.ErrAbsent) {
					t.Errorf("%s on %s: %v", name, tree, err)
				}
				checkDocumented(t, d, obs)
			}
		}
	}
}
