package collectors

import (
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestHostIsDescribed(t *testing.T) {
	obs := onTree(t, "server", "host")
	attrs(t, obs, "host", ops.Attrs{
		"os": "Debian GNU/Linux 12 (bookworm)", "kernel": "6.1.0-18-amd64", "arch": "x86_64", "virtualization": "none",
		"boot_id": "6c1d2b0e-5a58-4f3d-9c1c-1f2e3d4c5b6a", "boot_at": "2026-02-24T12:00:00Z", "cpu_count": "8",
		"memory_total_bytes": "67320225792", "machine_id": "0123456789abcdef0123456789abcdef",
	})
	if s := seen(t, obs, "host"); s.Kind != ops.KindHost || s.Name != "box" || s.Parent != (ops.ResourceKey{}) {
		t.Errorf("%+v", s)
	}
	near(t, obs, "host", "uptime_seconds", 432000.51)
	near(t, obs, "host", "entropy_available_bits", 256)
	near(t, obs, "host", "file_descriptors_used_ratio", 12288.0/1048576)
	near(t, obs, "host", "conntrack_used_ratio", 13107.0/262144)
}

func TestVirtualizationOfOtherHosts(t *testing.T) {
	obs := onTree(t, "old-kernel", "host")
	attrs(t, obs, "host", ops.Attrs{"virtualization": "qemu", "arch": "", "machine_id": "", "cpu_count": "1"})
	none(t, obs, "conntrack_used_ratio")
	attrs(t, onTree(t, "raspberry", "host"), "host", ops.Attrs{"virtualization": "none", "arch": "aarch64"})
	root := procFile(t, map[string]string{"stat": "btime 1\n"})
	replace(t, root+"/.dockerenv", "")
	attrs(t, mustPass(t, open(t, "host", rootEnv(root)), clock0), "host", ops.Attrs{"virtualization": "docker", "os": ""})
	replace(t, root+"/proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n")
	replace(t, root+"/proc/cpuinfo", "flags : fpu hypervisor\n")
	attrs(t, mustPass(t, open(t, "host", rootEnv(root)), clock0), "host", ops.Attrs{"virtualization": "vm"})
}

func TestHostRatesAndAttributesOnceAMinute(t *testing.T) {
	root := procFile(t, map[string]string{"stat": "cpu 1\ncpu0 1\nintr 100 1 2\nctxt 1000\nbtime 1772366400\n"})
	c := open(t, "host", rootEnv(root))
	mustPass(t, c, clock0)
	// The clock was set by a second, so the time of the boot seems to move.
	replace(t, root+"/proc/stat", "cpu 1\ncpu0 1\nintr 200 1 2\nctxt 2000\nbtime 1772366401\n")
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	near(t, obs, "host", "interrupts_per_s", 10)
	near(t, obs, "host", "context_switches_per_s", 100)
	if len(obs.Sightings) != 0 {
		t.Error("the host is described again after 10 s")
	}
	obs = mustPass(t, c, clock0.Add(70*time.Second))
	attrs(t, obs, "host", ops.Attrs{"boot_at": "2026-03-01T12:00:00Z"})
}

func TestBootIsReportedOnce(t *testing.T) {
	root := procFile(t, map[string]string{"stat": "btime 1772366400\n", "sys/kernel/random/boot_id": "one\n", "sys/kernel/osrelease": "6.1\n"})
	env := rootEnv(root)
	env.StateDir = t.TempDir() + "/state"
	boots := func() []ops.Event {
		return mustPass(t, open(t, "host", env), clock0).Events
	}
	if e := boots(); len(e) != 0 {
		t.Errorf("the first run knows of no boot before: %v", e)
	}
	if e := boots(); len(e) != 0 {
		t.Errorf("the same boot: %v", e)
	}
	replace(t, root+"/proc/sys/kernel/random/boot_id", "two\n")
	e := boots()
	if len(e) != 1 || e[0].Type != ops.EventBoot || e[0].SourceID != "boot/two" || !e[0].At.Equal(clock0) || e[0].Facts["previous_boot_id"] != "one" {
		t.Errorf("%+v", e)
	}
	if e := boots(); len(e) != 0 {
		t.Errorf("reported twice: %v", e)
	}
}

func FuzzHostFiles(f *testing.F) {
	f.Add([]byte("cpu 1\ncpu0 1\nintr 1\nctxt 2\nbtime 3\n"), []byte("PRETTY_NAME=\"x\"\n"), []byte("flags : hypervisor\n"))
	f.Add([]byte("btime 99999999999999999999\nintr\nctxt -1"), []byte("NAME='\n="), []byte("flags"))
	f.Fuzz(func(t *testing.T, stat, release, cpuinfo []byte) {
		parseKernelStat(stat)
		parseOSRelease(release)
		isGuest(cpuinfo)
		hasRootDisk(cpuinfo)
	})
}
