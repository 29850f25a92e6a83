package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/config"
)

func TestCheckConfigRefusesWhatAStartWouldTripOver(t *testing.T) {
	for want, change := range map[string]func(*config.Config){
		"channel a: setting urll": func(c *config.Config) {
			c.Channels = []map[string]any{{"name": "a", "type": "webhook", "urll": "http://127.0.0.1/"}}
		},
		"check x": func(c *config.Config) { c.Checks = []collect.Check{{Name: "x", Type: "tcp"}} },
		"two are named": func(c *config.Config) {
			c.Checks = []collect.Check{{Name: "x", Type: "icmp", Target: "::1"}, {Name: "x", Type: "icmp", Target: "::1"}}
		},
		"critical (50) would": func(c *config.Config) {
			c.Detectors = map[string]config.Detector{"fs_full": {Thresholds: map[string]float64{"warning": 99, "critical": 50}}}
		},
		"no threshold thing": func(c *config.Config) {
			c.Detectors = map[string]config.Detector{"fs_full": {Thresholds: map[string]float64{"thing": 1}}}
		},
		"did you mean fs_full?":    func(c *config.Config) { c.Detectors = map[string]config.Detector{"fs_fulll": {}} },
		"deadman: the address":     func(c *config.Config) { c.Deadman = "notaurl" },
		"metrics.url: the address": func(c *config.Config) { c.Metrics.URL = "zz" },
		"metrics.write_url: ":      func(c *config.Config) { c.Metrics.WriteURL = "http://" },
		"fleet.address: ":          func(c *config.Config) { c.Fleet.Address = "nope" },
		"neither reeve://HOST":     func(c *config.Config) { c.Fleet.Address = "http://x" },
		"fleet.probe[1]: ":         func(c *config.Config) { c.Fleet.Probe = []string{"192.0.2.1:53", "zz"} },
		"least is 2m":              func(c *config.Config) { c.Fleet.CertificateLife = config.Duration(time.Minute) },
		"did you mean docker?":     func(c *config.Config) { c.Collectors = map[string]map[string]any{"dokcer": {}} },
	} {
		c := config.Default()
		change(&c)
		if err := CheckConfig(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := CheckConfig(config.Default()); err != nil {
		t.Error(err)
	}
}

func TestMistakesNameFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		"detectors:\n  fs_full:\n    thresholds:\n      warning: 80\n      warnin: 80\n":                       ":5: detectors.fs_full: the condition fs_full has no threshold warnin",
		"listen: a\ndetectors:\n  fs_ful: {}\n":                                                                ":3: detectors.fs_ful: there is no condition fs_ful; did you mean fs_full?",
		"detectors:\n  fs_full:\n    where:\n    - hosts: [a]\n      thresholds: {warnin: 1}\n":                ":5: detectors.fs_full",
		"collectors:\n  cpu:\n    enabled: true\n    every: x\n":                                               ":4: collectors.cpu.every",
		"channels:\n- {name: a, type: webhook, url: \"http://x\"}\n- name: b\n  type: ntfy\n  tpic: x\n":       ":5: channel b",
		"channels:\n- {name: a, type: webhook, url: \"http://x\"}\nnotify:\n  remind: 1h\n  routes:\n  - {}\n": ":",
		"checks:\n- {name: a, type: icmp, target: \"::1\"}\n- {name: a, type: icmp, target: \"::1\"}\n":        ":3: checks: two are named",
		"oidc:\n  issuer: http://x\n  client_secret: file:/none\n":                                             ":3: the secret file /none",
	} {
		file := filepath.Join(t.TempDir(), "reeve.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := config.Load(config.Sources{File: file})
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckConfig(c); err == nil || !strings.Contains(err.Error(), file+want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
