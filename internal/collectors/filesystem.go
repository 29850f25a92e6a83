package collectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "filesystem",
	Doc: "Space and inodes of mounted file systems that hold data, and whether they are read-only. " +
		"Options: ignore (mount points, comma-separated), types (more file system types to report, such as tmpfs). " +
		"Recorded trees answer statfs from .reeve/statfs.json.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none; root for mounts below private directories",
	Metrics: []collect.Metric{
		{Name: "fs_used_ratio", Unit: "ratio", Doc: "Used space as a share of what is used and what users may still use, as df shows it."},
		{Name: "fs_size_bytes", Unit: "bytes", Doc: "Size of the file system."},
		{Name: "fs_available_bytes", Unit: "bytes", Doc: "Space that users may still use."},
		{Name: "fs_inodes_used_ratio", Unit: "ratio", Doc: "Share of inodes in use; absent where inodes are not limited."},
	},
	Kinds: []ops.Kind{ops.KindFilesystem},
	Open: func(env collect.Env) collect.Collector {
		return &filesystem{
			env: env, ignore: collect.Words(env.Option("ignore")), types: collect.Words(env.Option("types")),
			asked: map[string]chan fsAnswer{}, firstReadOnly: map[string]bool{},
		}
	},
})

const (
	// fsWait is how long one pass waits for all file systems together. One
	// that answers later is hung until it does.
	fsWait = 2 * time.Second
	fsMax  = 256
)

type filesystem struct {
	env           collect.Env
	ignore, types []string
	buf, host     []byte
	// asked holds the questions under way, by mount: at most one each. A dead
	// server of a network file system blocks statfs in the kernel, where
	// nothing can interrupt it.
	asked         map[string]chan fsAnswer
	firstReadOnly map[string]bool
}

// fsNumbers is what statfs says; the JSON form is that of recorded trees.
type fsNumbers struct {
	Blocks    uint64 `json:"blocks"`
	Free      uint64 `json:"bfree"`
	Available uint64 `json:"bavail"`
	BlockSize uint64 `json:"bsize"`
	Files     uint64 `json:"files"`
	FilesFree uint64 `json:"ffree"`
	ReadOnly  bool   `json:"read_only"`
	Hung      bool   `json:"hung"`
}

type fsAnswer struct {
	numbers fsNumbers
	err     error
}

func (f *filesystem) Collect(ctx context.Context, out *collect.Batch) (err error) {
	list, foreign, err := f.readMounts()
	if err != nil {
		return err
	}
	mounts := realMounts(parseMounts(list), f.types, f.ignore)
	if len(mounts) > fsMax {
		out.Gap(fmt.Sprintf("%d of the file systems", len(mounts)-fsMax), fmt.Sprintf("more than %d are mounted", fsMax), "name mounts that do not matter in the option ignore")
		mounts = mounts[:fsMax]
	}
	answers, err := f.ask(ctx, mounts)
	if err != nil {
		return err
	}
	table, err := readSmall(f.env.RootPath("etc", "fstab"))
	if err != nil && !missing(err) {
		out.Gap("read-only mounts that are meant to be", "/etc/fstab cannot be read", "let the agent read /etc/fstab")
	}
	wanted := parseFstab(table)
	for _, m := range mounts {
		answer, ok := answers[m.point]
		if !ok {
			answer.err = errHung
		}
		// A service that is kept from writing sees every mount read-only; the
		// host's own list tells how it is.
		answer.numbers.ReadOnly = answer.numbers.ReadOnly && !foreign
		if err := f.report(m, answer, wanted, out); err != nil {
			return err
		}
	}
	out.Whole(ops.KindFilesystem)
	f.forget(mounts)
	return nil
}

// readMounts answers the list of mounts of the host: that of its first
// process. Where the agent is in a container, or a service that is shown the
// file systems read-only, its own list is another one; foreign says so.
func (f *filesystem) readMounts() (list []byte, foreign bool, err error) {
	if f.buf, err = readInto(f.buf, f.env.ProcPath("self", "mountinfo")); err != nil || !f.env.Live {
		return f.buf, false, err
	}
	if f.host, err = readInto(f.host, f.env.ProcPath("1", "mountinfo")); err != nil {
		return f.buf, false, nil // /proc hides the processes of others
	}
	return f.host, !bytes.Equal(f.host, f.buf), nil
}

var errHung = errors.New("no answer")

