package watch

import (
	"testing"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

// TestHoldFollowsTheRules: a rule for some hosts changes the hold time there.
func TestHoldFollowsTheRules(t *testing.T) {
	hours := 3 * time.Hour
	d := detect.Definition{Name: "fs_full", Hold: time.Minute}
	w := &Watch{rules: []Rule{{Condition: "fs_full", Hosts: []string{"nas-*"}, Hold: &hours}, {Condition: "other", Hold: new(time.Duration)}}}
	for host, want := range map[string]time.Duration{"nas-1": hours, "web-1": time.Minute} {
		if got := w.Hold(d, ops.Resource{Kind: ops.KindFilesystem, Name: "/", HostName: host}); got != want {
			t.Errorf("%s: %s, not %s", host, got, want)
		}
	}
}
