package collectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "kernel_events",
	Doc: "What the kernel log tells of faults: processes killed for lack of memory, I/O errors, hung tasks, lockups, " +
		"hardware errors. Every message is read once, also across restarts of the agent.",
	Every:       10 * time.Second,
	Cost:        collect.Cheap,
	Permissions: "root or CAP_SYSLOG, unless the sysctl kernel.dmesg_restrict is 0",
	Open:        func(env collect.Env) collect.Collector { return &kernelLog{env: env, fd: -1} },
})

const (
	// kernelRecordLimit is more than the kernel puts into one record.
	kernelRecordLimit = 16 << 10
	// kernelPassLimit bounds the records of a pass; the next goes on there.
	kernelPassLimit = 20000
	// kernelEventLimit bounds the different events of a pass. A storm has
	// few different ones, so beyond it nothing of worth is lost.
	kernelEventLimit = 200
)

type kernelLog struct {
	env  collect.Env
	fd   int
	open bool
	// mute holds until the log has been read to its end for the first time
	// on this host: what was there before anyone watched is nobody's news.
	mute   bool
	cursor kernelCursor
	saved  kernelCursor
	// victim is the last oom-kill line: it says which control group ran out,
	// the line after it says who was killed.
	victim kernelVictim
}

// A kernelCursor says what has been read: all records up to Seq of a boot,
// and of a recorded log all bytes up to Offset.
type kernelCursor struct {
	BootID string `json:"boot_id"`
	Seq    uint64 `json:"seq"`
	Offset int64  `json:"offset,omitempty"`
}

// Collect reads what came since the last pass.
func (k *kernelLog) Collect(_ context.Context, out *collect.Batch) error {
	read := k.recorded
	if k.env.Live {
		read = k.live
	}
	if err := read(out); err != nil {
		return err
	}
	return k.save()
}

// live reads /dev/kmsg. The file stays open: a new one would start at the
// oldest record again.
func (k *kernelLog) live(out *collect.Batch) error {
	if k.fd < 0 {
		fd, err := openRetry(k.env.RootPath("dev", "kmsg"))
		if err != nil {
			kernelGap(out, err)
			return nil
		}
		k.fd = fd
		runtime.AddCleanup(k, func(fd int) { unix.Close(fd) }, fd)
	}
	found := kernelFindings{log: k, out: out, at: kernelClock(out.Now)}
	if !k.open {
		k.mute = !k.load(out.Host.BootID)
		k.open = true
	}
	err := k.drain(&found)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		kernelGap(out, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the kernel log: %w", err)
	}
	found.report()
	return nil
}

func kernelGap(out *collect.Batch, err error) {
	out.Gap("kernel log", "/dev/kmsg cannot be read: "+err.Error(),
		"run the agent as root or give it CAP_SYSLOG; in a container hand it /dev/kmsg; or set the sysctl kernel.dmesg_restrict to 0")
}

// load takes up the cursor of the last start; known is false when there is
// none. After a reboot everything in the log is new.
func (k *kernelLog) load(boot string) (known bool) {
	was, known := k.stored()
	if known && was.BootID == boot {
		k.cursor, k.saved = was, was
		return true
	}
	k.cursor = kernelCursor{BootID: boot}
	return known
}

func (k *kernelLog) stored() (c kernelCursor, known bool) {
	if k.env.StateDir == "" {
		return c, false
	}
	b, err := readSmall(k.cursorPath())
	return c, err == nil && json.Unmarshal(b, &c) == nil
}

func (k *kernelLog) cursorPath() string { return filepath.Join(k.env.StateDir, "kernel_events.json") }

// save keeps the cursor for the next start. The old one stays whole until the
// new one is.
func (k *kernelLog) save() error {
	if k.env.StateDir == "" || k.cursor == k.saved {
		return nil
	}
	b, err := json.Marshal(k.cursor)
	if err != nil {
		return err
	}
	next := k.cursorPath() + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("keep the cursor of the kernel log: %w", err)
	}
	if err := os.Rename(next, k.cursorPath()); err != nil {
		return fmt.Errorf("keep the cursor of the kernel log: %w", err)
	}
	k.saved = k.cursor
	return nil
}

// drain reads records until there is none left. The device gives one record a
// read, and says when some were overwritten before they were read.
func (k *kernelLog) drain(found *kernelFindings) error {
	buf := make([]byte, kernelRecordLimit)
	for range kernelPassLimit {
		n, err := unix.Read(k.fd, buf)
		switch {
		case err == unix.EAGAIN || err == nil && n == 0:
			k.mute = false
			return nil
		case err == unix.EPIPE && !k.mute && k.cursor.Seq > 0:
			k.env.Log.Warn("kernel log was overwritten before it was read")
		case err == unix.EINTR || err == unix.EPIPE:
		case err != nil:
			return err
		default:
			found.record(buf[:n])
		}
	}
	return nil
}

