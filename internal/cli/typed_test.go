package cli

import (
	"testing"
	"time"
)

func TestEndsAreSpansOrTimes(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"2h": now.Add(2 * time.Hour), "1d12h": now.Add(36 * time.Hour), "2026-06-01T00:00:00Z": time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		"2026-06-01": time.Date(2026, 6, 1, 0, 0, 0, 0, time.Local)} {
		if got, err := parseUntil(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	if _, err := parseUntil("tomorrow", now); exitCode(err) != exitWrongUse {
		t.Error(err)
	}
}
