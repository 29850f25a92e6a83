package collectors

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// clock0 is the time of the first pass over a recorded tree.
var clock0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// treeEnv answers an Env over testdata/trees/NAME; change what a test needs.
func treeEnv(t testing.TB, name string) collect.Env {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("testdata", "trees", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); err != nil {
		t.Fatal(err)
	}
	return rootEnv(root)
}

// rootEnv answers an Env over a recorded tree anywhere.
func rootEnv(root string) collect.Env {
	return collect.Env{
		Log:  slog.New(slog.DiscardHandler),
		Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys"), Root: root,
		Run: func(_ context.Context, tool string, _ ...string) (collect.Output, error) {
			return collect.Output{}, ops.Errorf(ops.NotFound, "%s is not installed", tool)
		},
		Tools:  func(string) (string, bool) { return "", false },
		Option: func(string) string { return "" },
		Checks: func() []collect.Check { return nil },
	}
}

// liveEnv answers an Env over this machine, without tools.
func liveEnv() collect.Env {
	env := rootEnv("/")
	env.Live = true
	return env
}

// pass runs one pass and answers what it saw.
func pass(t testing.TB, c collect.Collector, now time.Time) (ops.Observation, error) {
	t.Helper()
	var obs ops.Observation
	host := ops.HostIdentity{Key: "k", Name: "box"}
	err := c.Collect(t.Context(), collect.NewBatch(host, now, &obs))
	return obs, err
}

// mustPass is pass that may not fail.
func mustPass(t testing.TB, c collect.Collector, now time.Time) ops.Observation {
	t.Helper()
	obs, err := pass(t, c, now)
	if err != nil {
		t.Fatal(err)
	}
	return obs
}

// open opens a collector of the catalogue by name.
func open(t testing.TB, name string, env collect.Env) collect.Collector {
	t.Helper()
	d, ok := Get(name)
	if !ok {
		t.Fatalf("no collector %s", name)
	}
	return d.Open(env)
}

// value answers the one sample of a metric on a resource with the given label
// pairs, and fails the test when there is none.
func value(t testing.TB, obs ops.Observation, key, metric string, labels ...string) float64 {
	t.Helper()
	v, ok := find(obs, key, metric, labels...)
	if !ok {
		t.Fatalf("no sample %s of %s %v", metric, key, labels)
	}
	return v
}

func find(obs ops.Observation, key, metric string, labels ...string) (float64, bool) {
	for _, s := range obs.Samples {
		if s.Metric != metric || s.Resource.Key != key {
			continue
		}
		same := true
		for i := 0; i < len(labels); i += 2 {
			same = same && s.Labels[labels[i]] == labels[i+1]
		}
		if same {
			return s.Value, true
		}
	}
	return 0, false
}

// seen answers the sighting of a key.
func seen(t testing.TB, obs ops.Observation, key string) ops.Sighting {
	t.Helper()
	for _, s := range obs.Sightings {
		if s.Key.Key == key {
			return s
		}
	}
	t.Fatalf("%s was not seen", key)
	return ops.Sighting{}
}

// checkDocumented fails when an observation holds a metric or a kind that the
// definition does not declare.
func checkDocumented(t testing.TB, d collect.Definition, obs ops.Observation) {
	t.Helper()
	metrics, kinds := map[string]collect.Metric{}, map[ops.Kind]bool{ops.KindHost: true}
	for _, m := range d.Metrics {
		metrics[m.Name] = m
	}
	for _, k := range d.Kinds {
		kinds[k] = true
	}
	for _, s := range obs.Samples {
		m, ok := metrics[s.Metric]
		if !ok {
			t.Errorf("%s emits %s, which its definition does not list", d.Name, s.Metric)
		} else if len(s.Labels) != len(m.Labels) {
			t.Errorf("%s: %s has labels %v, documented %v", d.Name, s.Metric, s.Labels, m.Labels)
		}
	}
	for _, s := range obs.Sightings {
		if !kinds[s.Kind] {
			t.Errorf("%s sees a %s, which its definition does not list", d.Name, s.Kind)
		}
	}
}

func TestDefinitionsAreWhole(t *testing.T) {
	form := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for _, d := range All() {
		if d.Doc == "" || d.Every <= 0 || d.Cost == "" || d.Permissions == "" || d.Open == nil {
			t.Errorf("%s: a definition says doc, period, cost, permissions and how to open it", d.Name)
		}
		seen := map[string]bool{}
		for _, m := range d.Metrics {
			if !form.MatchString(m.Name) || m.Unit == "" || m.Doc == "" || seen[m.Name] {
				t.Errorf("%s: metric %q is not documented once and whole", d.Name, m.Name)
			}
			seen[m.Name] = true
		}
	}
}

func TestRates(t *testing.T) {
	var r rates[string]
	if _, ok := r.per("a", 100, clock0); ok {
		t.Error("a first reading has no rate")
	}
	if v, ok := r.per("a", 150, clock0.Add(10*time.Second)); !ok || v != 5 {
		t.Errorf("rate %v %v, want 5", v, ok)
	}
	if _, ok := r.per("a", 10, clock0.Add(20*time.Second)); ok {
		t.Error("a reset counter has no rate")
	}
	if _, ok := r.per("a", 20, clock0.Add(15*time.Second)); ok {
		t.Error("a clock set back gives no rate")
	}
	if _, ok := r.per("a", 30, clock0.Add(time.Hour)); ok {
		t.Error("a long pause gives no rate")
	}
	r.forget(clock0)
	if len(r.last) != 0 {
		t.Error("forget keeps what was not seen")
	}
}

func TestReadSmallIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, make([]byte, smallLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSmall(path); err == nil {
		t.Error("a file above the limit was read")
	}
	if _, err := readSmall(path + "-none"); !missing(err) {
		t.Errorf("%v is not known as missing", err)
	}
	if b, err := readSmall("/proc/self/stat"); err != nil || len(b) == 0 {
		t.Errorf("/proc/self/stat: %v", err)
	}
}

func FuzzParseUint(f *testing.F) {
	f.Add([]byte("18446744073709551615"))
	f.Add([]byte("18446744073709551616"))
	f.Add([]byte("-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := parseUint(b)
		want, err := strconv.ParseUint(string(b), 10, 64)
		if len(b) <= 20 && (ok != (err == nil) || ok && n != want) {
			t.Fatalf("%q: %d %v, want %d %v", b, n, ok, want, err)
		}
	})
}
