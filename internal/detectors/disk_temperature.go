package detectors

import (
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "disk_temperature",
	Title: "Disk is too hot",
	Doc: "The disk is hotter than disks of its kind should be for five minutes: 70 °C for NVMe, 65 °C for SAS, 55 °C for SATA; " +
		"ten degrees more are critical. It clears after five minutes three degrees below.",
	Kinds:   []ops.Kind{ops.KindDisk},
	Role:    detect.Hardware,
	Metrics: []string{"disk_temperature_celsius"},
	Window:  time.Hour, // SMART is read rarely
	Hold:    5 * time.Minute,
	Clear:   5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "nvme", Default: 70, Unit: "celsius", Doc: "Warning for NVMe disks, and for solid-state disks of unknown kind."},
		{Name: "sas", Default: 65, Unit: "celsius", Doc: "Warning for SAS disks."},
		{Name: "sata", Default: 55, Unit: "celsius", Doc: "Warning for SATA disks, and for rotating disks of unknown kind."},
		{Name: "more", Default: 10, Unit: "celsius", Doc: "This much above the warning is critical."},
		{Name: "margin", Default: 3, Unit: "celsius", Doc: "It clears when it is this far below the warning."},
	},
	Eval: diskTemperature,
	Causes: []string{
		"A fan failed or is blocked, or the air around is hot.",
		"A long run of heavy reading or writing (rebuild, scrub, backup).",
		"A fast NVMe disk without a heat sink.",
	},
	Checks: []string{
		"Read it: `smartctl -A /dev/DISK` (Temperature).",
		"See the fans and other sensors: `sensors`.",
		"See whether a rebuild or scrub runs: `cat /proc/mdstat`, `zpool status`.",
		"Clean dust filters and look whether every fan turns.",
	},
})

func diskTemperature(s detect.Subject) detect.Verdict {
	degrees, x, ok := slow(s, "disk_temperature_celsius")
	if !ok {
		return detect.NoData()
	}
	kind := diskKind(s.Resource)
	if kind == "" {
		return detect.NoData()
	}
	limit := s.Limit(kind)
	state, sev := detect.Levels(degrees, limit, limit+s.Limit("more"), s.Limit("margin"))
	return say(state, sev, "%s is %.0f °C hot; for its kind %.0f °C is too much", s.Resource.Name, degrees, limit).
		With(x).Fact("temperature", "%.0f °C", degrees).Fact("limit", "%.0f °C", limit).Fact("kind", "%s", kind)
}

// DiskKind answers which limit holds for a disk, "" when nothing about the
// disk is known.
func diskKind(r ops.Resource) string {
	switch transport, _ := r.Observed.Text("transport"); strings.ToLower(transport) {
	case "nvme":
		return "nvme"
	case "sas", "scsi":
		return "sas"
	case "sata", "ata", "ide":
		return "sata"
	}
	if rotational, ok := r.Observed.Bool("rotational"); ok {
		if rotational {
			return "sata"
		}
		return "nvme"
	}
	return ""
}
