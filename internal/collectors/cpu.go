package collectors

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "cpu", Doc: "What the processors spend their time on, from /proc/stat.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "cpu_busy_ratio", Unit: "ratio", Doc: "Share of the time of all processors that was not idle and not waiting for I/O."},
		{Name: "cpu_mode_ratio", Unit: "ratio", Doc: "Share of the time of all processors in one mode.", Labels: []string{"mode"}},
		{Name: "cpu_core_busy_ratio", Unit: "ratio", Doc: "Share of the time of one processor that was not idle and not waiting for I/O.", Labels: []string{"core"}},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open:  func(env collect.Env) collect.Collector { return &cpu{env: env, last: map[int]cpuTimes{}} },
})

// cpuModes are the columns of /proc/stat. Guest time is part of user and nice.
var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

const (
	cpuIdle, cpuIOWait = 3, 4
	cpuAll             = -1 // the line of all processors together
	cpuMax             = 4096
)

type cpuTimes [len(cpuModes)]uint64

type cpu struct {
	env   collect.Env
	buf   []byte
	lines []cpuLine
	last  map[int]cpuTimes
}

type cpuLine struct {
	core  int
	times cpuTimes
}

// Collect reports shares of the time since the pass before; the first pass
// has nothing to compare with and reports none.
func (c *cpu) Collect(_ context.Context, out *collect.Batch) (err error) {
	if c.buf, err = readInto(c.buf, c.env.ProcPath("stat")); err != nil {
		return err
	}
	c.lines = parseCPU(c.buf, c.lines[:0])
	if len(c.lines) == 0 {
		return fmt.Errorf("parse %s: no cpu line", c.env.ProcPath("stat"))
	}
	for _, line := range c.lines {
		was, seen := c.last[line.core]
		c.last[line.core] = line.times
		shares, ok := cpuShares(was, line.times)
		if !seen || !ok {
			continue
		}
		busy := max(0, 1-shares[cpuIdle]-shares[cpuIOWait])
		if line.core != cpuAll {
			out.Add(out.HostRef(), "cpu_core_busy_ratio", busy, "core", strconv.Itoa(line.core))
			continue
		}
		out.Add(out.HostRef(), "cpu_busy_ratio", busy)
		for i, mode := range cpuModes {
			out.Add(out.HostRef(), "cpu_mode_ratio", shares[i], "mode", mode)
		}
	}
	return nil
}

// cpuShares answers how the time between two readings divides. The kernel's
// idle and iowait counters may run back a little: such a step counts as none.
func cpuShares(was, is cpuTimes) (shares [len(cpuModes)]float64, ok bool) {
	var sum float64
	for i := range is {
		if is[i] > was[i] {
			shares[i] = float64(is[i] - was[i])
			sum += shares[i]
		}
	}
	if sum == 0 {
		return shares, false
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares, true
}

// parseCPU appends the cpu lines of /proc/stat to lines. Kernels before 2.6.11
// have fewer columns; what is missing counts as 0.
func parseCPU(b []byte, lines []cpuLine) []cpuLine {
	for len(b) > 0 && len(lines) <= cpuMax {
		var line []byte
		line, b = nextLine(b)
		name, rest := nextField(line)
		number, ok := bytes.CutPrefix(name, []byte("cpu"))
		if !ok {
			// The cpu lines come first; the interrupts after them are long.
			return lines
		}
		entry := cpuLine{core: cpuAll}
		if len(number) > 0 {
			n, ok := parseUint(number)
			if !ok || n > 1<<20 {
				continue
			}
			entry.core = int(n)
		}
		if parseUints(rest, entry.times[:]) >= 4 {
			lines = append(lines, entry)
		}
	}
	return lines
}
