package collectors

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var acceptSeen = flag.Bool("accept", false, "write what is seen on recorded trees to testdata/seen")

// toolEnv answers an Env over a recorded tree with the tools that it recorded
// in .reeve/tools.
func toolEnv(t testing.TB, tree string) collect.Env {
	t.Helper()
	env := treeEnv(t, tree)
	file := func(tool string) string { return env.RootPath(".reeve", "tools", tool+".json") }
	env.Tools = func(tool string) (string, bool) {
		_, err := os.Stat(file(tool))
		return file(tool), err == nil
	}
	env.Run = func(_ context.Context, tool string, args ...string) (collect.Output, error) {
		b, err := os.ReadFile(file(tool))
		if err != nil {
			return collect.Output{}, err
		}
		var answers map[string]struct {
			Stdout, Stderr string
			Exit           int
		}
		if err := json.Unmarshal(b, &answers); err != nil {
			return collect.Output{}, err
		}
		a, ok := answers[strings.Join(args, " ")]
		if !ok {
			return collect.Output{}, fmt.Errorf("%s %s was not recorded", tool, strings.Join(args, " "))
		}
		return collect.Output{Stdout: []byte(a.Stdout), Stderr: []byte(a.Stderr), Exit: a.Exit}, nil
	}
	return env
}

// answers makes the Env's tools answer from a map of "tool args" to what is
// printed; a tool is installed when something of it is in the map.
func answers(env collect.Env, recorded map[string]collect.Output) collect.Env {
	env.Tools = func(tool string) (string, bool) {
		for k := range recorded {
			if strings.HasPrefix(k, tool+" ") {
				return "/usr/bin/" + tool, true
			}
		}
		return "", false
	}
	env.Run = func(_ context.Context, tool string, args ...string) (collect.Output, error) {
		a, ok := recorded[tool+" "+strings.Join(args, " ")]
		if !ok {
			return collect.Output{}, fmt.Errorf("%s %v was not expected", tool, args)
		}
		return a, nil
	}
	return env
}

// seenText writes an observation as sorted lines.
func seenText(obs ops.Observation) string {
	var lines []string
	for _, s := range obs.Sightings {
		line := fmt.Sprintf("see %s %s/%s %q", s.Kind, s.Key.Source, s.Key.Key, s.Name)
		for _, k := range slices.Sorted(maps.Keys(s.Observed)) {
			line += fmt.Sprintf(" %s=%q", k, s.Observed[k])
		}
		lines = append(lines, line)
	}
	for _, s := range obs.Samples {
		line := fmt.Sprintf("sample %s/%s %s", s.Resource.Source, s.Resource.Key, s.Metric)
		for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
			line += fmt.Sprintf(" %s=%q", k, s.Labels[k])
		}
		lines = append(lines, fmt.Sprintf("%s %g", line, s.Value))
	}
	for _, e := range obs.Events {
		line := fmt.Sprintf("event %s %s/%s at %s x%d %q id %s", e.Type, e.Resource.Source, e.Resource.Key,
			e.At.UTC().Format("15:04:05.000"), e.Count, e.Text, e.SourceID)
		for _, k := range slices.Sorted(maps.Keys(e.Facts)) {
			line += fmt.Sprintf(" %s=%q", k, e.Facts[k])
		}
		lines = append(lines, line)
	}
	for _, g := range obs.Gaps {
		lines = append(lines, fmt.Sprintf("gap %q %q %q", g.What, g.Why, g.Remedy))
	}
	for _, k := range obs.Complete {
		lines = append(lines, "whole "+string(k))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// checkSeen compares an observation with testdata/seen/NAME.txt and with the
// collector's definition.
func checkSeen(t *testing.T, name, collector string, obs ops.Observation) {
	t.Helper()
	d, _ := Get(collector)
	checkDocumented(t, d, obs)
	path := filepath.Join("testdata", "seen", name+".txt")
	got := seenText(obs)
	if *acceptSeen {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s saw\n%s\nwant\n%s", collector, got, want)
	}
}

// TestRecordedTrees runs each collector over the machine that was recorded for
// it: what it sees is exactly what is written down.
func TestRecordedTrees(t *testing.T) {
	for _, c := range []struct{ tree, collector string }{
		{"nas", "smart"}, {"nas", "mdraid"}, {"nas", "zfs"}, {"nas", "lvm"}, {"nas", "kernel_events"},
		{"systemdhost", "systemd"}, {"systemdhost", "updates"}, {"systemdhost", "kernel_events"},
		{"gpu", "gpu_nvidia"}, {"gpu_amd", "gpu_rocm"},
	} {
		t.Run(c.tree+"/"+c.collector, func(t *testing.T) {
			obs := mustPass(t, open(t, c.collector, toolEnv(t, c.tree)), clock0)
			checkSeen(t, c.tree+"-"+c.collector, c.collector, obs)
		})
	}
}

// TestAbsentThingsAreNeitherFaultNorGap: a bare machine has none of these.
func TestAbsentThingsAreNeitherFaultNorGap(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "sys", "block", "vda"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"smart", "mdraid", "zfs", "lvm", "systemd", "tls_listeners", "kernel_events", "gpu_nvidia", "gpu_rocm"} {
		obs, err := pass(t, open(t, name, rootEnv(root)), clock0)
		if err != collect.ErrAbsent || len(obs.Gaps)+len(obs.Sightings) > 0 {
			t.Errorf("%s on a bare machine: %v, %s", name, err, seenText(obs))
		}
	}
}
