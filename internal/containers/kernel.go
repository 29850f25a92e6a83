package containers

import (
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/redact"
)

// A killLog reads the kernel's log for containers out of which a process was
// killed for want of memory. Podman tells of none by an event, and before
// version 4.4 not by an inspection either: such a container looks as if
// somebody had stopped it. Docker is told by its control group, and misses it
// where that is gone too soon.
type killLog struct {
	path string
	fd   int // -1 while it is not open
}

// A kill is a process killed for want of memory in a container.
type kill struct {
	ID  string
	At  time.Time
	Seq uint64 // the number of its record since boot
}

const (
	killRecordLimit = 16 << 10 // more than the kernel puts into one record
	killPassLimit   = 20_000   // records of a pass
)

func newKillLog(path string) *killLog { return &killLog{path: path, fd: -1} }

// read answers what came since the last call; the first answers what the log
// still holds. Where the log cannot be read it answers nothing: the collector
// of kernel events tells of that.
func (k *killLog) read(now time.Time) []kill {
	if k.fd < 0 {
		fd, err := unix.Open(k.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil
		}
		k.fd = fd
		runtime.AddCleanup(k, func(fd int) { unix.Close(fd) }, fd)
	}
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &up) != nil {
		return nil
	}
	boot := now.Add(-time.Duration(up.Nano()))
	var kills []kill
	buf := make([]byte, killRecordLimit)
	for range killPassLimit {
		n, err := unix.Read(k.fd, buf)
		switch {
		case err == unix.EINTR || err == unix.EPIPE: // EPIPE: some were overwritten
		case err != nil || n == 0:
			return kills
		default:
			if x, after, ok := parseKill(buf[:n]); ok {
				x.At = boot.Add(after)
				kills = append(kills, x)
			}
		}
	}
	return kills
}

// killRecord is the line that names the control group of who is killed, as
// written since Linux 4.19 and before.
var killRecord = regexp.MustCompile(`^[0-9]+,([0-9]+),([0-9]+),[^;]*;(?:oom-kill:[^\n]*task_memcg=|Task in )[^,\s]*/(?:libpod-|docker-)?([0-9a-f]{64})(?:[^0-9a-f]|$)`)

// parseKill reads a record of /dev/kmsg; after is its time since boot.
func parseKill(record []byte) (x kill, after time.Duration, ok bool) {
	m := killRecord.FindSubmatch(record)
	if m == nil {
		return kill{}, 0, false
	}
	seq, err1 := strconv.ParseUint(string(m[1]), 10, 64)
	usec, err2 := strconv.ParseUint(string(m[2]), 10, 52)
	return kill{ID: string(m[3]), Seq: seq}, time.Duration(usec) * time.Microsecond, err1 == nil && err2 == nil
}

// withKills puts kills among the events, in order of time. The kernel's clock
// is not quite the engine's, so a kill beside an end goes right before it.
func withKills(events []Event, kills []kill, names map[string]string, since time.Time) []Event {
	for _, k := range kills {
		v := Event{ID: k.ID, Name: redact.Line(names[k.ID], 128), Action: "oom", At: k.At, Seq: k.Seq}
		place := -1
		for i, e := range events {
			if e.ID != k.ID {
				continue
			}
			v.Name = e.Name
			if e.Action == "die" && e.At.Sub(k.At).Abs() < sameExit && (place < 0 || e.At.Sub(k.At).Abs() < events[place].At.Sub(k.At).Abs()) {
				place = i
			}
		}
		if place >= 0 && !v.At.Before(events[place].At) {
			v.At = events[place].At.Add(-time.Millisecond)
		}
		if v.Name != "" && !v.At.Before(since) {
			events = append(events, v)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events
}

// withKills puts kills among the events of the engine, and takes out what it
// says of the same ones.
func (c *Collector) withKills(events []Event, kills []kill, names map[string]string, since time.Time) []Event {
	for id, at := range c.killed {
		if at.Before(since.Add(-sameKill)) {
			delete(c.killed, id)
		}
	}
	for _, k := range kills {
		c.killed[k.ID] = k.At
	}
	events = slices.DeleteFunc(events, func(v Event) bool {
		at, ok := c.killed[v.ID]
		return v.Action == "oom" && ok && v.At.Sub(at).Abs() < sameKill
	})
	return withKills(events, kills, names, since)
}

// sameKill is how far apart the kernel and the engine tell of one kill.
const sameKill = 10 * time.Second