// recorded reads the plain file of a recorded tree from where it stopped. A
// file that became shorter is a new one.
func (k *kernelLog) recorded(out *collect.Batch) error {
	f, err := os.Open(k.env.RootPath("dev", "kmsg"))
	if err != nil {
		return collect.ErrAbsent
	}
	defer f.Close()
	if !k.open {
		k.load(out.Host.BootID)
		k.open = true
	}
	if info, err := f.Stat(); err != nil || info.Size() < k.cursor.Offset || !info.Mode().IsRegular() {
		k.cursor = kernelCursor{BootID: out.Host.BootID}
	}
	b, err := io.ReadAll(io.NewSectionReader(f, k.cursor.Offset, smallLimit))
	if err != nil {
		return fmt.Errorf("read the kernel log: %w", err)
	}
	found := kernelFindings{log: k, out: out, at: k.recordedClock(out.Now)}
	end := bytes.LastIndexByte(b, '\n') + 1
	k.cursor.Offset += int64(end)
	for _, r := range splitKernelRecords(b[:end]) {
		found.record(r)
	}
	found.report()
	return nil
}

// splitKernelRecords cuts a recorded log into records: a line, and the
// indented lines of its properties.
func splitKernelRecords(b []byte) [][]byte {
	var records [][]byte
	for line := range bytes.Lines(b) {
		if line[0] != ' ' {
			records = append(records, line)
		}
	}
	return records
}

// kernelClock answers how to turn the clock of the kernel log, which counts
// from boot, into a time. The offset is taken anew each pass, because the
// time of day may be set.
func kernelClock(now time.Time) func(time.Duration) time.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return func(time.Duration) time.Time { return now }
	}
	return kernelTimes(now, time.Duration(ts.Nano()))
}

// recordedClock is kernelClock for a machine whose uptime was recorded.
func (k *kernelLog) recordedClock(now time.Time) func(time.Duration) time.Time {
	word, _ := readWord(k.env.ProcPath("uptime"))
	up, _, _ := strings.Cut(word, " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil || seconds < 0 || seconds > 1e9 {
		return func(time.Duration) time.Time { return now }
	}
	return kernelTimes(now, time.Duration(seconds*float64(time.Second)))
}

func kernelTimes(now time.Time, up time.Duration) func(time.Duration) time.Time {
	return func(at time.Duration) time.Time {
		if at > up || at < 0 {
			return now
		}
		return now.Add(at - up)
	}
}

// kernelFindings gathers the events of a pass: equal ones become one with a
// count.
type kernelFindings struct {
	log    *kernelLog
	out    *collect.Batch
	at     func(time.Duration) time.Time
	events []ops.Event
	index  map[string]int
}

// record takes in one record unless it was read before.
func (f *kernelFindings) record(b []byte) {
	r, ok := parseKernelRecord(b)
	if !ok {
		return
	}
	c := &f.log.cursor
	if c.Seq > 0 && r.Seq < c.Seq {
		return
	}
	c.Seq = r.Seq + 1
	if f.log.mute {
		return
	}
	if v, ok := parseVictim(r.Text); ok {
		f.log.victim = v
		return
	}
	typ, facts, ok := classifyKernel(r.Text)
	if !ok {
		return
	}
	if typ == ops.EventOOMKill && facts["pid"] == f.log.victim.pid {
		facts["cgroup"] = f.log.victim.cgroup
	}
	f.add(r, typ, facts)
}

func (f *kernelFindings) add(r kernelRecord, typ ops.EventType, facts map[string]string) {
	id := fmt.Sprint(typ, facts)
	if i, ok := f.index[id]; ok {
		f.events[i].Count++
		return
	}
	if len(f.events) == kernelEventLimit {
		return
	}
	if f.index == nil {
		f.index = map[string]int{}
	}
	f.index[id] = len(f.events)
	f.events = append(f.events, ops.Event{
		Resource: f.out.HostRef(), Type: typ, At: f.at(r.At), Text: redact.Line(r.Text, 500), Facts: facts,
		SourceID: fmt.Sprintf("%s:%d", f.log.cursor.BootID, r.Seq), Count: 1,
	})
}

func (f *kernelFindings) report() {
	for _, e := range f.events {
		f.out.Happen(e)
	}
}

// A kernelRecord is one message of the kernel log.
type kernelRecord struct {
	Seq  uint64
	At   time.Duration // since boot
	Text string
}

// parseKernelRecord reads a record of /dev/kmsg: priority, sequence number,
// microseconds since boot and flags before a semicolon, then the message; the
// lines after it are properties. The facility is not looked at: programs
// with the right to do so may write there too.
func parseKernelRecord(b []byte) (kernelRecord, bool) {
	head, text, ok := bytes.Cut(b, []byte(";"))
	if !ok {
		return kernelRecord{}, false
	}
	fields := bytes.SplitN(head, []byte(","), 4)
	if len(fields) < 3 {
		return kernelRecord{}, false
	}
	_, known := parseUint(fields[0])
	seq, ok := parseUint(fields[1])
	usec, timed := parseUint(fields[2])
	if !known || !ok || !timed || seq == 1<<64-1 {
		return kernelRecord{}, false
	}
	line, _ := nextLine(text)
	return kernelRecord{seq, time.Duration(min(usec, 1<<52)) * time.Microsecond, string(line)}, true
}

