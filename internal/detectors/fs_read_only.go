package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "fs_read_only",
	Title: "File system became read-only",
	Doc: "A file system that should be writable is mounted read-only for thirty seconds: usually the kernel protects it after an error. " +
		"It clears when it was writable for a minute. One that is read-only on purpose is no problem.",
	Kinds: []ops.Kind{ops.KindFilesystem},
	Role:  detect.Storage,
	Hold:  30 * time.Second,
	Clear: time.Minute,
	Eval:  fsReadOnly,
	Causes: []string{
		"The disk below had an I/O error and the kernel remounted the file system read-only.",
		"The file system is damaged.",
		"Someone remounted it by hand, for a snapshot or a repair.",
	},
	Checks: []string{
		"See what the kernel says: `dmesg -T | grep -iE 'remount|i/o error|ext4|xfs|btrfs'`.",
		"See whether the disk is healthy: `smartctl -a /dev/DISK`.",
		"Save what matters before any repair; then check the file system unmounted (`fsck`, `xfs_repair`).",
		"If it was remounted on purpose: `mount -o remount,rw /MOUNT`.",
	},
})

func fsReadOnly(s detect.Subject) detect.Verdict {
	readOnly, ok := s.Resource.Observed.Bool("read_only")
	if !ok {
		return detect.NoData()
	}
	name := s.Resource.Name
	switch {
	case !readOnly:
		return fine("%s is writable", name)
	case s.Resource.Observed.Is("read_only_expected", "true"):
		return fine("%s is read-only on purpose", name)
	}
	v := detect.Badf(ops.Critical, "%s has become read-only", name)
	if device, ok := s.Resource.Observed.Text("device"); ok {
		v.Summary += " (" + device + ")"
		v = v.Fact("device", "%s", device)
	}
	return v
}
