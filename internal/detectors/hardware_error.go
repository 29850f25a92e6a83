package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "hardware_error",
	Title: "The processor or the memory reports errors",
	Doc: "The kernel reported a machine check or an error of the memory controller. It opens at once: as a warning for errors that were " +
		"corrected, critical for one that was fatal, and clears when there was none for six hours.",
	Kinds:  []ops.Kind{ops.KindHost},
	Role:   detect.Hardware,
	Events: []ops.EventType{ops.EventHardwareError},
	Window: 6 * time.Hour,
	Eval:   hardwareError,
	Causes: []string{
		"A memory module that is failing, or sits badly in its slot.",
		"A processor, board or power supply that is failing, or too hot.",
		"Memory or processor run faster than they are made for.",
	},
	Checks: []string{
		"Read the reports: `journalctl -k -g 'Hardware Error|mce:|EDAC'` or `dmesg -T | grep -iE 'hardware error|mce|edac'`.",
		"See which module it is: `ras-mc-ctl --error-count`, or `edac-util -v`.",
		"See the temperatures: `sensors`. Read the board's own log: `ipmitool sel list`.",
		"Test the memory when the host can be taken out of service: memtest86+.",
	},
})

func hardwareError(s detect.Subject) detect.Verdict {
	events, times := happened(s, ops.EventHardwareError, 6*time.Hour)
	if times == 0 {
		return fine("The kernel reported no hardware error in the last 6 h")
	}
	severity, word := ops.Warning, "corrected or unclassed"
	for _, e := range events {
		if e.Facts["severity"] == "fatal" {
			severity, word = ops.Critical, "fatal"
		}
	}
	v := detect.Badf(severity, "The kernel reported %s of the hardware within 6 h, the worst %s", count(times, "error", "errors"), word).AtOnce().
		Fact("errors", "%d", times).Fact("worst", "%s", word)
	v.Quotes = lines(events)
	return v
}
