package faults

import (
	"encoding/json"
	"slices"
	"testing"

	"reeve/internal/ops"
	"reeve/test/receiver"
)

// newHook starts a real receiver of messages.
func newHook(t testing.TB) *receiver.HTTP {
	t.Helper()
	h, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// messages answers what a receiver was told, each message once: attempts of
// one carry its ID.
func messages(h *receiver.HTTP) (all []ops.Message) {
	seen := map[string]bool{}
	for _, r := range h.Requests() {
		var m ops.Message
		if json.Unmarshal(r.Body, &m) == nil && !seen[m.ID] {
			seen[m.ID] = true
			all = append(all, m)
		}
	}
	return all
}

// told counts the messages that tell of a condition, of the events that are
// named or of any.
func told(h *receiver.HTTP, condition string, events ...ops.MessageEvent) (n int) {
	for _, m := range messages(h) {
		for _, f := range m.Findings {
			if f.Condition == condition && (len(events) == 0 || slices.Contains(events, m.Event)) {
				n++
				break
			}
		}
	}
	return n
}