func (f *filesystem) report(m fsMount, answer fsAnswer, wanted map[string]bool, out *collect.Batch) error {
	readOnly := m.readOnly || answer.numbers.ReadOnly
	attrs := ops.Attrs{
		"device": m.device, "fstype": m.fstype, "remote": truth(m.remote()), "hung": "false",
		"read_only": truth(readOnly), "read_only_expected": truth(f.expectedReadOnly(m.point, readOnly, wanted)),
	}
	ref := out.Ref("linux", "fs:"+m.point)
	see := func() {
		out.See(ops.Sighting{Key: ref, Kind: ops.KindFilesystem, Name: m.point, Observed: attrs})
	}
	switch {
	case answer.err == nil:
	case errors.Is(answer.err, errHung), errors.Is(answer.err, unix.ESTALE), errors.Is(answer.err, unix.EIO),
		errors.Is(answer.err, unix.ENOTCONN), errors.Is(answer.err, unix.ETIMEDOUT), errors.Is(answer.err, unix.EHOSTDOWN):
		attrs["hung"] = "true"
		see()
		return nil
	case errors.Is(answer.err, unix.EACCES), errors.Is(answer.err, unix.EPERM):
		out.Gap("space on "+m.point, "the agent may not look at the mount", "run the agent as root, or name the mount in the option ignore")
		see()
		return nil
	case missing(answer.err):
		return nil // unmounted since the list was read
	default:
		return fmt.Errorf("statfs %s: %w", m.point, answer.err)
	}
	see()
	addFilesystem(ref, answer.numbers, out)
	return nil
}

func addFilesystem(ref ops.ResourceKey, n fsNumbers, out *collect.Batch) {
	if n.Blocks == 0 || n.BlockSize == 0 {
		return // a file system that does not tell its size
	}
	used := float64(n.Blocks - min(n.Free, n.Blocks))
	available := float64(min(n.Available, n.Blocks))
	if used+available > 0 {
		out.Add(ref, "fs_used_ratio", used/(used+available))
	}
	out.Add(ref, "fs_size_bytes", float64(n.Blocks)*float64(n.BlockSize))
	out.Add(ref, "fs_available_bytes", available*float64(n.BlockSize))
	if n.Files > 0 {
		out.Add(ref, "fs_inodes_used_ratio", 1-float64(min(n.FilesFree, n.Files))/float64(n.Files))
	}
}

// expectedReadOnly says whether a mount is meant to be read-only: fstab says
// so, or it was when it was first seen and fstab says nothing.
func (f *filesystem) expectedReadOnly(point string, readOnly bool, wanted map[string]bool) bool {
	if _, known := f.firstReadOnly[point]; !known {
		f.firstReadOnly[point] = readOnly
	}
	if want, ok := wanted[point]; ok {
		return want
	}
	return f.firstReadOnly[point]
}

// forget drops what is known of mounts that are gone.
func (f *filesystem) forget(mounts []fsMount) {
	for point := range f.firstReadOnly {
		if !slices.ContainsFunc(mounts, func(m fsMount) bool { return m.point == point }) {
			delete(f.firstReadOnly, point)
		}
	}
}

// ask answers the numbers of every mount that tells them in time.
func (f *filesystem) ask(ctx context.Context, mounts []fsMount) (map[string]fsAnswer, error) {
	if !f.env.Live {
		return f.askRecord(mounts)
	}
	waiting, cancel := context.WithTimeout(ctx, fsWait)
	defer cancel()
	hung := make(map[string]bool)
	for _, m := range mounts {
		if hung[m.id()] = f.asked[m.id()] != nil; hung[m.id()] {
			continue
		}
		// The channel takes the answer without a reader, so the goroutine
		// ends as soon as the kernel answers. There is one a mount at most.
		answer, where := make(chan fsAnswer, 1), f.env.RootPath(m.point)
		f.asked[m.id()] = answer
		go func() { answer <- statfs(where) }()
	}
	answers := make(map[string]fsAnswer, len(mounts))
	for _, m := range mounts {
		if a, ok := await(waiting, f.asked[m.id()], !hung[m.id()]); ok {
			answers[m.point] = a
			delete(f.asked, m.id())
		}
	}
	f.drain()
	return answers, ctx.Err()
}

// await takes an answer that is there, or waits for it where that is wanted.
func await(ctx context.Context, answer chan fsAnswer, wait bool) (fsAnswer, bool) {
	select {
	case a := <-answer:
		return a, true
	default:
	}
	if !wait {
		return fsAnswer{}, false
	}
	select {
	case a := <-answer:
		return a, true
	case <-ctx.Done():
		return fsAnswer{}, false
	}
}

// drain takes the late answers of mounts that are no longer listed.
func (f *filesystem) drain() {
	for id, answer := range f.asked {
		select {
		case <-answer:
			delete(f.asked, id)
		default:
		}
	}
}

func statfs(where string) fsAnswer {
	var s unix.Statfs_t
	for {
		switch err := unix.Statfs(where, &s); {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fsAnswer{err: err}
		}
		size := s.Frsize
		if size <= 0 {
			size = s.Bsize
		}
		return fsAnswer{numbers: fsNumbers{
			Blocks: s.Blocks, Free: s.Bfree, Available: s.Bavail, BlockSize: uint64(max(size, 0)),
			Files: s.Files, FilesFree: s.Ffree, ReadOnly: s.Flags&unix.ST_RDONLY != 0,
		}}
	}
}

