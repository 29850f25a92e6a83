package collectors

import (
	"testing"

	"reeve/internal/collect"
)

func TestROCmFaults(t *testing.T) {
	const command = "rocm-smi --showproductname --showuniqueid --showdriverversion --showuse --showmeminfo vram --showtemp --showpower --json"
	env := answers(rootEnv(t.TempDir()), map[string]collect.Output{command: {Exit: 2, Stderr: []byte("driver not initialized")}})
	obs := mustPass(t, open(t, "gpu_rocm", env), clock0)
	if len(obs.Gaps) != 1 || len(obs.Complete) > 0 {
		t.Errorf("%s", seenText(obs))
	}
	env = answers(rootEnv(t.TempDir()), map[string]collect.Output{command: {Stdout: []byte("no JSON")}})
	if _, err := pass(t, open(t, "gpu_rocm", env), clock0); err == nil {
		t.Error("an answer that is no JSON is no error")
	}
}

func TestROCmHotterSensorsAreTheFallback(t *testing.T) {
	gpus, err := parseROCm([]byte(`{"card0":{"Temperature (Sensor junction) (C)":"61.0","Temperature (Sensor edge) (C)":"N/A"}}`))
	if err != nil || len(gpus) != 1 {
		t.Fatal(gpus, err)
	}
	if v, ok := gpus[0].number("Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)"); !ok || v != 61 {
		t.Errorf("temperature %g %v", v, ok)
	}
}
