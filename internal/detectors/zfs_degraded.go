package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "zfs_degraded",
	Title: "ZFS pool is not healthy",
	Doc: "A ZFS pool is not ONLINE (critical), or is but counts errors (warning), for ten seconds. " +
		"It clears when it was healthy for a minute.",
	Kinds:   []ops.Kind{ops.KindPool},
	Role:    detect.Storage,
	Metrics: []string{"pool_errors_count"},
	Hold:    10 * time.Second,
	Clear:   time.Minute,
	Eval:    zfsDegraded,
	Causes: []string{
		"A disk of the pool failed, was pulled or dropped out for a moment.",
		"Checksum errors: a failing disk, cable, controller or memory.",
		"The pool was imported without one of its disks.",
	},
	Checks: []string{
		"See what is wrong and what ZFS advises: `zpool status -v`.",
		"See whether the disk is there and healthy: `lsblk`, `smartctl -a /dev/DISK`, `dmesg -T | tail -50`.",
		"Make sure that there is a backup before you replace anything.",
		"Replace the disk: `zpool replace POOL OLD NEW`; after a passing fault: `zpool clear POOL`, then `zpool scrub POOL`.",
	},
})

func zfsDegraded(s detect.Subject) detect.Verdict {
	if s.Resource.Key.Source != "zfs" {
		return fine("%s is not a ZFS pool", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	health, ok := attrs.Text("health")
	if !ok {
		return detect.NoData()
	}
	if health != "ONLINE" {
		v := detect.Badf(ops.Critical, "Pool %s is %s", name, health).Fact("health", "%s", health)
		if scan, ok := attrs.Text("scan"); ok && scan != "" {
			v = v.Fact("scan", "%s", scan)
		}
		return v
	}
	if errors, x, ok := reading(s, "pool_errors_count"); ok && errors > 0 {
		v := detect.Badf(ops.Warning, "Pool %s is ONLINE but counts %s", name, count(int(errors), "error", "errors")).
			With(x).Fact("health", "%s", health).Fact("errors", "%.0f", errors)
		if text, ok := attrs.Text("errors"); ok && text != "" {
			v.Quotes = []string{text}
		}
		return v
	}
	return fine("Pool %s is ONLINE", name)
}
