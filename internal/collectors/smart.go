package collectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "smart",
	Doc: "Health, wear, temperature and defects of disks, from smartctl. A disk in standby is never woken. " +
		"Option skip: disks not to ask, such as sda,sdb.",
	Every:       30 * time.Minute,
	Timeout:     3 * time.Minute,
	Cost:        collect.Dear,
	Permissions: "root, or CAP_SYS_RAWIO (and CAP_SYS_ADMIN for NVMe) with read access to the disks",
	Metrics: []collect.Metric{
		{Name: "disk_smart_passed", Unit: "bool", Doc: "Whether the disk's own health check passed."},
		{Name: "disk_temperature_celsius", Unit: "celsius", Doc: "Temperature of the disk."},
		{Name: "disk_wear_ratio", Unit: "ratio", Doc: "Part of the rated endurance that is used; may exceed 1."},
		{Name: "disk_spare_ratio", Unit: "ratio", Doc: "Spare blocks that are left."},
		{Name: "disk_power_on_hours", Unit: "hours", Doc: "Hours that the disk has been on."},
		{Name: "disk_reallocated_count", Unit: "count", Doc: "Reallocated sectors; grown defects of a SCSI disk."},
		{Name: "disk_pending_count", Unit: "count", Doc: "Sectors that wait to be reallocated."},
		{Name: "disk_uncorrectable_count", Unit: "count", Doc: "Errors that could not be corrected."},
		{Name: "disk_media_errors_count", Unit: "count", Doc: "Media and data integrity errors of an NVMe disk."},
		{Name: "disk_crc_errors_count", Unit: "count", Doc: "Transfer errors between disk and controller: mostly the cable."},
	},
	Kinds: []ops.Kind{ops.KindDisk},
	Open: func(env collect.Env) collect.Collector {
		return &smartDisks{env: env, last: map[string]ops.Attrs{}}
	},
})

const (
	// smartStandby is the exit status that smartctl is told to give for a
	// disk that sleeps; its own error bits never add up to it.
	smartStandby = 7
	// The bits of the exit status that say something about the disk.
	smartBitUsage   = 1 << 0
	smartBitOpen    = 1 << 1
	smartBitFailing = 1 << 3
	// smartDiskTimeout bounds one disk, so that a dead one does not cost the
	// others their reading; smartMaxDisks bounds a pass.
	smartDiskTimeout = 30 * time.Second
	smartMaxDisks    = 256
	// smartRescan is how long a list of disks holds while the kernel's own list
	// is the same: of a disk behind a controller the kernel does not know.
	smartRescan = 10 * time.Minute
)

type smartDisks struct {
	env collect.Env
	// last is what each disk said when it was last awake: a disk that fails
	// does not recover in its sleep.
	last    map[string]ops.Attrs
	devices []smartDevice
	scanned time.Time // when devices were listed
	block   []string  // what the kernel listed then
}

// Collect asks every disk in turn: side by side they would slow each other on
// a shared controller.
func (s *smartDisks) Collect(ctx context.Context, out *collect.Batch) error {
	if _, ok := s.env.Tools("smartctl"); !ok && !s.mayHaveSMART() {
		return collect.ErrAbsent
	}
	if !tools(s.env, out, "smartctl", "SMART", "apt install smartmontools") {
		return nil
	}
	if err := s.scan(ctx, out.Now); err != nil {
		return fmt.Errorf("scan for disks: %w", err)
	}
	if len(s.devices) == 0 {
		return collect.ErrAbsent
	}
	skip := collect.Words(s.env.Option("skip"))
	var errs []error
	for _, d := range s.devices {
		name := s.diskName(d)
		if slices.Contains(skip, name) || slices.Contains(skip, path.Base(d.Name)) {
			continue
		}
		if err := s.disk(ctx, out, d, name); err != nil {
			errs = append(errs, fmt.Errorf("disk %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// scan lists the disks, where they may be others than the last time.
func (s *smartDisks) scan(ctx context.Context, now time.Time) error {
	block, err := blockDevices(s.env)
	if err == nil && slices.Equal(block, s.block) && now.Sub(s.scanned).Abs() < smartRescan {
		return nil
	}
	answer, err := s.env.Run(ctx, "smartctl", "--scan", "--json")
	if err != nil {
		return err
	}
	if s.devices, err = parseSmartScan(answer.Stdout); err == nil {
		s.scanned, s.block = now, block
	}
	return err
}

// mayHaveSMART reports whether the host has a disk that could speak SMART, so
// that a virtual machine is not told to install a tool that is of no use. A
// tree that cannot be read may have.
func (s *smartDisks) mayHaveSMART() bool {
	names, err := blockDevices(s.env)
	return err != nil || slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "sd") || strings.HasPrefix(name, "nvme") || strings.HasPrefix(name, "hd")
	})
}

// diskName answers the name that the disk collector gives the same disk. The
// scan names the controller of an NVMe disk, the kernel its name space.
func (s *smartDisks) diskName(d smartDevice) string {
	base := path.Base(d.Name)
	if d.hidden() {
		return strings.TrimPrefix(path.Clean(d.Name), "/dev/") + "-" + d.Type
	}
	if !smartController.MatchString(base) {
		return base
	}
	names, _ := blockDevices(s.env)
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, base+"n"); ok && strings.Trim(rest, "0123456789") == "" {
			return name
		}
	}
	return base + "n1"
}