func (f *filesystem) askRecord(mounts []fsMount) (map[string]fsAnswer, error) {
	where := f.env.RootPath(".reeve", "statfs.json")
	b, err := readSmall(where)
	if err != nil {
		return nil, err
	}
	var record map[string]fsNumbers
	if err := json.Unmarshal(b, &record); err != nil {
		return nil, fmt.Errorf("parse %s: %w", where, err)
	}
	answers := make(map[string]fsAnswer, len(mounts))
	for _, m := range mounts {
		n, ok := record[m.point]
		switch {
		case !ok:
			answers[m.point] = fsAnswer{err: unix.EACCES}
		case !n.Hung:
			answers[m.point] = fsAnswer{numbers: n}
		}
	}
	return answers, nil
}

// fsMount is a line of mountinfo.
type fsMount struct {
	number, device, root, point, fstype string
	readOnly                            bool
}

func (m fsMount) id() string { return m.number + " " + m.point }

func (m fsMount) remote() bool {
	switch m.fstype {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "lustre", "glusterfs", "virtiofs", "ncpfs", "beegfs", "gpfs",
		"fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.ceph", "fuse.davfs", "fuse.juicefs", "fuse.goofys", "fuse.moosefs":
		return true
	}
	return false
}

// unreal are types without data of their own, and images that are full by
// nature.
var unreal = strings.Fields(`proc sysfs devtmpfs devpts tmpfs ramfs rootfs cgroup cgroup2 pstore bpf tracefs debugfs
	configfs securityfs selinuxfs smackfs mqueue hugetlbfs fusectl binfmt_misc autofs efivarfs nsfs rpc_pipefs nfsd
	overlay overlayfs aufs squashfs erofs iso9660 udf cramfs romfs fuse.lxcfs fuse.portal fuse.gvfsd-fuse fuse.snapfuse
	fuse.squashfuse fuse.fuse-overlayfs shiftfs resctrl pipefs sockfs dax drm anon_inodefs devfs usbfs none zonefs`)

// realMounts chooses the mounts to report: file systems with data, each once,
// in the order of the list. A bind mount shows a file system that is listed
// already; the mount of its root stands for it, else the first.
func realMounts(mounts []fsMount, types, ignore []string) []fsMount {
	chosen := map[string]int{} // device number to index in real
	var real []fsMount
	for _, m := range topMost(mounts) {
		odd := slices.Contains(unreal, m.fstype) && !slices.Contains(types, m.fstype)
		// Where the root itself is made of layers it is the disk of this
		// system (a container, a live system); elsewhere it is a container's.
		if odd && !(m.point == "/" && strings.HasPrefix(m.fstype, "overlay")) || ofContainer(m.point) || slices.Contains(ignore, m.point) {
			continue
		}
		i, known := chosen[m.number]
		switch {
		case !known:
			chosen[m.number] = len(real)
			real = append(real, m)
		case real[i].root != "/" && m.root == "/":
			real[i] = m
		}
	}
	return real
}

// ofContainer reports whether a mount is the root of a container, which the
// storage drivers for ZFS, btrfs and LVM make of a real file system. Volumes
// are in the same directories and hold data.
func ofContainer(point string) bool {
	for _, dir := range []string{"/var/lib/docker/", "/var/lib/containerd/", "/var/lib/containers/storage/", "/run/containerd/"} {
		if strings.HasPrefix(point, dir) {
			return !strings.Contains(point, "/volumes/")
		}
	}
	return false
}

// topMost drops mounts that another on the same point hides.
func topMost(mounts []fsMount) []fsMount {
	last := make(map[string]int, len(mounts))
	for i, m := range mounts {
		last[m.point] = i
	}
	var top []fsMount
	for i, m := range mounts {
		if last[m.point] == i {
			top = append(top, m)
		}
	}
	return top
}

// parseMounts reads mountinfo: number, parent, device, root, mount point,
// options, optional fields up to a dash, then type, source and options of the
// file system. Lines that are not whole are left out.
func parseMounts(b []byte) []fsMount {
	var mounts []fsMount
	for len(b) > 0 {
		var raw []byte
		raw, b = nextLine(b)
		before, after, ok := strings.Cut(string(raw), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || !strings.HasPrefix(left[4], "/") {
			continue
		}
		// After an I/O error the file system turns read-only while the mount
		// still says rw, so both count.
		mounts = append(mounts, fsMount{
			number: left[2], root: unescape(left[3]), point: path.Clean(unescape(left[4])),
			fstype: right[0], device: unescape(right[1]),
			readOnly: hasOption(left[5], "ro") || hasOption(right[2], "ro"),
		})
	}
	return mounts
}

// parseFstab answers for each mount point of fstab whether it is to be
// mounted read-only.
func parseFstab(b []byte) map[string]bool {
	readOnly := map[string]bool{}
	for len(b) > 0 {
		var raw []byte
		raw, b = nextLine(b)
		fields := strings.Fields(string(raw))
		if len(fields) < 4 || strings.HasPrefix(fields[0], "#") || !strings.HasPrefix(fields[1], "/") {
			continue
		}
		readOnly[path.Clean(unescape(fields[1]))] = hasOption(fields[3], "ro")
	}
	return readOnly
}

func hasOption(options, name string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// unescape turns the octal escapes of mount tables (\040 for a space) into
// what they stand for; bytes that are no text become a mark.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
