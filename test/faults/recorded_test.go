package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
)

// serverRows break the recorded server vault. Those whose figures are means
// over a minute come first: what they lose the longer they are left broken is
// time.
var serverRows = []row{
	{condition: "host_cpu_high", resource: "vault", severity: ops.Warning, says: "busy", flag: "cpu",
		thresholds: map[string]float64{"warning": 60, "critical": 101, "margin": 5}},
	{condition: "swap_thrashing", resource: "vault", severity: ops.Critical, says: "Swap is read", flag: "swap",
		thresholds: map[string]float64{"warning": 60e6, "critical": 61e6}},
	{condition: "disk_busy", resource: "sda", severity: ops.Critical, says: "busy", flag: "disk",
		thresholds: map[string]float64{"warning": 60, "margin": 5}},
	{condition: "network_errors", resource: "eno1", severity: ops.Critical, says: "of its packets", flag: "network",
		thresholds: map[string]float64{"rate": 700}},
	{condition: "host_memory_high", resource: "vault", severity: ops.Critical, says: "used", edits: []edit{
		{"proc/meminfo", "MemTotal:       65742408 kB", "MemTotal:       6574240800 kB"}}},
	{condition: "memory_pressure", resource: "vault", severity: ops.Critical, says: "waited for memory", edits: []edit{
		{"proc/pressure/memory", "some avg10=0.00 avg60=0.40", "some avg10=61.00 avg60=55.20"},
		{"proc/pressure/memory", "full avg10=0.00 avg60=0.12", "full avg10=44.00 avg60=38.70"}}},
	{condition: "load_high", resource: "vault", severity: ops.Critical, says: "Load is 40", edits: []edit{
		{"proc/loadavg", "1.42 1.17 0.98", "44.10 40.00 21.30"}}},
	{condition: "temperature_high", resource: "vault", severity: ops.Critical, says: "Package id 0", edits: []edit{
		{"sys/class/hwmon/hwmon1/temp1_input", "58000", "104000"}}},
	{condition: "clock_unsynchronised", resource: "vault", severity: ops.Warning, says: "synchronised", edits: []edit{
		{".reeve/timex.json", `"synchronised": true`, `"synchronised": false`}}},
	{condition: "link_down", resource: "eno1", severity: ops.Warning, says: "lost its link", edits: []edit{
		{"sys/class/net/eno1/carrier", "1", "0"}, {"sys/class/net/eno1/operstate", "up", "down"}}},
}

// nasRows break the recorded storage server.
var nasRows = []row{
	{condition: "raid_degraded", resource: "md1", severity: ops.Critical, says: "1 of 2 disks", edits: []edit{
		{"proc/mdstat", "[2/2] [UU]", "[2/1] [_U]"}}},
	{condition: "zfs_degraded", resource: "fast", severity: ops.Critical, says: "DEGRADED", edits: []edit{
		{".reeve/tools/zpool.json", `\t11\t40\tONLINE`, `\t11\t40\tDEGRADED`}}},
	{condition: "lvm_partial", resource: "vg_backup", severity: ops.Critical, says: "lacks 1 physical volume", edits: []edit{
		{".reeve/tools/vgs.json", `\"vg_missing_pv_count\":\"0\", \"vg_partial\":\"\"`, `\"vg_missing_pv_count\":\"1\", \"vg_partial\":\"partial\"`}}},
}

// diskRows are of what is read so rarely, or looked back on for so long, that
// a running program takes minutes to see it change.
var diskRows = []row{
	{condition: "disk_smart_failing", resource: "sda", severity: ops.Critical, says: "its own health check", edits: []edit{
		{".reeve/tools/smartctl.json", `\"smart_status\":{\"passed\":true}`, `\"smart_status\":{\"passed\":false}`}}},
	{condition: "disk_wear", resource: "nvme0n1", severity: ops.Critical, says: "95 %", edits: []edit{
		{".reeve/tools/smartctl.json", `\"percentage_used\":12`, `\"percentage_used\":95`}}},
	{condition: "disk_temperature", resource: "nvme0n1", severity: ops.Warning, says: "72 °C", edits: []edit{
		{".reeve/tools/smartctl.json", `\"temperature\":{\"current\":44}`, `\"temperature\":{\"current\":72}`}}},
}

// hostRows break the recorded machine with systemd.
var hostRows = []row{
	{condition: "unit_failed", resource: "backup.service", severity: ops.Warning, says: "failed", edits: []edit{
		{".reeve/tools/systemctl.json", `ActiveState=active\nSubState=exited\nUnitFileState=static\nStateChangeTimestampMonotonic=431022119834`,
			`ActiveState=failed\nSubState=failed\nUnitFileState=static\nStateChangeTimestampMonotonic=431022119834`}}},
	{condition: "unit_flapping", resource: "worker.service", severity: ops.Warning, says: "restarted 5 times", lasting: true, edits: []edit{
		{".reeve/tools/systemctl.json", "NRestarts=37", "NRestarts=42"}}},
	{condition: "reboot_required", resource: "web1", severity: ops.Warning, says: "must be started again", edits: []edit{
		{"run/reboot-required", "", "*** System restart required ***\n"}, {"run/reboot-required.pkgs", "", "libssl3\n"},
		{"boot/vmlinuz-6.1.0-30-amd64", "", "kernel"}}},
}