var smartController = regexp.MustCompile(`^nvme[0-9]+$`)

// smartNeedsType reports whether smartctl has to be told how to reach a disk:
// behind a controller or a USB bridge. Plain types it finds by itself, and
// better: the scan calls every SATA disk "scsi".
func smartNeedsType(typ string) bool {
	return !slices.Contains([]string{"", "ata", "scsi", "nvme", "sat"}, typ)
}

func (s *smartDisks) disk(ctx context.Context, out *collect.Batch, d smartDevice, name string) error {
	if s.suspended(name) {
		s.asleep(out, d, name)
		return nil
	}
	args := []string{"--json=c", "-n", "standby," + strconv.Itoa(smartStandby), "-a"}
	if smartNeedsType(d.Type) {
		args = append(args, "-d", d.Type)
	}
	one, cancel := context.WithTimeout(ctx, smartDiskTimeout)
	defer cancel()
	answer, err := s.env.Run(one, "smartctl", append(args, d.Name)...)
	if err != nil {
		return err
	}
	if answer.Exit == smartStandby {
		s.asleep(out, d, name)
		return nil
	}
	r, err := parseSmart[smartReport](answer.Stdout)
	if err != nil {
		return err
	}
	if answer.Exit&(smartBitUsage|smartBitOpen) != 0 {
		smartUnreadable(out, name, r.complaint())
		return nil
	}
	if !r.hasSMART() {
		return nil
	}
	s.report(out, d, name, r, answer.Exit)
	return nil
}

// ref answers the key of a disk. One that only smartctl reaches is a resource
// of this collector alone: the list of the disk collector does not have it.
func (d smartDevice) ref(out *collect.Batch, name string) ops.ResourceKey {
	if d.hidden() {
		return out.Ref("smart", "disk:"+name)
	}
	return out.Ref("linux", "disk:"+name)
}

// hidden reports whether a disk is behind a controller that shows the kernel
// its volumes only.
func (d smartDevice) hidden() bool { return smartNeedsType(d.Type) && strings.Contains(d.Type, ",") }

func (s *smartDisks) asleep(out *collect.Batch, d smartDevice, name string) {
	attrs := ops.Attrs{}
	maps.Copy(attrs, s.last[name])
	attrs["standby"] = "true"
	out.See(ops.Sighting{Key: d.ref(out, name), Kind: ops.KindDisk, Name: name, Observed: attrs})
}

// suspended reports whether the kernel itself has put the disk to sleep; even
// opening it would wake it then.
func (s *smartDisks) suspended(name string) bool {
	state, ok := readWord(s.env.SysPath("block", path.Base(name), "device", "power", "runtime_status"))
	return ok && state == "suspended"
}

// smartUnreadable files why a disk cannot be asked. smartctl tells a missing
// permission from a missing disk in words only.
func smartUnreadable(out *collect.Batch, name, complaint string) {
	if strings.Contains(complaint, "Permission denied") || strings.Contains(complaint, "Operation not permitted") {
		out.Gap("SMART", "the agent may not open the disks",
			"run the agent as root or give it CAP_SYS_RAWIO, and CAP_SYS_ADMIN for NVMe disks")
		return
	}
	out.Gap("SMART of "+name, "smartctl cannot read it: "+redact.Line(complaint, 200),
		"skip it with the option skip of the collector smart, or give the bridge's type to smartctl's drive database")
}

// report emits a reading. Attributes that the disk collector reads as well
// are left to it, except for disks behind a controller that only smartctl
// reaches.
func (s *smartDisks) report(out *collect.Batch, d smartDevice, name string, r smartReport, exit int) {
	ref, attrs := d.ref(out, name), ops.Attrs{"standby": "false"}
	if passed, known := r.passed(exit); known {
		attrs["smart_passed"], attrs["smart_reason"] = truth(passed), r.reason(passed)
		out.Add(ref, "disk_smart_passed", bit(passed))
	}
	if d.hidden() {
		attrs["model"], attrs["serial"] = redact.Line(r.Model, 100), redact.Line(r.Serial, 100)
		if size := r.Capacity.Bytes; size.known {
			attrs["size_bytes"] = strconv.FormatFloat(size.value, 'f', 0, 64)
		}
	}
	out.See(ops.Sighting{Key: ref, Kind: ops.KindDisk, Name: name, Observed: attrs})
	s.last[name] = maps.Clone(attrs)
	for _, v := range r.values() {
		out.Add(ref, v.metric, v.value)
	}
}

