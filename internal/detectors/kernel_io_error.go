package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "kernel_io_error",
	Title: "Kernel reports errors of a disk",
	Doc: "The kernel could not read or write a block device. It opens at once, is critical from the tenth error within ten minutes on, " +
		"and clears when there was none for ten minutes.",
	Kinds:  []ops.Kind{ops.KindHost, ops.KindDisk},
	Role:   detect.Storage,
	Events: []ops.EventType{ops.EventIOError},
	Window: 10 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "critical", Default: 10, Unit: "errors", Doc: "This many within ten minutes are critical."},
	},
	Eval: kernelIOError,
	Causes: []string{
		"The disk is failing.",
		"A bad cable, controller, backplane or power supply.",
		"A removable or network device went away while it was in use.",
	},
	Checks: []string{
		"Read what the kernel says: `dmesg -T | grep -iE 'i/o error|blk_update|ata[0-9]|nvme|reset'`.",
		"See the disk's own view: `smartctl -x /dev/DISK`; rising CRC errors speak for the cable.",
		"See whether a file system became read-only: `grep ' ro,' /proc/mounts`.",
		"Make sure that there is a backup of what is on it.",
	},
})

func kernelIOError(s detect.Subject) detect.Verdict {
	events, times := happened(s, ops.EventIOError, 10*time.Minute)
	if times == 0 {
		return fine("The kernel reported no disk error in the last 10 min")
	}
	device := events[len(events)-1].Facts["device"]
	if device == "" {
		device = "a disk"
	}
	sev := ops.Warning
	if float64(times) >= s.Limit("critical") {
		sev = ops.Critical
	}
	v := detect.Badf(sev, "The kernel reported %s of %s within 10 min", count(times, "I/O error", "I/O errors"), device).AtOnce().
		Fact("device", "%s", device).Fact("errors", "%d", times)
	v.Quotes = lines(events)
	return v
}
