package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name:  "host",
	Doc:   "What the host is (system, kernel, processor count, virtualization), how long it runs, and limits that the whole kernel shares.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "uptime_seconds", Unit: "seconds", Doc: "Time since the boot."},
		{Name: "context_switches_per_s", Unit: "per_s", Doc: "Context switches."},
		{Name: "interrupts_per_s", Unit: "per_s", Doc: "Interrupts served."},
		{Name: "entropy_available_bits", Unit: "bits", Doc: "Entropy in the kernel's pool."},
		{Name: "file_descriptors_used_ratio", Unit: "ratio", Doc: "Open files as a share of the kernel's limit."},
		{Name: "conntrack_used_ratio", Unit: "ratio", Doc: "Tracked connections as a share of the limit; absent without connection tracking."},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open:  func(env collect.Env) collect.Collector { return &host{env: env} },
})

// hostRefresh is how often the attributes are read: they hardly change.
const hostRefresh = time.Minute

type host struct {
	env      collect.Env
	buf      []byte
	switches rates[string]
	attrs    ops.Attrs
	read     time.Time
	bootAt   time.Time
	// runsOn is found once: reading /proc/cpuinfo wakes every processor.
	runsOn string
}

func (h *host) Collect(_ context.Context, out *collect.Batch) (err error) {
	if h.buf, err = readInto(h.buf, h.env.ProcPath("stat")); err != nil {
		return err
	}
	stat := parseKernelStat(h.buf)
	if v, ok := h.switches.per("switches", stat.switches, out.Now); ok {
		out.Add(out.HostRef(), "context_switches_per_s", v)
	}
	if v, ok := h.switches.per("interrupts", stat.interrupts, out.Now); ok {
		out.Add(out.HostRef(), "interrupts_per_s", v)
	}
	if w, ok := readWord(h.env.ProcPath("uptime")); ok {
		first, _, _ := strings.Cut(w, " ")
		if up, err := strconv.ParseFloat(first, 64); err == nil && up >= 0 && up < 1e10 {
			out.Add(out.HostRef(), "uptime_seconds", up)
		}
	}
	h.limits(out)
	if age := out.Now.Sub(h.read); h.attrs != nil && age >= 0 && age < hostRefresh {
		return nil
	}
	h.attrs, h.read = h.describe(stat), out.Now
	out.SeeHost(maps.Clone(h.attrs))
	return h.noticeBoot(out)
}

// limits reports how much of what the kernel has once for all is taken.
func (h *host) limits(out *collect.Batch) {
	if bits, ok := readUint(h.env.ProcPath("sys", "kernel", "random", "entropy_avail")); ok {
		out.Add(out.HostRef(), "entropy_available_bits", float64(bits))
	}
	if b, err := readSmall(h.env.ProcPath("sys", "fs", "file-nr")); err == nil {
		var n [3]uint64 // allocated, free, limit
		if parseUints(bytes.TrimSpace(b), n[:]) == 3 && n[2] > 0 {
			out.Add(out.HostRef(), "file_descriptors_used_ratio", float64(n[0]-min(n[0], n[1]))/float64(n[2]))
		}
	}
	count, ok1 := readUint(h.env.ProcPath("sys", "net", "netfilter", "nf_conntrack_count"))
	limit, ok2 := readUint(h.env.ProcPath("sys", "net", "netfilter", "nf_conntrack_max"))
	if ok1 && ok2 && limit > 0 {
		out.Add(out.HostRef(), "conntrack_used_ratio", float64(count)/float64(limit))
	}
}

func (h *host) describe(stat kernelStat) ops.Attrs {
	attrs := ops.Attrs{}
	set := func(name, v string) {
		if v = redact.Line(v, 200); v != "" {
			attrs[name] = v
		}
	}
	word := func(name, path string) string {
		w, _ := readWord(path)
		set(name, w)
		return w
	}
	for _, p := range []string{h.env.RootPath("etc", "os-release"), h.env.RootPath("usr", "lib", "os-release")} {
		if b, err := readSmall(p); err == nil {
			set("os", parseOSRelease(b))
			break
		}
	}
	word("kernel", h.env.ProcPath("sys", "kernel", "osrelease"))
	word("boot_id", h.env.ProcPath("sys", "kernel", "random", "boot_id"))
	word("machine_id", h.env.RootPath("etc", "machine-id"))
	if word("arch", h.env.ProcPath("sys", "kernel", "arch")) == "" && h.env.Live {
		var u unix.Utsname
		if unix.Uname(&u) == nil {
			set("arch", unix.ByteSliceToString(u.Machine[:]))
		}
	}
	if h.runsOn == "" {
		h.runsOn = h.virtualization()
	}
	set("virtualization", h.runsOn)
	if stat.cpus > 0 {
		attrs["cpu_count"] = whole(stat.cpus)
	}
	if b, err := readSmall(h.env.ProcPath("meminfo")); err == nil {
		line, _ := nextLine(b)
		name, rest := nextField(line)
		field, _ := nextField(rest)
		if kib, ok := parseUint(field); ok && string(name) == "MemTotal:" && kib < 1<<50 {
			attrs["memory_total_bytes"] = whole(kib << 10)
		}
	}
	if stat.bootAt > 0 && stat.bootAt < 1<<40 {
		// The kernel works the time of the boot out of the clock, so setting
		// the clock moves it: a small move is none.
		if at := time.Unix(int64(stat.bootAt), 0).UTC(); at.Sub(h.bootAt).Abs() > 5*time.Second {
			h.bootAt = at
		}
		attrs["boot_at"] = h.bootAt.Format(time.RFC3339)
	}
	return attrs
}

