package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:       "gpu_hot",
	Title:      "Graphics processor is too hot",
	Doc:        "The graphics processor is at or above the limit for two minutes. It clears after five minutes five degrees below.",
	Kinds:      []ops.Kind{ops.KindGPU},
	Role:       detect.Hardware,
	Metrics:    []string{"gpu_temperature_celsius", "gpu_power_watts"},
	Hold:       2 * time.Minute,
	Clear:      5 * time.Minute,
	Thresholds: steps("celsius", 90, 100, 5),
	Eval:       gpuHot,
	Causes: []string{
		"A fan failed or is blocked; dust; dried thermal paste.",
		"Too little air for a card under full load, or cards too close together.",
		"The power limit is higher than the cooling allows.",
	},
	Checks: []string{
		"See temperature, fan, power and whether it slows down: `nvidia-smi -q -d TEMPERATURE,PERFORMANCE,POWER` or `rocm-smi`.",
		"See what runs on it: `nvidia-smi`.",
		"Lower the power limit for now: `nvidia-smi -pl WATTS`.",
		"Look at the machine: fans, dust, air.",
	},
})

func gpuHot(s detect.Subject) detect.Verdict {
	degrees, x, ok := reading(s, "gpu_temperature_celsius")
	if !ok {
		return detect.NoData()
	}
	v := judge(s, degrees, "%s is %.0f °C hot", s.Resource.Name, degrees).With(x).Fact("temperature", "%.0f °C", degrees)
	if watts, ok := s.Value("gpu_power_watts"); ok {
		v = v.Fact("power", "%.0f W", watts)
	}
	return v
}
