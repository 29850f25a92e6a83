package app

import (
	"strings"
	"testing"

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
		"did you mean fs_full?": func(c *config.Config) { c.Detectors = map[string]config.Detector{"fs_fulll": {}} },
		"did you mean docker?":  func(c *config.Config) { c.Collectors = map[string]map[string]any{"dokcer": {}} },
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
