package collectors

import "testing"

func TestLoad(t *testing.T) {
	obs := onTree(t, "server", "load")
	near(t, obs, "host", "load1", 1.42)
	near(t, obs, "host", "load5", 1.17)
	near(t, obs, "host", "load15", 0.98)
}

func TestLoadThatIsNoNumber(t *testing.T) {
	for _, text := range []string{"", "NaN 1 1", "-1 0 0", "a b c"} {
		if obs, err := pass(t, open(t, "load", rootEnv(procFile(t, map[string]string{"loadavg": text}))), clock0); err == nil || len(obs.Samples) > 0 {
			t.Errorf("%q is taken as a load", text)
		}
	}
}