// A smartDevice is a disk as the scan names it.
type smartDevice struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

var (
	smartPath = regexp.MustCompile(`^/dev/[A-Za-z0-9/_.:-]+$`)
	smartType = regexp.MustCompile(`^[a-z0-9+,/._-]*$`)
)

// parseSmartScan answers the disks of a scan. What could be taken for an
// option is left out.
func parseSmartScan(b []byte) ([]smartDevice, error) {
	scan, err := parseSmart[struct {
		All []smartDevice `json:"devices"`
	}](b)
	if err != nil {
		return nil, err
	}
	good := slices.DeleteFunc(scan.All, func(d smartDevice) bool {
		return !smartPath.MatchString(d.Name) || !smartType.MatchString(d.Type) || strings.HasPrefix(d.Type, "-")
	})
	return good[:min(len(good), smartMaxDisks)], nil
}

// A smartReport is the part of smartctl's answer that is used.
type smartReport struct {
	Smartctl struct {
		Messages []struct {
			Text string `json:"string"`
		} `json:"messages"`
	} `json:"smartctl"`
	Model       string      `json:"model_name"`
	Serial      string      `json:"serial_number"`
	Capacity    smartGroup  `json:"user_capacity"`
	Rotation    smartNumber `json:"rotation_rate"`
	Support     smartGroup  `json:"smart_support"`
	Status      smartGroup  `json:"smart_status"`
	Temperature smartGroup  `json:"temperature"`
	PowerOn     smartGroup  `json:"power_on_time"`
	Endurance   smartGroup  `json:"endurance_used"`
	Spare       smartGroup  `json:"spare_available"`
	ATA         struct {
		Table []smartAttribute `json:"table"`
	} `json:"ata_smart_attributes"`
	NVMe      *smartNVMe            `json:"nvme_smart_health_information_log"`
	Defects   smartNumber           `json:"scsi_grown_defect_list"`
	SCSIUsed  smartNumber           `json:"scsi_percentage_used_endurance_indicator"`
	SCSIError map[string]smartGroup `json:"scsi_error_counter_log"`
}

// A smartGroup is an object of the answer; each kind has some of the fields.
type smartGroup struct {
	Current     smartNumber `json:"current"`
	Hours       smartNumber `json:"hours"`
	Percent     smartNumber `json:"current_percent"`
	Bytes       smartNumber `json:"bytes"`
	Uncorrected smartNumber `json:"total_uncorrected_errors"`
	Available   *bool       `json:"available"`
	Passed      *bool       `json:"passed"`
}

// A smartNumber is a number that a disk may have left out, or given in a form
// that is none.
type smartNumber struct {
	value float64
	known bool
}

// UnmarshalJSON takes numbers and leaves everything else unknown.
func (n *smartNumber) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	*n = smartNumber{v, err == nil && v > -1e18 && v < 1e21}
	return nil
}

type smartNVMe struct {
	Critical    smartNumber `json:"critical_warning"`
	Temperature smartNumber `json:"temperature"`
	Spare       smartNumber `json:"available_spare"`
	Used        smartNumber `json:"percentage_used"`
	MediaErrors smartNumber `json:"media_errors"`
	Hours       smartNumber `json:"power_on_hours"`
}

type smartAttribute struct {
	ID         int     `json:"id"`
	Name       string  `json:"name"`
	Value      float64 `json:"value"`
	Threshold  float64 `json:"thresh"`
	WhenFailed string  `json:"when_failed"`
	Raw        struct {
		Value smartNumber `json:"value"`
		Text  string      `json:"string"`
	} `json:"raw"`
}

// parseSmart decodes what has the expected type and leaves out what has not:
// drives report strange things, and one must not hide the rest.
func parseSmart[T any](b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !other {
		return v, fmt.Errorf("parse the answer of smartctl: %w", err)
	}
	return v, nil
}

func (r smartReport) complaint() string {
	if len(r.Smartctl.Messages) == 0 {
		return "no reason given"
	}
	return r.Smartctl.Messages[0].Text
}

func (r smartReport) hasSMART() bool {
	if r.Support.Available != nil && !*r.Support.Available {
		return false
	}
	return r.Status.Passed != nil || r.NVMe != nil || r.Defects.known || len(r.ATA.Table) > 0
}

