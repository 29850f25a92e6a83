package notify

import (
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestQuietHoursFollowTheClockOnTheWall(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, berlin) }
	cases := []struct {
		name  string
		hours map[string]any
		now   time.Time
		want  time.Time
	}{
		{"before", map[string]any{"from": "22:00", "to": "07:00"}, at(4, 21, 59), time.Time{}},
		{"evening", map[string]any{"from": "22:00", "to": "07:00"}, at(4, 22, 0), at(5, 7, 0)},
		{"early morning", map[string]any{"from": "22:00", "to": "07:00"}, at(5, 6, 59), at(5, 7, 0)},
		{"after", map[string]any{"from": "22:00", "to": "07:00"}, at(5, 7, 0), time.Time{}},
		{"night in which clocks go forward", map[string]any{"from": "22:00", "to": "07:00"}, at(28, 23, 0), at(29, 7, 0)},
		{"same day", map[string]any{"from": "12:00", "to": "14:00"}, at(4, 13, 0), at(4, 14, 0)},
		{"a day they do not begin on", map[string]any{"from": "22:00", "to": "07:00", "days": "fri,sat"}, at(5, 3, 0), time.Time{}},
		{"the morning after they began", map[string]any{"from": "22:00", "to": "07:00", "days": "fri,sat"}, at(7, 3, 0), at(7, 7, 0)},
		{"another channel", map[string]any{"from": "22:00", "to": "07:00", "channels": "b"}, at(4, 23, 0), time.Time{}},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			p := policy(t, map[string]any{"time_zone": "Europe/Berlin", "quiet_hours": []any{x.hours}}, "a", "b")
			if got := p.quietUntil(x.now, "a", ops.Warning); !got.Equal(x.want) {
				t.Errorf("until %v, want %v", got, x.want)
			}
			if got := p.quietUntil(x.now, "a", ops.Critical); !got.IsZero() {
				t.Errorf("a critical message waits until %v", got)
			}
		})
	}
}

func TestQuietHoursThatFollowEachOtherAreOne(t *testing.T) {
	p := policy(t, map[string]any{"quiet_hours": []any{
		map[string]any{"from": "20:00", "to": "23:00"}, map[string]any{"from": "22:00", "to": "06:00", "hold": "all"},
	}}, "a")
	evening := time.Date(2026, 3, 4, 21, 0, 0, 0, time.UTC)
	if got, want := p.quietUntil(evening, "a", ops.Warning), time.Date(2026, 3, 5, 6, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("until %v", got)
	}
	if got := p.quietUntil(evening.Add(2*time.Hour), "a", ops.Critical); got.IsZero() {
		t.Error("hold: all does not hold critical messages")
	}
}

func TestRulesAreChecked(t *testing.T) {
	for _, raw := range []map[string]any{
		{"time_zone": "Mars/Base"},
		{"quiet_hours": []any{map[string]any{"from": "25:00", "to": "07:00"}}},
		{"quiet_hours": []any{map[string]any{"from": "07:00", "to": "07:00"}}},
		{"quiet_hours": []any{map[string]any{"from": "22:00", "to": "07:00", "days": "someday"}}},
		{"quiet_hours": []any{map[string]any{"from": "22:00", "to": "07:00", "channels": []any{"nobody"}}}},
		{"quiet_hours": "at night"},
		{"routes": []any{map[string]any{"channels": "nobody"}}},
		{"routes": []any{map[string]any{"severities": "info"}}},
		{"routes": []any{map[string]any{"kinds": "toaster"}}},
		{"routes": []any{map[string]any{"chanels": "a"}}},
		{"routes": []any{"a"}},
		{"channel_max_per_hour": 0}, {"total_max_per_hour": -1}, {"digest_every": "1s"}, {"digest_every": "soon"},
	} {
		if _, err := NewPolicy(raw, []string{"a"}); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%v: %v", raw, err)
		}
	}
}
