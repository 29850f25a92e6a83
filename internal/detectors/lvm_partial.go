package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "lvm_partial",
	Title: "LVM volume group lacks a disk",
	Doc: "A physical volume of an LVM volume group is missing for ten seconds: logical volumes on it cannot be used. " +
		"It clears when none was missing for a minute.",
	Kinds: []ops.Kind{ops.KindPool},
	Role:  detect.Storage,
	Hold:  10 * time.Second,
	Clear: time.Minute,
	Eval:  lvmPartial,
	Causes: []string{
		"A disk failed or was pulled.",
		"A disk below is not attached yet: iSCSI, multipath, an encrypted device that was not opened.",
	},
	Checks: []string{
		"See what is missing: `pvs -o +missing`, `vgs`, `lvs -a -o +devices`.",
		"See whether the disk is there: `lsblk`, `dmesg -T | tail -50`.",
		"When it is back: `vgextend --restoremissing VG /dev/DISK`, then `vgchange -ay VG`.",
		"Do not run `vgreduce --removemissing` before you know what was on it: it removes the volumes.",
	},
})

func lvmPartial(s detect.Subject) detect.Verdict {
	if s.Resource.Key.Source != "lvm" {
		return fine("%s is not an LVM volume group", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	missing, ok1 := attrs.Number("missing_pvs")
	partial, ok2 := attrs.Bool("partial")
	switch {
	case !ok1 && !ok2:
		return detect.NoData()
	case missing > 0:
		return detect.Badf(ops.Critical, "Volume group %s lacks %s", name, count(int(missing), "physical volume", "physical volumes")).
			Fact("missing", "%.0f", missing)
	case partial:
		return detect.Badf(ops.Critical, "Volume group %s is only partly there", name)
	}
	return fine("Volume group %s is whole", name)
}
