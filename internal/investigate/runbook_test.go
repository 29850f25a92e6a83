package investigate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/collectors"
	"reeve/internal/detectors"
	"reeve/internal/ops"
	"reeve/internal/schema"
	"reeve/internal/tool"
	"reeve/internal/tools"
)

// A condition without a runbook would be investigated by guess.
func TestEveryConditionHasItsRunbook(t *testing.T) {
	books, err := Runbooks()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{anyCondition: true}
	for _, d := range detectors.All() {
		known[d.Name] = true
		if _, ok := books[d.Name]; !ok {
			t.Errorf("the condition %s has no runbook: write internal/investigate/runbooks/%s.yaml", d.Name, d.Name)
		}
	}
	for name := range books {
		if !known[name] {
			t.Errorf("the runbook %s is of no condition", name)
		}
	}
}

// A runbook asks only for what this build collects, and says why it looks.
func TestRunbooksAskForWhatThereIs(t *testing.T) {
	metrics := map[string]bool{"collector_up": true}
	for _, d := range collectors.All() {
		for _, m := range d.Metrics {
			metrics[m.Name] = true
		}
	}
	events := []ops.EventType{ops.EventOOMKill, ops.EventIOError, ops.EventHungTask, ops.EventHardwareError, ops.EventContainerExit,
		ops.EventContainerOOM, ops.EventUnitFailed, ops.EventLogError, ops.EventBoot}
	books, err := Runbooks()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		if len(b.Steps) < 3 || len(b.Steps) > 6 {
			t.Errorf("%s has %d steps; 3 to 6 are read by a person", b.Condition, len(b.Steps))
		}
		for n, s := range b.Steps {
			at := fmt.Sprintf("%s, step %d", b.Condition, n+1)
			if len(s.Reads) == 0 {
				t.Errorf("%s: nothing reads what it shows", at)
			}
			if m, ok := s.Input["metric"].(string); ok && !metrics[m] {
				t.Errorf("%s: nothing collects %s", at, m)
			}
			for _, r := range s.Reads {
				if r.Metric != "" && !metrics[r.Metric] {
					t.Errorf("%s: nothing collects %s", at, r.Metric)
				}
				if r.Event != "" && !slices.Contains(events, ops.EventType(r.Event)) {
					t.Errorf("%s: there are no events %s", at, r.Event)
				}
			}
		}
	}
}

func TestRunbookThatSaysWhatIsNotKnownIsRefused(t *testing.T) {
	const good = "condition: x\nabout: y\nsteps:\n  - tool: t\n    why: w\n    input: {resource: \"{resource}\", minutes: \"{since_minutes}\"}\n    reads:\n      - {judge: level, metric: m}\n"
	if _, err := parseRunbook([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"an unknown key":          {"about:", "abuot:"},
		"an unknown judge":        {"judge: level", "judge: levle"},
		"a missing metric":        {", metric: m", ""},
		"an unknown place":        {"{resource}\"", "{resuorce}\""},
		"an unknown target":       {"metric: m", "metric: m, of: hosts"},
		"no why":                  {"    why: w\n", ""},
		"an unknown confidence":   {"metric: m", "metric: m, confidence: sure"},
		"a fix of no known verb":  {"steps:", "fix: {verb: shell, target: host, reason: r}\nsteps:"},
		"a fix of an odd target":  {"steps:", "fix: {verb: reboot_host, target: world, reason: r}\nsteps:"},
		"a fix without its cause": {"steps:", "fix: {verb: reboot_host, target: host}\nsteps:"},
	} {
		if _, err := parseRunbook([]byte(strings.Replace(good, change[0], change[1], 1))); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// Every look of a runbook goes through the door of the tools: it must be one
// that investigations may make, with arguments that it takes.
func TestRunbooksCallToolsAsTheyAre(t *testing.T) {
	known := map[string]tool.Definition[tools.Env]{}
	for _, d := range tools.All() {
		known[d.Name] = d
	}
	books, err := Runbooks()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		for n, s := range b.Steps {
			d, ok := known[s.Tool]
			if !ok || !d.For(tool.Investigation) || d.Effect != tool.Reads {
				t.Errorf("%s, step %d: there is no tool %s that investigations may look with", b.Condition, n+1, s.Tool)
				continue
			}
			text, err := s.input(places{resource: "res_1", host: "res_2", parent: "res_3", condition: b.Condition, since: time.Hour})
			if err != nil {
				t.Error(err)
			}
			var input any
			if err := json.Unmarshal(text, &input); err != nil {
				t.Error(err)
			}
			if wrong := schema.Check(d.Schema, input); len(wrong) > 0 {
				t.Errorf("%s, step %d: %s does not take %s: %v", b.Condition, n+1, s.Tool, text, wrong)
			}
		}
	}
}