type kernelVictim struct{ pid, cgroup string }

var kernelVictimLine = regexp.MustCompile(`oom-kill:constraint=.*?(?:task_memcg=([^,]*),)?task=[^,]*,pid=([0-9]+)`)

// parseVictim reads the line that goes before a kill for lack of memory.
func parseVictim(text string) (kernelVictim, bool) {
	m := kernelVictimLine.FindStringSubmatch(text)
	if m == nil {
		return kernelVictim{}, false
	}
	return kernelVictim{pid: m[2], cgroup: redact.Line(m[1], 300)}, true
}

// A kernelRule knows one form of message. Its groups fill the named facts in
// order; alternatives of a fact may share a name.
type kernelRule struct {
	typ   ops.EventType
	form  *regexp.Regexp
	facts []string
}

const device = `([a-zA-Z0-9_.!:/-]{1,64}?)`

// kernelRules are tried in order. They match what the kernel has printed in
// the versions since 4.x.
var kernelRules = []kernelRule{
	{ops.EventOOMKill, regexp.MustCompile(`\b[Kk]illed process ([0-9]+)(?:,? UID [0-9]+,)? \((.*?)\),? `), []string{"pid", "process"}},
	{ops.EventIOError, regexp.MustCompile(`\b(?:I/O|critical (?:medium|target|space allocation|nexus)|timeout|protection) error, dev ` + device + `, sector`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`Buffer I/O error on (?:dev|device) ` + device + `,`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^nvme (nvme[0-9]+): (?:I/O [0-9]+ (?:\([^)]*\) )?QID [0-9]+ timeout|I/O tag [0-9]+.* timeout|controller is down|Removing after probe failure|Device not ready; aborting)`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^(nvme[0-9]+(?:c[0-9]+)?n[0-9]+): .*\bI/O Error\b`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^(ata[0-9]+(?:\.[0-9]+)?): (?:exception Emask|disabled|failed to IDENTIFY)`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`\[(sd[a-z]+)\].*Sense Key : (?:Medium|Hardware) Error`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^(?:EXT[234]-fs|FAT-fs|F2FS-fs|GFS2|NTFS-fs|exFAT-fs) error \(device ` + device + `\)`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^(?:EXT[234]-fs|FAT-fs|exFAT-fs) \(` + device + `\): (?:error|.*Remounting filesystem read-only|.*failed to convert unwritten|I/O error)`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^XFS \(` + device + `\): .*(?:[Cc]orruption|I/O [Ee]rror|Unmount and run xfs_repair)`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^BTRFS(?:: error| error| critical) \(device ` + device + `(?: state [A-Z]+)?\)`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^(?:Aborting journal on device|JBD2: Detected IO errors while flushing file data on) ` + device + `(?:-[0-9]+)?\.?$`), []string{"device"}},
	{ops.EventIOError, regexp.MustCompile(`^md/raid[0-9]*:(md[a-zA-Z0-9_]+): Disk failure on`), []string{"device"}},
	{ops.EventHungTask, regexp.MustCompile(`INFO: task (.{1,64}):([0-9]+) blocked for more than [0-9]+ seconds`), []string{"process", "pid"}},
	{ops.EventHungTask, regexp.MustCompile(`BUG: soft lockup - CPU#([0-9]+) stuck for [0-9]+s! \[(.{1,64}):([0-9]+)\]`), []string{"cpu", "process", "pid"}},
	{ops.EventHungTask, regexp.MustCompile(`Watchdog detected hard LOCKUP on cpu ([0-9]+)`), []string{"cpu"}},
	{ops.EventHungTask, regexp.MustCompile(`rcu.*detected (?:stalls on CPUs|expedited stalls|stall on CPU)`), nil},
	{ops.EventHardwareError, regexp.MustCompile(`^mce: .*(?:Machine check events logged|CPU [0-9]+: Machine Check)`), nil},
	{ops.EventHardwareError, regexp.MustCompile(`\[Hardware Error\]: event severity: (fatal|recoverable|corrected)`), []string{"severity"}},
	{ops.EventHardwareError, regexp.MustCompile(`^EDAC (MC[0-9]+): [0-9]+ [CU]E `), []string{"device"}},
}

// kernelNoise are devices whose errors mean an empty drive.
var kernelNoise = regexp.MustCompile(`^(fd|sr)[0-9]`)

// classifyKernel answers what a message tells of; ok is false for one that
// tells of no fault.
func classifyKernel(text string) (typ ops.EventType, facts map[string]string, ok bool) {
	for _, r := range kernelRules {
		m := r.form.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		facts := make(map[string]string, len(r.facts)+1)
		for i, name := range r.facts {
			facts[name] = redact.Line(m[i+1], 100)
		}
		return r.typ, facts, !kernelNoise.MatchString(facts["device"])
	}
	return "", nil, false
}
