package show_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// printed answers what a screen says, as to somebody without a terminal.
func printed(f func(*term.Page)) string {
	var b bytes.Buffer
	f(term.NewPage(&b, func(string) string { return "" }, true))
	return b.String()
}

var at = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// TestTimeLinesSayWhenWhoAndWhy of workloads and of actions.
func TestTimeLinesSayWhenWhoAndWhy(t *testing.T) {
	past := []ops.Transition{{At: at, Actor: "act", OnBehalf: "user:anna", Verb: "approve", Object: "action", From: "awaiting_approval", To: "approved", Reason: "as agreed"}}
	for name, text := range map[string]string{
		"workload": printed(func(p *term.Page) { show.Workload(p, show.WorkloadAnswer{Transitions: past}, at) }),
		"action":   printed(func(p *term.Page) { show.Action(p, show.ActionAnswer{Transitions: past}) }),
	} {
		for _, want := range []string{term.Stamp(at), "act for user:anna", "awaiting_approval to approved", "as agreed"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, text)
			}
		}
	}
}

// TestWhoDeclaredIsSaidWithoutEmptyBrackets.
func TestWhoDeclaredIsSaidWithoutEmptyBrackets(t *testing.T) {
	for want, w := range map[string]ops.Workload{
		"declared by     user:anna (person)": {Desired: "running", DesiredBy: "user:anna", Source: "person"},
		"declared by     user:anna\n":        {Desired: "running", DesiredBy: "user:anna"},
		"taken back by   user:anna\n":        {DesiredBy: "user:anna"},
	} {
		if text := printed(func(p *term.Page) { show.Workload(p, show.WorkloadAnswer{Workload: w}, at) }); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
