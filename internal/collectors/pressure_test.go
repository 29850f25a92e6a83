package collectors

import (
	"strings"
	"testing"
)

func TestPressure(t *testing.T) {
	obs := onTree(t, "server", "pressure")
	near(t, obs, "host", "pressure_some_ratio", 0.0215, "what", "cpu")
	near(t, obs, "host", "pressure_full_ratio", 0.0012, "what", "memory")
	near(t, obs, "host", "pressure_some_ratio", 0.125, "what", "io")
}

func TestPressureWithoutAFullLineForTheProcessor(t *testing.T) {
	obs := onTree(t, "raspberry", "pressure")
	if v, ok := find(obs, "host", "pressure_full_ratio", "what", "cpu"); ok {
		t.Errorf("full pressure of the processor is %v", v)
	}
	near(t, obs, "host", "pressure_full_ratio", 0, "what", "io")
}

func TestPressureThatTheKernelDoesNotHaveIsAGap(t *testing.T) {
	obs := onTree(t, "old-kernel", "pressure")
	if len(obs.Samples) != 0 || len(obs.Gaps) != 1 || !strings.Contains(obs.Gaps[0].Remedy, "4.20") {
		t.Errorf("%+v", obs)
	}
}

func FuzzPressure(f *testing.F) {
	f.Add([]byte("some avg10=0.00 avg60=1.50 avg300=0.00 total=1\n"))
	f.Add([]byte("some avg10=0.00 avg60=NaN avg300=0.00 total=1\nfull avg10=0 avg60=-1 avg300=0 total=1\n"))
	root := procFile(f, map[string]string{"pressure/cpu": "", "pressure/memory": "", "pressure/io": ""})
	c := open(f, "pressure", rootEnv(root))
	f.Fuzz(func(t *testing.T, b []byte) {
		replace(t, root+"/proc/pressure/memory", string(b))
		obs, _ := pass(t, c, clock0)
		for _, s := range obs.Samples {
			if !(s.Value >= 0 && s.Value <= 1) {
				t.Fatalf("%s is %v", s.Metric, s.Value)
			}
		}
	})
}
