package collectors

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// kernelMessages are messages as kernels from 4.19 to 6.12 print them; an
// empty type is a message that tells of no fault.
var kernelMessages = []struct {
	text  string
	typ   ops.EventType
	facts map[string]string
}{
	{"Out of memory: Killed process 4242 (java) total-vm:8123456kB, anon-rss:4000000kB, file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:8000kB oom_score_adj:0", ops.EventOOMKill, map[string]string{"pid": "4242", "process": "java"}},
	{"Memory cgroup out of memory: Killed process 7 (a (b)) total-vm:1kB", ops.EventOOMKill, map[string]string{"pid": "7", "process": "a (b)"}},
	{"Killed process 11, UID 33, (apache2) total-vm:5kB, anon-rss:1kB", ops.EventOOMKill, map[string]string{"pid": "11", "process": "apache2"}},
	{"Killed process 12 (mysqld) total-vm:5kB, anon-rss:1kB, file-rss:0kB", ops.EventOOMKill, map[string]string{"pid": "12", "process": "mysqld"}},
	{"blk_update_request: I/O error, dev sdc, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0", ops.EventIOError, map[string]string{"device": "sdc"}},
	{"critical medium error, dev nvme0n1, sector 99 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2", ops.EventIOError, map[string]string{"device": "nvme0n1"}},
	{"I/O error, dev sda, sector 5 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2", ops.EventIOError, map[string]string{"device": "sda"}},
	{"Buffer I/O error on dev dm-3, logical block 17, lost async page write", ops.EventIOError, map[string]string{"device": "dm-3"}},
	{"Buffer I/O error on device sdb1, logical block 0", ops.EventIOError, map[string]string{"device": "sdb1"}},
	{"nvme nvme1: I/O 512 QID 6 timeout, aborting", ops.EventIOError, map[string]string{"device": "nvme1"}},
	{"nvme nvme1: I/O tag 40 (1028) opcode 0x1 (Write) QID 6 timeout, aborting req_op:WRITE(1) size:4096", ops.EventIOError, map[string]string{"device": "nvme1"}},
	{"nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10", ops.EventIOError, map[string]string{"device": "nvme0"}},
	{"nvme0n1: Read(0x2) @ LBA 2048, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR", "", nil},
	{"nvme0n1: I/O Cmd(0x2) @ LBA 2048, 8 blocks, I/O Error (sct 0x2 / sc 0x81) DNR", ops.EventIOError, map[string]string{"device": "nvme0n1"}},
	{"ata1.00: exception Emask 0x10 SAct 0x0 SErr 0x40d0002 action 0xe frozen", ops.EventIOError, map[string]string{"device": "ata1.00"}},
	{"ata3: SATA link up 6.0 Gbps (SStatus 133 SControl 300)", "", nil},
	{"sd 2:0:0:0: [sdc] tag#8 Sense Key : Medium Error [current] ", ops.EventIOError, map[string]string{"device": "sdc"}},
	{"EXT4-fs error (device sda1): ext4_find_entry:1682: inode #2: comm ls: reading directory lblock 0", ops.EventIOError, map[string]string{"device": "sda1"}},
	{"EXT4-fs (sda1): Remounting filesystem read-only", ops.EventIOError, map[string]string{"device": "sda1"}},
	{"EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none.", "", nil},
	{"EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro", "", nil},
	{"XFS (dm-0): Corruption detected. Unmount and run xfs_repair", ops.EventIOError, map[string]string{"device": "dm-0"}},
	{"XFS (dm-0): metadata I/O error in \"xfs_read_agf+0x8a/0x100\" at daddr 0x1 len 1 error 5", ops.EventIOError, map[string]string{"device": "dm-0"}},
	{"XFS (dm-0): Mounting V5 Filesystem", "", nil},
	{"BTRFS error (device sdd1): bdev /dev/sdd1 errs: wr 0, rd 1, flush 0, corrupt 0, gen 0", ops.EventIOError, map[string]string{"device": "sdd1"}},
	{"BTRFS: error (device sdd1 state A) in btrfs_commit_transaction:2437: errno=-5 IO failure", ops.EventIOError, map[string]string{"device": "sdd1"}},
	{"BTRFS info (device sdd1): disk space caching is enabled", "", nil},
	{"Aborting journal on device sda1-8.", ops.EventIOError, map[string]string{"device": "sda1"}},
	{"md/raid1:md0: Disk failure on sdb1, disabling device.", ops.EventIOError, map[string]string{"device": "md0"}},
	{"I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0", "", nil},
	{"INFO: task kworker/u8:2:1234 blocked for more than 241 seconds.", ops.EventHungTask, map[string]string{"process": "kworker/u8:2", "pid": "1234"}},
	{"watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [kworker/3:1:88]", ops.EventHungTask, map[string]string{"cpu": "3", "process": "kworker/3:1", "pid": "88"}},
	{"watchdog: Watchdog detected hard LOCKUP on cpu 5", ops.EventHungTask, map[string]string{"cpu": "5"}},
	{"rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", ops.EventHungTask, map[string]string{}},
	{"mce: [Hardware Error]: Machine check events logged", ops.EventHardwareError, map[string]string{}},
	{"mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 5: bea0000000000108", ops.EventHardwareError, map[string]string{}},
	{"{1}[Hardware Error]: event severity: fatal", ops.EventHardwareError, map[string]string{"severity": "fatal"}},
	{"EDAC MC0: 1 UE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 slot:0)", ops.EventHardwareError, map[string]string{"device": "MC0"}},
	{"mce: CPU0: Thermal monitoring enabled (TM1)", "", nil},
	{"oom_reaper: reaped process 4242 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB", "", nil},
	{"usb 1-1: new high-speed USB device number 2 using xhci_hcd", "", nil},
}

