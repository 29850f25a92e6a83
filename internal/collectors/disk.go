package collectors

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/prometheus/procfs/blockdevice"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name:  "disk",
	Doc:   "What disks do, from /proc/diskstats, and what they are, from /sys/block. Partitions, loops, arrays and mapped devices are not disks.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "disk_read_bytes_per_s", Unit: "bytes_per_s", Doc: "Bytes read."},
		{Name: "disk_write_bytes_per_s", Unit: "bytes_per_s", Doc: "Bytes written."},
		{Name: "disk_reads_per_s", Unit: "per_s", Doc: "Reads completed."},
		{Name: "disk_writes_per_s", Unit: "per_s", Doc: "Writes completed."},
		{Name: "disk_busy_ratio", Unit: "ratio", Doc: "Share of the time in which at least one request was under way."},
		{Name: "disk_await_seconds", Unit: "seconds", Doc: "Mean time from request to completion; 0 while nothing is asked."},
	},
	Kinds: []ops.Kind{ops.KindDisk},
	Open: func(env collect.Env) collect.Collector {
		return &disk{env: env, known: map[string]diskFacts{}}
	},
})

const (
	diskSector  = 512 // the unit of diskstats, whatever the disk's own is
	diskMax     = 512
	diskRefresh = 10 * time.Minute
)

type disk struct {
	env   collect.Env
	rates rates[diskCounter]
	known map[string]diskFacts
}

type diskCounter struct{ name, what string }

// diskFacts are what does not change while a disk is in its slot.
type diskFacts struct {
	attrs ops.Attrs
	real  bool
	read  time.Time
}

func (d *disk) Collect(_ context.Context, out *collect.Batch) error {
	tree, err := blockdevice.NewFS(d.env.Proc, d.env.Sys)
	if err != nil {
		return err
	}
	stats, err := tree.ProcDiskstats()
	if err != nil {
		return fmt.Errorf("read %s: %w", d.env.ProcPath("diskstats"), err)
	}
	count := 0
	for _, s := range stats {
		facts := d.facts(s.DeviceName, out.Now)
		if !facts.real {
			continue
		}
		if count++; count > diskMax {
			out.Gap("some disks", fmt.Sprintf("there are more than %d", diskMax), "")
			break
		}
		ref := out.Ref("linux", "disk:"+s.DeviceName)
		out.See(ops.Sighting{Key: ref, Kind: ops.KindDisk, Name: s.DeviceName, Observed: maps.Clone(facts.attrs)})
		d.add(ref, s, out)
	}
	out.Whole(ops.KindDisk)
	d.rates.forget(out.Now)
	maps.DeleteFunc(d.known, func(_ string, f diskFacts) bool { return out.Now.Sub(f.read) > 2*diskRefresh })
	return nil
}

func (d *disk) add(ref ops.ResourceKey, s blockdevice.Diskstats, out *collect.Batch) {
	per := func(what string, value uint64) (float64, bool) {
		return d.rates.per(diskCounter{s.DeviceName, what}, value, out.Now)
	}
	read, ok1 := per("read", s.ReadSectors)
	written, ok2 := per("written", s.WriteSectors)
	reads, ok3 := per("reads", s.ReadIOs)
	writes, ok4 := per("writes", s.WriteIOs)
	busy, ok5 := per("busy", s.IOsTotalTicks)
	waited, ok6 := per("waited", s.ReadTicks+s.WriteTicks)
	if ok1 && ok2 {
		out.Add(ref, "disk_read_bytes_per_s", read*diskSector)
		out.Add(ref, "disk_write_bytes_per_s", written*diskSector)
	}
	if ok3 && ok4 {
		out.Add(ref, "disk_reads_per_s", reads)
		out.Add(ref, "disk_writes_per_s", writes)
	}
	if ok5 {
		out.Add(ref, "disk_busy_ratio", min(1, busy/1000))
	}
	if ok3 && ok4 && ok6 {
		await := 0.0
		if done := reads + writes; done > 0 {
			await = waited / 1000 / done
		}
		out.Add(ref, "disk_await_seconds", await)
	}
}

// facts answers what /sys says of a device, read again now and then because
// a slot can get another disk.
func (d *disk) facts(name string, now time.Time) diskFacts {
	known, ok := d.known[name]
	if age := now.Sub(known.read); ok && age >= 0 && age < diskRefresh {
		return known
	}
	facts := diskFacts{read: now}
	if size, ok := readUint(d.env.SysPath("block", name, "size")); ok && size > 0 && isDisk(name) {
		facts.real = true
		facts.attrs = d.attrs(name, size*diskSector)
	}
	if len(d.known) < 4*diskMax {
		d.known[name] = facts
	}
	return facts
}

// isDisk refuses names that are no disks and names that would leave
// /sys/block.
func isDisk(name string) bool {
	if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
		return false
	}
	for _, p := range []string{"loop", "ram", "zram", "fd", "sr", "dm-", "md", "zd", "nbd", "drbd", "bcache"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return !strings.HasPrefix(name, "mmcblk") || !strings.Contains(name, "boot") && !strings.Contains(name, "rpmb")
}

func (d *disk) attrs(name string, size uint64) ops.Attrs {
	at := func(elem ...string) string { return d.env.SysPath(append([]string{"block", name}, elem...)...) }
	attrs := ops.Attrs{"size_bytes": whole(size)}
	word := func(attr string, paths ...string) {
		for _, p := range paths {
			if w, ok := readWord(p); ok {
				attrs[attr] = redact.Line(w, 128)
				return
			}
		}
	}
	word("model", at("device", "model"), at("device", "name"))
	word("serial", at("device", "serial"), at("serial"))
	if _, ok := attrs["serial"]; !ok {
		if b, err := readSmall(at("device", "vpd_pg80")); err == nil {
			if s := parseSerialPage(b); s != "" {
				attrs["serial"] = s
			}
		}
	}
	if w, ok := readWord(at("queue", "rotational")); ok {
		attrs["rotational"] = truth(w == "1")
	}
	// The link of a device in /sys names every bus on the way to it.
	link, _ := os.Readlink(d.env.SysPath("block", name))
	if t := transportOf(name, link); t != "" {
		attrs["transport"] = t
	}
	return attrs
}

// transportOf reads the bus of a disk from its path in /sys/devices.
func transportOf(name, link string) string {
	switch {
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case strings.HasPrefix(name, "mmcblk"):
		return "mmc"
	case strings.HasPrefix(name, "xvd"):
		return "xen"
	case strings.Contains(link, "/usb"):
		return "usb"
	case strings.Contains(link, "/virtio"):
		return "virtio"
	case strings.Contains(link, "/end_device-"), strings.Contains(link, "/sas_"):
		return "sas"
	case strings.Contains(link, "/ata"):
		return "sata"
	case strings.Contains(link, "/session"):
		return "iscsi"
	case strings.Contains(link, "/rport-"):
		return "fc"
	case strings.Contains(link, "/target"):
		return "scsi"
	}
	return ""
}

// parseSerialPage reads the serial number from SCSI vital product data page
// 0x80: four bytes of header, the last two of which are the length.
func parseSerialPage(b []byte) string {
	if len(b) < 4 || b[1] != 0x80 {
		return ""
	}
	n := int(b[2])<<8 | int(b[3])
	return redact.Line(string(b[4:min(len(b), 4+n)]), 128)
}
