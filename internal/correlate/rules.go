package correlate

import (
	"slices"
	"strings"

	"reeve/internal/ops"
)

// A sight is a finding with what the topology knows of its resource.
type sight struct {
	Member
	resource ops.Resource
	project  string // ID of the compose project, or of the service without one
	known    bool
	hurts    bool // see hurtsWork
	work     bool // see isWork
}

func view(m Member, topo Topology) *sight {
	s := &sight{Member: m}
	s.resource, s.known = topo[m.ResourceID]
	// A loop of parents would be a mistake of the store; it must not hang us.
	for r, steps := s.resource, 0; r.ID != "" && steps < 5; r, steps = topo[r.ParentID], steps+1 {
		if r.Kind == ops.KindService || r.Kind == ops.KindProject {
			s.project = r.ID
		}
	}
	s.hurts, s.work = hurtsWork(s), isWork(s)
	return s
}

// Place answers what two findings must have in common to be compared: the
// host, or the resource when its host is not known.
func (s *sight) place() string {
	if s.resource.HostID != "" {
		return "host " + s.resource.HostID
	}
	return "resource " + s.ResourceID
}

func (s *sight) is(kinds ...ops.Kind) bool { return slices.Contains(kinds, s.resource.Kind) }

// A why is the rule that makes two findings a pair, seen from one of them.
type why int

const (
	sameResource why = iota + 1
	runsOnCause      // it runs on the host that has the other
	causeOfWork      // the reverse
	liesOnDevice     // the other is of the device below it
	deviceBelow      // the reverse
	sameProject
	bothReeve
)

// Lone conditions come with the days and not with a fault, or hold for long
// without anything failing from them: they have no cause among the findings
// and are none.
var lone = []string{"reboot_required", "updates_security_pending", "clock_unsynchronised", "hardware_error"}

// Harmless conditions tell of the future: nothing else fails from them yet.
var harmless = []string{"disk_wear", "fs_full_soon", "certificate_expiring"}

// Space conditions of a file system do not come from the device below.
var space = []string{"fs_full", "fs_full_soon", "fs_inodes_full"}

// Related says whether two findings that opened near to each other on one
// host have one cause, and why, seen from a.
func related(a, b *sight) (why, bool) {
	switch {
	case slices.Contains(lone, a.Condition) || slices.Contains(lone, b.Condition):
		return 0, false
	case a.ResourceID == b.ResourceID:
		return sameResource, true
	case !a.known || !b.known:
		return 0, false
	case b.hurts && a.work:
		return runsOnCause, true
	case a.hurts && b.work:
		return causeOfWork, true
	case sameThing(a, b) || sameThing(b, a):
		return sameResource, true
	case a.project != "" && a.project == b.project:
		return sameProject, true
	case a.is(ops.KindComponent) && b.is(ops.KindComponent):
		return bothReeve, true
	case liesOn(a, b):
		return liesOnDevice, true
	case liesOn(b, a):
		return deviceBelow, true
	}
	return 0, false
}

// SameThing says that the first is what was declared of the second: a
// container or a unit by its name.
func sameThing(a, b *sight) bool {
	return a.is(ops.KindWorkload) && b.is(ops.KindContainer, ops.KindUnit) && a.resource.Name == b.resource.Name && a.resource.HostID == b.resource.HostID
}

// HurtsWork says that the host or a part of it is in a trouble from which
// what runs there may fail.
func hurtsWork(s *sight) bool {
	return s.Role >= Capacity && !slices.Contains(harmless, s.Condition) && s.is(ops.KindHost, ops.KindFilesystem,
		ops.KindDisk, ops.KindArray, ops.KindPool, ops.KindInterface, ops.KindGPU)
}

// IsWork says that a finding is of something that runs on the host or is
// probed from it.
func isWork(s *sight) bool {
	return s.Role < Capacity && !slices.Contains(harmless, s.Condition) &&
		s.is(ops.KindContainer, ops.KindService, ops.KindProject, ops.KindUnit, ops.KindCheck, ops.KindWorkload)
}

// LiesOn says that the resource of the first is on the device of the second:
// a file system on an array, pool or disk, an array or pool on a disk. The
// kernel's errors of the host speak of some device, which is above disks and
// below the rest.
func liesOn(a, b *sight) bool {
	if a.Role < Storage || b.Role < Storage || !storageFault(a) || !storageFault(b) {
		return false
	}
	low, high := level(b.resource.Kind), level(a.resource.Kind)
	if low == 0 || high == 0 || low >= high {
		return false
	}
	if a.is(ops.KindHost) || b.is(ops.KindHost) {
		return true
	}
	if a.is(ops.KindFilesystem) {
		return deviceIs(a.resource, b.resource)
	}
	return memberOf(a.resource, b.resource)
}

func storageFault(s *sight) bool {
	return !slices.Contains(space, s.Condition) && !slices.Contains(harmless, s.Condition)
}

func level(k ops.Kind) int {
	switch k {
	case ops.KindDisk:
		return 1
	case ops.KindHost: // errors that the kernel reports
		return 2
	case ops.KindArray, ops.KindPool:
		return 3
	case ops.KindFilesystem:
		return 4
	}
	return 0
}

// DeviceIs says that a file system's device is the given disk or a partition
// of it, the array, or a volume of the pool.
func deviceIs(fs, below ops.Resource) bool {
	device, ok := fs.Observed.Text("device")
	if !ok || below.Name == "" {
		return false
	}
	base := strings.TrimPrefix(device, "/dev/")
	switch {
	case base == below.Name:
		return true
	case below.Kind == ops.KindDisk || below.Kind == ops.KindArray:
		return isPartition(base, below.Name)
	case below.Key.Source == "lvm":
		mapped := strings.ReplaceAll(below.Name, "-", "--") // as the device mapper writes it
		return strings.HasPrefix(base, "mapper/"+mapped+"-") || strings.HasPrefix(base, below.Name+"/")
	}
	return strings.HasPrefix(device, below.Name+"/") // a ZFS dataset
}

// IsPartition says that a device name is that of a partition: sda1 of sda,
// nvme0n1p2 of nvme0n1.
func isPartition(device, disk string) bool {
	rest, ok := strings.CutPrefix(device, disk)
	if last := disk[len(disk)-1]; ok && last >= '0' && last <= '9' {
		rest, ok = strings.CutPrefix(rest, "p")
	}
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}

// MemberOf says that a disk is part of an array or pool: by its list of
// members where that is known; otherwise a disk and an array that fail at one
// time on one host are taken to belong together.
func memberOf(set, disk ops.Resource) bool {
	list, ok := set.Observed.Text("members")
	if !ok {
		return true
	}
	for m := range strings.SplitSeq(list, ",") {
		m = strings.TrimPrefix(strings.TrimSpace(m), "/dev/")
		if m != "" && disk.Name != "" && (m == disk.Name || isPartition(m, disk.Name)) {
			return true
		}
	}
	return false
}