// virtualization answers what the host runs on, "none" for bare metal.
func (h *host) virtualization() string {
	mounts, _ := readSmall(h.env.ProcPath("self", "mountinfo"))
	for path, name := range map[string]string{"run/.containerenv": "podman", ".dockerenv": "docker"} {
		// A virtual machine made from a container's image has the mark too,
		// but it has a disk of its own.
		if _, err := os.Lstat(h.env.RootPath(path)); err == nil && !hasRootDisk(mounts) {
			return name
		}
	}
	if w, ok := readWord(h.env.SysPath("hypervisor", "type")); ok {
		return w
	}
	vendor, _ := readWord(h.env.SysPath("class", "dmi", "id", "sys_vendor"))
	product, _ := readWord(h.env.SysPath("class", "dmi", "id", "product_name"))
	if v := hypervisorOf(vendor, product); v != "" {
		return v
	}
	info, err := readSmall(h.env.ProcPath("cpuinfo"))
	if err != nil && vendor == "" {
		return "" // nothing is known
	}
	if isGuest(info) {
		return "vm"
	}
	return "none"
}

// hasRootDisk reports whether the whole of a block device is mounted as the
// root, going by mountinfo.
func hasRootDisk(mountinfo []byte) bool {
	for len(mountinfo) > 0 {
		var line []byte
		line, mountinfo = nextLine(mountinfo)
		before, after, ok := strings.Cut(string(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if ok && len(left) > 4 && left[3] == "/" && left[4] == "/" && len(right) > 1 && strings.HasPrefix(right[1], "/dev/") {
			return true
		}
	}
	return false
}

func hypervisorOf(vendor, product string) string {
	text := vendor + " " + product
	for _, known := range []struct{ part, name string }{
		{"VMware", "vmware"}, {"VirtualBox", "virtualbox"}, {"innotek", "virtualbox"}, {"Virtual Machine", "hyperv"},
		{"Parallels", "parallels"}, {"Xen", "xen"}, {"Bochs", "qemu"}, {"KVM", "kvm"}, {"QEMU", "qemu"},
		{"OpenStack", "openstack"}, {"Amazon EC2", "ec2"}, {"Google Compute Engine", "gce"}, {"DigitalOcean", "kvm"},
		{"Hetzner vServer", "kvm"}, {"Firecracker", "firecracker"}, {"Apple Virtualization", "apple"},
	} {
		if strings.Contains(text, known.part) {
			return known.name
		}
	}
	return ""
}

// isGuest looks for the processor flag that every hypervisor sets on x86.
func isGuest(cpuinfo []byte) bool {
	for len(cpuinfo) > 0 {
		var line []byte
		line, cpuinfo = nextLine(cpuinfo)
		if bytes.HasPrefix(line, []byte("flags")) {
			return bytes.Contains(append(bytes.Clone(line), ' '), []byte(" hypervisor "))
		}
	}
	return false
}

// noticeBoot reports a boot since the collector last ran, which it knows by
// the boot's name in its state directory. The first run ever reports none.
func (h *host) noticeBoot(out *collect.Batch) error {
	boot := h.attrs["boot_id"]
	if boot == "" || h.env.StateDir == "" {
		return nil
	}
	where := filepath.Join(h.env.StateDir, "host_boot_id")
	last, known := readWord(where)
	if known && last == boot {
		return nil
	}
	if err := os.MkdirAll(h.env.StateDir, 0o700); err != nil {
		return fmt.Errorf("keep boot id: %w", err)
	}
	if err := errors.Join(os.WriteFile(where+".new", []byte(boot+"\n"), 0o600), os.Rename(where+".new", where)); err != nil {
		return fmt.Errorf("keep boot id: %w", err)
	}
	if known {
		at := h.bootAt
		if at.IsZero() {
			at = out.Now
		}
		out.Happen(ops.Event{
			Resource: out.HostRef(), Type: ops.EventBoot, At: at, SourceID: "boot/" + boot,
			Text: "booted " + h.attrs["kernel"], Facts: map[string]string{"boot_id": boot, "previous_boot_id": redact.Line(last, 64)},
		})
	}
	return nil
}

type kernelStat struct {
	switches, interrupts, bootAt uint64
	cpus                         int
}

// parseKernelStat reads what /proc/stat counts for the whole kernel.
func parseKernelStat(b []byte) (s kernelStat) {
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		name, rest := nextField(line)
		into := (*uint64)(nil)
		switch string(name) {
		case "ctxt":
			into = &s.switches
		case "intr":
			into = &s.interrupts
		case "btime":
			into = &s.bootAt
		default:
			if len(name) > 3 && bytes.HasPrefix(name, []byte("cpu")) {
				s.cpus++
			}
			continue
		}
		field, _ := nextField(rest)
		*into, _ = parseUint(field)
	}
	return s
}

// parseOSRelease answers the name for people in /etc/os-release.
func parseOSRelease(b []byte) string {
	name := ""
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "PRETTY_NAME":
			return value
		case "NAME":
			name = value
		}
	}
	return name
}