func TestKernelMessagesAreTold(t *testing.T) {
	for _, c := range kernelMessages {
		typ, facts, ok := classifyKernel(c.text)
		if !ok {
			typ, facts = "", nil
		}
		if typ != c.typ || !maps.Equal(facts, c.facts) {
			t.Errorf("%q is %q %v, want %q %v", c.text, typ, facts, c.typ, c.facts)
		}
	}
}

func kernelLine(seq int, text string) string {
	return fmt.Sprintf("3,%d,%d,-;%s\n", seq, seq*1000, text)
}

func diskFault(seq int, disk string) string {
	return kernelLine(seq, "I/O error, dev "+disk+", sector 1 op 0x0:(READ)")
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// devices answers the devices of the events, in order, with counts.
func devices(obs ops.Observation) string {
	var all []string
	for _, e := range obs.Events {
		all = append(all, fmt.Sprintf("%s*%d", e.Facts["device"], e.Count))
	}
	return strings.Join(all, " ")
}

// TestRecordedKernelLogIsReadOnce: a line that is not complete waits, a
// restart goes on where the last start stopped, a new file is read anew.
func TestRecordedKernelLogIsReadOnce(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "dev", "kmsg")
	env := rootEnv(root)
	env.StateDir = t.TempDir()
	expect := func(c collect.Collector, want string) {
		t.Helper()
		if got := devices(mustPass(t, c, clock0)); got != want {
			t.Errorf("got %q want %q", got, want)
		}
	}
	c := open(t, "kernel_events", env)
	appendTo(t, path, diskFault(1, "sda")+" SUBSYSTEM=block\n"+diskFault(2, "sda")+diskFault(3, "sdb")+"3,4,4000,-;I/O error, dev sdc, sec")
	expect(c, "sda*2 sdb*1")
	expect(c, "")
	appendTo(t, path, "tor 7 op 0x0:(READ)\n")
	expect(c, "sdc*1")
	c = open(t, "kernel_events", env)
	expect(c, "")
	appendTo(t, path, diskFault(5, "sdd"))
	expect(c, "sdd*1")
	if err := os.WriteFile(path, []byte(diskFault(1, "sde")), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(c, "sde*1")
}

func TestOOMKillKnowsItsControlGroup(t *testing.T) {
	root := t.TempDir()
	env := rootEnv(root)
	appendTo(t, filepath.Join(root, "dev", "kmsg"),
		kernelLine(1, "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/docker/abc,task=java,pid=50,uid=0")+
			kernelLine(2, "Out of memory: Killed process 50 (java) total-vm:1kB")+
			kernelLine(3, "Out of memory: Killed process 51 (other) total-vm:1kB"))
	obs := mustPass(t, open(t, "kernel_events", env), clock0)
	if len(obs.Events) != 2 || obs.Events[0].Facts["cgroup"] != "/docker/abc" || obs.Events[1].Facts["cgroup"] != "" {
		t.Errorf("%s", seenText(obs))
	}
}

func TestKernelStormIsBounded(t *testing.T) {
	root := t.TempDir()
	var storm strings.Builder
	for i := range 3 * kernelEventLimit {
		storm.WriteString(diskFault(i+1, fmt.Sprintf("sd%d", i)))
	}
	appendTo(t, filepath.Join(root, "dev", "kmsg"), storm.String())
	obs := mustPass(t, open(t, "kernel_events", rootEnv(root)), clock0)
	if len(obs.Events) != kernelEventLimit {
		t.Errorf("%d events", len(obs.Events))
	}
}

// TestKernelLogOfThisMachine writes to the real kernel log: what was there
// before the first start is not told, what comes after is told once, and what
// came while the agent was down as well. Where the log may not be read, that
// is a gap.
func TestKernelLogOfThisMachine(t *testing.T) {
	env := liveEnv()
	env.StateDir = t.TempDir()
	mark := fmt.Sprintf("reeve%d", time.Now().UnixNano())
	log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		obs := mustPass(t, open(t, "kernel_events", env), time.Now())
		if _, readable := os.ReadFile("/dev/kmsg"); errors.Is(readable, unix.EPERM) && len(obs.Gaps) != 1 {
			t.Errorf("the log cannot be read, and no gap says so: %s", seenText(obs))
		}
		return
	}
	defer log.Close()
	// Without the new-line the kernel would wait for the rest of the line.
	write := func(name string) {
		if _, err := fmt.Fprintf(log, "<3>Buffer I/O error on dev %s%s, logical block 1\n", mark, name); err != nil {
			t.Fatal(err)
		}
	}
	told := func(c collect.Collector) (all []ops.Event) {
		for _, e := range mustPass(t, c, time.Now()).Events {
			if strings.HasPrefix(e.Facts["device"], mark) {
				all = append(all, e)
			}
		}
		return all
	}
	write("before")
	c := open(t, "kernel_events", env)
	if got := told(c); len(got) != 0 {
		t.Errorf("old news: %v", got)
	}
	write("a")
	write("a")
	got := told(c)
	if len(got) != 1 || got[0].Count != 2 || time.Since(got[0].At).Abs() > time.Minute {
		t.Errorf("got %+v", got)
	}
	write("down")
	c = open(t, "kernel_events", env)
	if got := told(c); len(got) != 1 || got[0].Facts["device"] != mark+"down" {
		t.Errorf("after a restart: %+v", got)
	}
	if got := told(open(t, "kernel_events", env)); len(got) != 0 {
		t.Errorf("told twice: %+v", got)
	}
}

func TestMissingKernelLogIsAGap(t *testing.T) {
	env := rootEnv(t.TempDir())
	env.Live = true
	obs := mustPass(t, open(t, "kernel_events", env), clock0)
	if len(obs.Gaps) != 1 || obs.Gaps[0].What != "kernel log" {
		t.Errorf("%s", seenText(obs))
	}
}
