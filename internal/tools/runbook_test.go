package tools_test

import (
	"encoding/json"
	"strings"
	"testing"

	"reeve/internal/investigate"
	"reeve/internal/tool"
)

// TestRunbooksCallToolsThatThereAre makes every step of every runbook: each
// must be understood.
func TestRunbooksCallToolsThatThereAre(t *testing.T) {
	books, err := investigate.Runbooks()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	box := b.box(tool.Investigation)
	stands := map[any]any{"{resource}": varID, "{host}": hostID, "{parent}": hostID, "{condition}": "fs_full", "{since_minutes}": 90}
	steps := 0
	for name, book := range books {
		for i, step := range book.Steps {
			in := map[string]any{}
			for k, v := range step.Input {
				if s, ok := stands[v]; ok {
					v = s
				}
				in[k] = v
			}
			text, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			steps++
			r := box.Call(t.Context(), step.Tool, text)
			known := strings.Contains(r.Text, "there is no ") && step.Tool == "read_metric"
			if r.Failed && !known {
				t.Errorf("runbook %s, step %d: %s %s answers %q", name, i+1, step.Tool, text, r.Text)
			}
		}
	}
	if steps < 100 {
		t.Errorf("only %d steps", steps)
	}
}
