package term

import (
	"math"
	"testing"
	"time"
)

func TestShortenedIDsStayApart(t *testing.T) {
	ids := []string{"fnd_06h04fhhs5aaaaaaaaaaaaa", "fnd_06h04fhhs5aaaaaaaaaaaab", "fnd_06h04zzzzzzzzzzzzzzzzzz"}
	same := func(id string) string { return id }
	short := Shortened(ids, same)
	if short[ids[0]] == short[ids[1]] || len(Shortened(ids[1:], same)[ids[1]]) != 17 {
		t.Error(short)
	}
}

func TestReadingsAreWrittenInTheirUnit(t *testing.T) {
	for _, c := range []struct {
		metric string
		v      float64
		want   string
	}{
		{"cpu_busy_ratio", 0.5, "50%"}, {"x_ratio", 0.012, "1.2%"}, {"x_ratio", 0, "0%"}, {"memory_total_bytes", 25 << 30, "25.0 GiB"}, {"x_bytes", 512, "512 B"},
		{"net_receive_bytes_per_s", 2048, "2.0 KiB/s"}, {"temperature_celsius", 41.5, "41.5 C"}, {"uptime_seconds", 3700, "1h 1m"}, {"x_seconds", 0.25, "0.25 s"},
		{"load1", 1.23456, "1.235"}, {"x", 13214.7, "13215"}, {"x", 1e12, "1e+12"}, {"x", math.NaN(), "NaN"}, {"x", math.Inf(-1), "-Inf"}, {"x", 0.0001, "0.0001"},
	} {
		if got := Reading(c.metric, c.v); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.metric, c.v, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "1m 30s", 26 * time.Hour: "1d 2h", 40 * 24 * time.Hour: "40d", 1500 * time.Microsecond: "1ms", -time.Minute: "-1m"} {
		if got := Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
