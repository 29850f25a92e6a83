package collectors

import (
	"testing"

	"reeve/internal/ops"
)

func TestClockUnderChrony(t *testing.T) {
	obs := onTree(t, "server", "clock")
	near(t, obs, "host", "clock_synchronised", 1)
	if v := value(t, obs, "host", "clock_offset_seconds"); v != -0.000812345 {
		t.Errorf("offset %v: chrony knows better than the kernel", v)
	}
	attrs(t, obs, "host", ops.Attrs{"clock_synchronised": "true", "clock_source": "chrony"})
}

func TestClockUnderTimesyncd(t *testing.T) {
	obs := onTree(t, "raspberry", "clock")
	near(t, obs, "host", "clock_offset_seconds", 0.0021)
	attrs(t, obs, "host", ops.Attrs{"clock_synchronised": "true", "clock_source": "timesyncd"})
}

func TestClockThatNothingSynchronisesHasNoOffset(t *testing.T) {
	obs := onTree(t, "old-kernel", "clock")
	near(t, obs, "host", "clock_synchronised", 0)
	none(t, obs, "clock_offset_seconds")
	attrs(t, obs, "host", ops.Attrs{"clock_synchronised": "false", "clock_source": "ntpd"})
}

func TestTrackingWithoutAReference(t *testing.T) {
	if _, ok := parseTracking([]byte("00000000,,0,0.000000000,0.000000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n")); ok {
		t.Error("a clock without a reference has an offset")
	}
}

func FuzzParseTracking(f *testing.F) {
	f.Add([]byte("C0A80101,192.168.1.1,3,1772366400.1,-0.0008,0.1,0.2,-12.3,0.001,0.021,0.0012,0.0008,1032.4,Normal\n"))
	f.Add([]byte(",,,,NaN,,,,,,,,,\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, ok := parseTracking(b); ok && v != v {
			t.Fatal("offset is no number")
		}
	})
}
