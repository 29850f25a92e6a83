package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "temperature_high",
	Title: "Host is too hot",
	Doc: "A sensor of the host is, for two minutes, within ten degrees of the limit that its own chip names (warning) or above it " +
		"(critical); for sensors without one the limits are 80 and 90 °C. It clears after five minutes five degrees below.",
	Kinds:   []ops.Kind{ops.KindHost},
	Role:    detect.Hardware,
	Metrics: []string{"temperature_celsius", "temperature_critical_celsius"},
	Hold:    2 * time.Minute,
	Clear:   5 * time.Minute,
	Thresholds: append(steps("celsius", 80, 90, 5),
		detect.Threshold{Name: "below", Default: 10, Unit: "celsius", Doc: "Warning this far below the limit that the chip names."}),
	Eval: temperatureHigh,
	Causes: []string{
		"A fan failed or is blocked; dust; dried thermal paste.",
		"The room is hot or the air conditioning failed.",
		"Full load for a long time on a machine that is cooled too little for it.",
	},
	Checks: []string{
		"See every sensor and fan: `sensors`.",
		"See whether the processor slows itself down: `dmesg -T | grep -i throttl`.",
		"See what uses it: `top`.",
		"Look at the machine: fans, dust, air in and out, temperature of the room.",
	},
})

func temperatureHigh(s detect.Subject) detect.Verdict {
	worst, known := detect.NoData(), false
	for _, x := range s.All("temperature_celsius") {
		degrees, ok := s.Fresh(x)
		if !ok || degrees < -40 || degrees > 150 {
			continue // a sensor that is not connected reads nonsense
		}
		v := sensorVerdict(s, x, degrees)
		if !known || rank(v) > rank(worst) {
			worst, known = v, true
		}
	}
	return worst
}

func sensorVerdict(s detect.Subject, x ops.Series, degrees float64) detect.Verdict {
	warning, critical := s.Limit("warning"), s.Limit("critical")
	sensor := x.Labels["sensor"]
	if own, ok := labelled(s, "temperature_critical_celsius", "sensor", sensor); ok {
		p, _ := own.Last()
		if p.Value >= 40 && p.Value <= 150 { // chips name 0, 127.5 or 65261 °C for "none"
			warning, critical = p.Value-s.Limit("below"), p.Value
		}
	}
	state, sev := detect.Levels(degrees, warning, critical, s.Limit("margin"))
	return say(state, sev, "%s is %.0f °C hot; its limit is %.0f °C", sensor, degrees, critical).
		With(x).Fact("sensor", "%s", sensor).Fact("temperature", "%.0f °C", degrees).Fact("limit", "%.0f °C", critical)
}

// Rank orders verdicts by how bad they are.
func rank(v detect.Verdict) int {
	switch v.State {
	case detect.Bad:
		return 2 + v.Severity.Rank()
	case detect.Between:
		return 1
	}
	return 0
}
