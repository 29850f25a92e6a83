package detectors

import (
	"fmt"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "raid_degraded",
	Title: "RAID array lost a disk",
	Doc: "A software RAID array has fewer working disks than it should have, or does not run at all, for ten seconds. It is critical when the " +
		"next disk to fail takes data with it, and stays open while the array rebuilds. It clears when it was whole for a minute.",
	Kinds:   []ops.Kind{ops.KindArray},
	Role:    detect.Storage,
	Metrics: []string{"array_sync_ratio", "array_disks_active_count", "array_disks_total_count"},
	Hold:    10 * time.Second,
	Clear:   time.Minute,
	Eval:    raidDegraded,
	Causes: []string{
		"A disk failed or was pulled.",
		"A disk dropped out for a moment: cable, controller, power.",
		"The array was assembled without one of its disks after a start.",
	},
	Checks: []string{
		"See which disk is missing: `cat /proc/mdstat`, `mdadm --detail /dev/ARRAY`.",
		"See whether the disk is still there and healthy: `lsblk`, `smartctl -a /dev/DISK`, `dmesg -T | tail -50`.",
		"Make sure that there is a backup before the rebuild.",
		"Replace it: `mdadm --manage /dev/ARRAY --remove failed`, then `mdadm --manage /dev/ARRAY --add /dev/NEW`.",
	},
})

func raidDegraded(s detect.Subject) detect.Verdict {
	attrs := s.Resource.Observed
	state, known := attrs.Text("state")
	if !known {
		return detect.NoData()
	}
	name := s.Resource.Name
	if state == "inactive" {
		return detect.Badf(ops.Critical, "%s does not run", name).Fact("state", "%s", state)
	}
	active, ok1 := attrs.Number("disks_active")
	total, ok2 := attrs.Number("disks_total")
	if !ok1 || !ok2 {
		return detect.NoData()
	}
	failed, _ := attrs.Number("disks_failed")
	missing := total - active
	if missing <= 0 && state != "degraded" {
		return fine("%s has all its %.0f disks", name, total)
	}
	level, _ := attrs.Text("level")
	sev := ops.Critical
	if missing < spareDisks(level, total) {
		sev = ops.Warning
	}
	v := detect.Badf(sev, "%s (%s) runs on %.0f of %.0f disks", name, level, active, total).
		Fact("state", "%s", state).Fact("level", "%s", level).Fact("disks", "%.0f of %.0f", active, total)
	if failed > 0 {
		v = v.Fact("failed", "%.0f", failed)
	}
	if sync, x, ok := reading(s, "array_sync_ratio"); ok && sync < 1 && (state == "recovering" || state == "resync") {
		v.Summary += fmt.Sprintf(" and is rebuilding, %s done", percent(sync))
		v = v.With(x).Fact("rebuilt", "%s", percent(sync))
	}
	if sev == ops.Critical {
		v.Summary += "; the next failure loses data"
	}
	return v
}

// SpareDisks answers how many disks a level can lose.
func spareDisks(level string, total float64) float64 {
	switch level {
	case "raid1":
		return total - 1
	case "raid4", "raid5", "raid10":
		return 1
	case "raid6":
		return 2
	}
	return 0
}
