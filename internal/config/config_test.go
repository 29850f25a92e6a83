package config

import (
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reeve.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterSourcesWin(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nlog_level: warn\nmetrics:\n  retention: 10d\n  max_size: 2GB\nagent:\n  labels: {site: attic}\n")
	c, _, err := Load(Sources{File: file,
		Env:   []string{"REEVE_LISTEN=127.0.0.1:2", "REEVE_METRICS_RETENTION=20d", "REEVE_URL=http://x", "HOME=/x"},
		Flags: map[string]string{"listen": "127.0.0.1:3", "agent.docker_sockets": "/a,/b"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.LogLevel != "warn" || c.Metrics.Retention != Days(20) || c.Metrics.MaxSize != 2<<30 {
		t.Fatalf("%+v", c)
	}
	if c.Agent.Labels["site"] != "attic" || !c.Agent.Enabled || len(c.Agent.Docker) != 2 {
		t.Fatalf("%+v", c.Agent)
	}
}

func TestUnknownKeysNameTheNearest(t *testing.T) {
	for text, want := range map[string]string{
		"listn: x":                 "did you mean listen?",
		"metrics: {retentoin: 3d}": "did you mean metrics.retention?",
		"checks: [{name: a, type: http, tagret: b}]": "checks[0].tagret is not a setting; did you mean checks[0].target?",
		"detectors: {fs_full: {thresold: 1}}":        "did you mean detectors.fs_full.thresholds?",
		"zzzzzzzz: 1":                                "known here are",
	} {
		_, _, err := Load(Sources{File: write(t, text)})
		if err == nil || !strings.Contains(err.Error(), want) || ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := Load(Sources{File: write(t, ""), Env: []string{"REEVE_LISTN=x"}}); err == nil || !strings.Contains(err.Error(), "REEVE_LISTEN") {
		t.Error(err)
	}
}

func TestNearestKeepsHalfOfTheWord(t *testing.T) {
	for key, want := range map[string]string{"wat": "", "dat": "data", "ca": "ca", "cs": "ca", "x": "", "": ""} {
		if got := Nearest(key, []string{"ca", "data"}); got != want {
			t.Errorf("%q is near %q, want %q", key, got, want)
		}
	}
}

func TestBadValuesSayWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"metrics: {retention: soon}": "30d",
		"metrics: {max_size: big}":   "8GB",
		"a: [":                       "not valid YAML",
		"tls_cert: x":                "go together",
	} {
		_, _, err := Load(Sources{File: write(t, text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := Load(Sources{File: "/nowhere/reeve.yaml"}); err == nil || !strings.Contains(err.Error(), "/nowhere/reeve.yaml") {
		t.Error(err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1d12h": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "0": 0, "1.5h": 90 * time.Minute} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "d", "-1h", "9999999999999999y"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nchecks:\n- {name: a, type: http, target: http://x, every: 1m}\n")
	f.Add("detectors: {fs_full: {thresholds: {warn: 80}, where: [{labels: {env: dev}, enabled: false}]}}")
	f.Add("agent: 7\nmetrics: []\nchannels: {}")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "reeve.yaml")
		os.WriteFile(path, []byte(text), 0o600)
		if _, _, err := Load(Sources{File: path}); err != nil && ops.KindOf(err) == ops.Internal {
			t.Fatalf("unclassed: %v", err)
		}
	})
}

// TestTagsTellTheDefaults keeps the defaults that the reference shows equal
// to those that hold.
func TestTagsTellTheDefaults(t *testing.T) {
	var walk func(v reflect.Value, at string)
	walk = func(v reflect.Value, at string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if v.Field(i).Kind() == reflect.Struct {
				walk(v.Field(i), at+f.Name+".")
				continue
			}
			want := f.Tag.Get("default")
			got := fmt.Sprint(v.Field(i).Interface())
			if m, ok := v.Field(i).Interface().(encoding.TextMarshaler); ok {
				text, _ := m.MarshalText()
				got = string(text)
			}
			if v.Field(i).IsZero() {
				got = ""
			}
			if got != want && got != "[]" && got != "map[]" {
				t.Errorf("%s%s is %q by default, its tag says %q", at, f.Name, got, want)
			}
		}
	}
	walk(reflect.ValueOf(Default()), "")
}

func TestTargetsOfChecksAreShownWithoutSecrets(t *testing.T) {
	c := Config{Checks: []collect.Check{
		{Name: "a", Type: "http", Target: "https://ann:tiger@example.org/health?key=hidden"},
		{Name: "b", Type: "http", Target: "https://example.org/health"},
		{Name: "c", Type: "tcp", Target: "example.org:22"},
	}}
	shown := Masked(c)["checks"].([]collect.Check)
	for i, want := range []string{"https://redacted@example.org/health?key=redacted", "https://example.org/health", "example.org:22"} {
		if shown[i].Target != want {
			t.Errorf("shown: %s, want %s", shown[i].Target, want)
		}
	}
	if !strings.Contains(c.Checks[0].Target, "tiger") {
		t.Error("the configuration itself changed")
	}
}