// packageRows do, for the package manager, which is asked every six hours.
var packageRows = []row{
	{condition: "updates_security_pending", resource: "web1", severity: ops.Warning, says: "security updates", edits: []edit{
		{".reeve/tools/apt-get.json", "Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian:12/stable ", "Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian-Security:12/stable-security "},
		{".reeve/tools/apt-get.json", "Inst linux-image-6.1.0-30-amd64 (6.1.124-1 Debian:12/stable ", "Inst linux-image-6.1.0-30-amd64 (6.1.124-1 Debian-Security:12/stable-security "},
		{".reeve/tools/apt-get.json", "Inst linux-image-amd64 [6.1.119-1] (6.1.124-1 Debian:12/stable ", "Inst linux-image-amd64 [6.1.119-1] (6.1.124-1 Debian-Security:12/stable-security "}}},
}

// gpuRows break the recorded machine with NVIDIA cards.
var gpuRows = []row{
	{condition: "gpu_hot", resource: "GPU 0 (NVIDIA GeForce RTX 3090)", severity: ops.Warning, says: "92 °C", edits: []edit{
		{".reeve/tools/nvidia-smi.json", "24576, 61, 347.81", "24576, 92, 347.81"}}},
	{condition: "gpu_memory_full", resource: "GPU 0 (NVIDIA GeForce RTX 3090)", severity: ops.Warning, says: "97 % used", edits: []edit{
		{".reeve/tools/nvidia-smi.json", "99, 12001, 24576", "99, 23838, 24576"}}},
	{condition: "collector_failing", resource: "collector load", severity: ops.Warning, says: "failed 3 times", edits: []edit{
		{"proc/loadavg", "0.42 0.31 0.25 1/612 4242\n", ""}}},
}

// amdRows do the same to the one with AMD cards.
var amdRows = []row{
	{condition: "gpu_hot", resource: "GPU 0 (Radeon RX 6800 XT)", severity: ops.Warning, says: "91 °C", edits: []edit{
		{".reeve/tools/rocm-smi.json", `edge) (C)\": \"61.0\"`, `edge) (C)\": \"91.0\"`}}},
}

// zombieRow adds processes that ended and were not cleared away.
func zombieRow(n int) row {
	r := row{condition: "zombies", resource: "vault", severity: ops.Warning, says: "not cleared away"}
	for i := range n {
		pid := 4000 + i
		r.edits = append(r.edits, edit{fmt.Sprintf("proc/%d/stat", pid), "",
			fmt.Sprintf("%d (worker) Z 1600 1600 1600 0 -1 4227148 0 0 0 0 0 0 0 0 20 0 1 0 6123 0 0 18446744073709551615 0 0 0 0 0 0 0 4096 0 0 0 0 17 2 0 0 0 0 0 0 0 0 0 0 0 0 0\n", pid)})
	}
	return r
}

func proveOn(t *testing.T, tree string, rows []row) {
	t.Parallel()
	m := newMachine(t, tree)
	for _, r := range rows {
		m.mend(r.edits)
	}
	move := func(string, bool) {}
	if tree == "server" {
		move = startMoving(t, m).set
	}
	p := program.Start(t, quick(m, rows).text(t))
	prove(t, m, p, rows, move)
}

// proveByStarts proves rows whose change a running program would see late: it
// is started anew on the same data until it has, as it is told what it missed.
func proveByStarts(t *testing.T, tree string, rows []row) {
	t.Parallel()
	m := newMachine(t, tree)
	for _, r := range rows {
		m.mend(r.edits)
	}
	dir, text := t.TempDir(), quick(m, rows).text(t)
	p := program.StartIn(t, dir, text)
	until := func(what string, holds func() bool) {
		t.Helper()
		for range 8 {
			for end := time.Now().Add(4 * time.Second); time.Now().Before(end); <-time.After(200 * time.Millisecond) {
				if holds() {
					return
				}
			}
			p.Stop()
			p = program.StartIn(t, dir, text)
		}
		t.Fatalf("not after eight starts: %s\n%s", what, p.Log())
	}
	for _, r := range rows {
		until(r.condition+" is judged to be well", func() bool { return judgedWell(p, r.resource, r.condition) })
		if f, ok := find(p, "active", r.condition, r.resource); ok {
			t.Fatalf("%s of %s is open on a machine that is well: %s", r.condition, r.resource, f.Summary)
		}
	}
	for _, r := range rows {
		m.spoil(r.edits)
	}
	for _, r := range rows {
		var f ops.Finding
		until(r.condition+" is active", func() (ok bool) { f, ok = find(p, "active", r.condition, r.resource); return ok })
		if f.Severity != r.severity || !strings.Contains(f.Summary, r.says) {
			t.Errorf("%s is %s: %s; not %s with %q", r.condition, f.Severity, f.Summary, r.severity, r.says)
		}
	}
	for _, r := range rows {
		m.mend(r.edits)
	}
	for _, r := range rows {
		until(r.condition+" is resolved", func() bool { _, ok := find(p, "resolved", r.condition, r.resource); return ok })
	}
}

func TestRecordedServer(t *testing.T)  { proveOn(t, "server", append(serverRows, zombieRow(30))) }
func TestRecordedStorage(t *testing.T) { proveOn(t, "nas", nasRows) }
func TestRecordedSystemd(t *testing.T) { proveOn(t, "systemdhost", hostRows) }
func TestRecordedDisks(t *testing.T)   { proveByStarts(t, "nas", diskRows) }
func TestRecordedUpdates(t *testing.T) { proveByStarts(t, "systemdhost", packageRows) }
func TestRecordedNVIDIA(t *testing.T)  { proveOn(t, "gpu", gpuRows) }
func TestRecordedAMD(t *testing.T)     { proveOn(t, "gpu_amd", amdRows) }
