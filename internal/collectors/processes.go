package collectors

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name:  "processes",
	Doc:   "How many processes there are and in which states, and which use most processor time and memory.",
	Every: 30 * time.Second, Cost: collect.Cheap, Permissions: "none; root where /proc is mounted with hidepid",
	Metrics: []collect.Metric{
		{Name: "processes_count", Unit: "count", Doc: "Processes, kernel threads included."},
		{Name: "processes_zombie_count", Unit: "count", Doc: "Processes that ended and that their parent has not waited for."},
		{Name: "processes_running_count", Unit: "count", Doc: "Processes that run or could run."},
		{Name: "processes_blocked_count", Unit: "count", Doc: "Processes in uninterruptible sleep, mostly waiting for a disk."},
		{Name: "process_cpu_ratio", Unit: "ratio", Doc: "Processor time of one of the five busiest processes, as a share of one core.", Labels: []string{"process", "pid"}},
		{Name: "process_memory_bytes", Unit: "bytes", Doc: "Resident memory of one of the five largest processes.", Labels: []string{"process", "pid"}},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open:  func(env collect.Env) collect.Collector { return &processes{env: env, ticks: map[processID]uint64{}} },
})

const (
	processMax = 32768 // read in one pass
	processTop = 5
	// processLeast is the share of a core below which a process is not worth
	// a series.
	processLeast = 0.01
	// tickSeconds is the unit of times in /proc on every architecture that Go
	// runs on.
	tickSeconds = 0.01
)

type processes struct {
	env   collect.Env
	buf   []byte
	ticks map[processID]uint64 // of the pass before
	last  time.Time
}

// A processID stays with one process: pids are used again.
type processID struct{ pid, started uint64 }

type processStat struct {
	id    processID
	state byte
	ticks uint64
	pages uint64
	name  []byte
}

// A topProcess is a process with what it is ranked by.
type topProcess struct {
	value float64
	pid   uint64
	name  string
}

func (p *processes) Collect(ctx context.Context, out *collect.Batch) error {
	dir, err := os.Open(p.env.Proc)
	if err != nil {
		return err
	}
	defer dir.Close()
	scan := processScan{ticks: make(map[processID]uint64, len(p.ticks)), before: p.ticks, page: p.pageSize()}
	if passed := out.Now.Sub(p.last); !p.last.IsZero() && passed > 0 && passed <= ratePause {
		scan.passed = passed.Seconds()
	}
	for ctx.Err() == nil {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			p.read(name, &scan)
		}
		if err != nil || len(names) == 0 {
			break // the end; an entry that went away meanwhile is no error
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if scan.all == 0 {
		return fmt.Errorf("no process in %s", p.env.Proc)
	}
	p.ticks, p.last = scan.ticks, out.Now
	scan.add(out)
	if _, err := os.Lstat(p.env.ProcPath("1")); p.env.Live && missing(err) {
		out.Gap("processes of other users", "/proc is mounted with hidepid", "run the agent as root, or add it to the group that the mount option gid names")
	}
	return nil
}

func (p *processes) read(name string, scan *processScan) {
	if name[0] < '1' || name[0] > '9' {
		return
	}
	if scan.all++; scan.all > processMax {
		return // counted, not read
	}
	var err error
	if p.buf, err = readInto(p.buf, p.env.Proc+"/"+name+"/stat"); err != nil {
		scan.all-- // it ended since the list was read, or is no process
		return
	}
	if s, ok := parseProcess(p.buf); ok {
		scan.take(s)
	}
}

func (p *processes) pageSize() float64 {
	if p.env.Live {
		return float64(unix.Getpagesize())
	}
	return 4096
}

// A processScan gathers one pass.
type processScan struct {
	all, zombies, running, blocked int
	ticks, before                  map[processID]uint64
	passed, page                   float64
	busiest, largest               []topProcess
}

func (s *processScan) take(p processStat) {
	switch p.state {
	case 'Z':
		s.zombies++
	case 'R':
		s.running++
	case 'D':
		s.blocked++
	}
	s.ticks[p.id] = p.ticks
	s.largest = rank(s.largest, float64(p.pages)*s.page, p)
	if was, ok := s.before[p.id]; ok && s.passed > 0 && p.ticks > was {
		s.busiest = rank(s.busiest, float64(p.ticks-was)*tickSeconds/s.passed, p)
	}
}

// rank puts p into a list of the first few, the highest first.
func rank(top []topProcess, value float64, p processStat) []topProcess {
	if value <= 0 || len(top) == processTop && top[processTop-1].value >= value {
		return top
	}
	at, _ := slices.BinarySearchFunc(top, value, func(t topProcess, v float64) int {
		if t.value >= v {
			return -1
		}
		return 1
	})
	top = slices.Insert(top, at, topProcess{value, p.id.pid, string(p.name)})
	return top[:min(len(top), processTop)]
}

func (s *processScan) add(out *collect.Batch) {
	host := out.HostRef()
	out.Add(host, "processes_count", float64(s.all))
	out.Add(host, "processes_zombie_count", float64(s.zombies))
	out.Add(host, "processes_running_count", float64(s.running))
	out.Add(host, "processes_blocked_count", float64(s.blocked))
	for _, t := range s.busiest {
		if t.value >= processLeast {
			out.Add(host, "process_cpu_ratio", t.value, "process", redact.Line(t.name, 64), "pid", strconv.FormatUint(t.pid, 10))
		}
	}
	for _, t := range s.largest {
		out.Add(host, "process_memory_bytes", t.value, "process", redact.Line(t.name, 64), "pid", strconv.FormatUint(t.pid, 10))
	}
}

// parseProcess reads /proc/PID/stat: pid, name in parentheses, state, and
// numbers. The name may hold anything, parentheses and blanks too, so its end
// is the last parenthesis.
func parseProcess(b []byte) (s processStat, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 2 || end < open || end+3 >= len(b) {
		return s, false
	}
	pid, ok := parseUint(bytes.TrimSpace(b[:open]))
	if !ok {
		return s, false
	}
	s.id.pid, s.name, s.state = pid, b[open+1:end], b[end+2]
	rest := b[end+3:]
	// The fields from the fourth on; the numbers are those of proc(5).
	for number := 4; number <= 24; number++ {
		var field []byte
		field, rest = nextField(rest)
		var n uint64
		switch number {
		case 14, 15, 22, 24:
			if n, ok = parseUint(bytes.TrimSpace(field)); !ok {
				return s, false
			}
		}
		switch number {
		case 14, 15: // user and system time
			s.ticks += n
		case 22:
			s.id.started = n
		case 24:
			s.pages = n
		}
	}
	return s, true
}
