package collectors

import (
	"strings"
	"testing"

	"reeve/internal/collect"
)

func TestNVIDIAWithoutDriverIsAGap(t *testing.T) {
	env := answers(rootEnv(t.TempDir()), map[string]collect.Output{
		"nvidia-smi --query-gpu=" + nvidiaFields + " --format=csv,noheader,nounits": {Exit: 9, Stdout: []byte(
			"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")},
	})
	obs := mustPass(t, open(t, "gpu_nvidia", env), clock0)
	if len(obs.Gaps) != 1 || !strings.Contains(obs.Gaps[0].Why, "couldn't communicate") || len(obs.Complete) > 0 {
		t.Errorf("%s", seenText(obs))
	}
}

func TestNVIDIANameWithComma(t *testing.T) {
	gpus := parseNVIDIA([]byte("3, GPU-1, Quadro, the big one, 550.1, 1, 2, 3, 4, 5\nNo devices were found\n"))
	if len(gpus) != 1 || gpus[0].Model != "Quadro, the big one" || gpus[0].Driver != "550.1" || gpus[0].Index != "3" {
		t.Errorf("%+v", gpus)
	}
	if v, ok := gpus[0].number(nvidiaPower); !ok || v != 5 {
		t.Errorf("power %g %v", v, ok)
	}
}