// passed answers the disk's own verdict about itself.
func (r smartReport) passed(exit int) (passed, known bool) {
	if exit&smartBitFailing != 0 {
		return false, true
	}
	return r.Status.Passed != nil && *r.Status.Passed, r.Status.Passed != nil
}

var smartCritical = []string{
	"spare blocks are below their threshold", "temperature is outside its limits", "reliability is degraded",
	"media is read-only", "backup of the volatile memory failed", "persistent memory is read-only",
}

// reason says why a disk that did not pass did not, and what was wrong with
// one that passed; "" for a disk without fault.
func (r smartReport) reason(passed bool) string {
	var why []string
	if r.NVMe != nil && r.NVMe.Critical.value > 0 && r.NVMe.Critical.value < 256 {
		for i, text := range smartCritical {
			if int(r.NVMe.Critical.value)&(1<<i) != 0 {
				why = append(why, text)
			}
		}
	}
	for _, a := range r.ATA.Table {
		if a.WhenFailed == "now" && len(why) < 8 {
			why = append(why, fmt.Sprintf("%s is %g, at or below its threshold %g", redact.Line(a.Name, 40), a.Value, a.Threshold))
		}
	}
	if len(why) == 0 && !passed {
		why = append(why, "the disk reports that it is failing")
	}
	return strings.Join(why, "; ")
}

type smartValue struct {
	metric string
	value  float64
}

// values answers the readings that the disk gave, each metric once.
func (r smartReport) values() []smartValue {
	var all []smartValue
	add := func(metric string, scale float64, from ...smartNumber) {
		for _, n := range from {
			if n.known {
				all = append(all, smartValue{metric, n.value / scale})
				return
			}
		}
	}
	var nvme smartNVMe
	if r.NVMe != nil {
		nvme = *r.NVMe
	}
	add("disk_temperature_celsius", 1, r.Temperature.Current, nvme.Temperature, r.ataTemperature())
	add("disk_power_on_hours", 1, r.PowerOn.Hours, nvme.Hours)
	add("disk_reallocated_count", 1, r.raw(5), r.Defects)
	add("disk_pending_count", 1, r.raw(197))
	add("disk_uncorrectable_count", 1, smartHigher(r.raw(198), r.raw(187)), r.scsiUncorrected())
	add("disk_crc_errors_count", 1, r.raw(199))
	add("disk_wear_ratio", 100, nvme.Used, r.Endurance.Percent, r.SCSIUsed, r.ataWear())
	add("disk_spare_ratio", 100, nvme.Spare, r.Spare.Percent)
	add("disk_media_errors_count", 1, nvme.MediaErrors)
	return all
}

func (r smartReport) attribute(id int) (a smartAttribute, ok bool) {
	if i := slices.IndexFunc(r.ATA.Table, func(a smartAttribute) bool { return a.ID == id }); i >= 0 {
		return r.ATA.Table[i], true
	}
	return a, false
}

// raw answers the raw value of an attribute. The text is asked first: there
// smartctl has taken apart what the maker packed into one number.
func (r smartReport) raw(id int) smartNumber {
	a, ok := r.attribute(id)
	if !ok {
		return smartNumber{}
	}
	digits := len(a.Raw.Text) - len(strings.TrimLeft(a.Raw.Text, "0123456789"))
	if v, err := strconv.ParseFloat(a.Raw.Text[:digits], 64); err == nil {
		return smartNumber{v, true}
	}
	return a.Raw.Value
}

func (r smartReport) ataTemperature() smartNumber {
	n := smartHigher(r.raw(194), r.raw(190))
	n.known = n.known && n.value > 0 && n.value < 150
	return n
}

// ataWear answers the percentage of a SATA disk's endurance that is used. The
// numbers of these attributes mean other things on other disks, so the name
// has to agree; what is left is their normalised value.
func (r smartReport) ataWear() smartNumber {
	if r.Rotation.value > 0 {
		return smartNumber{}
	}
	for _, id := range []int{231, 202, 233, 177, 173} {
		a, ok := r.attribute(id)
		name := strings.ToLower(a.Name)
		if ok && a.Value <= 100 && (strings.Contains(name, "wear") || strings.Contains(name, "life") || strings.Contains(name, "erase")) {
			return smartNumber{100 - a.Value, true}
		}
	}
	return smartNumber{}
}

func (r smartReport) scsiUncorrected() (sum smartNumber) {
	for _, log := range r.SCSIError {
		if log.Uncorrected.known {
			sum = smartNumber{sum.value + log.Uncorrected.value, true}
		}
	}
	return sum
}

func smartHigher(a, b smartNumber) smartNumber {
	if !a.known || b.known && b.value > a.value {
		return b
	}
	return a
}
