package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Line is one number of the table.
type Line struct {
	Measure string    `json:"measure"`
	What    string    `json:"what"`
	Value   float64   `json:"value"`
	Unit    string    `json:"unit"`
	Bar     float64   `json:"bar,omitempty"`
	AtLeast bool      `json:"bar_is_least,omitempty"`
	Note    string    `json:"note,omitempty"`
	Load    string    `json:"load_average"`
	At      time.Time `json:"at"`
	Commit  string    `json:"commit"`
}

// add takes a line down and shows it.
func (b *bench) add(l Line) {
	l.Measure, l.Load, l.At, l.Commit = b.current, b.load, time.Now().UTC().Truncate(time.Second), commit()
	b.now = append(b.now, l)
	fmt.Printf("  %-58s %12s  %s %s\n", l.What, l.value(), l.verdict(), l.Note)
}

func (l Line) value() string {
	digits := 0
	switch {
	case l.Value < 10:
		digits = 2
	case l.Value < 1000:
		digits = 1
	}
	return grouped(strconv.FormatFloat(l.Value, 'f', digits, 64)) + " " + l.Unit
}

// grouped puts commas into long whole numbers.
func grouped(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}

func (l Line) bar() string {
	if l.Bar == 0 {
		return ""
	}
	sign := "<"
	if l.AtLeast {
		sign = ">="
	}
	return sign + " " + grouped(strconv.FormatFloat(l.Bar, 'f', -1, 64)) + " " + l.Unit
}

func (l Line) verdict() string {
	switch {
	case l.Bar == 0:
		return ""
	case l.AtLeast == (l.Value >= l.Bar):
		return "met"
	}
	return "MISSED"
}

// A machine is what the numbers were measured on.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// A record is everything of a run.
type record struct {
	Began   time.Time `json:"began_at"`
	Took    string    `json:"took"`
	Machine machine   `json:"machine"`
	Lines   []Line    `json:"lines"`
}

// write keeps the lines of measures that did not run this time, and writes
// both files.
func (b *bench) write(dir string, began time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "bench.json")
	var old record
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &old); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	r := record{Began: began.UTC().Truncate(time.Second), Took: time.Since(began).Round(time.Second).String(), Machine: thisMachine()}
	for _, m := range measures {
		mine := linesOf(b.now, m.name)
		if len(mine) == 0 {
			mine = linesOf(old.Lines, m.name)
		}
		r.Lines = append(r.Lines, mine...)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(r.table()), 0o644)
}

func linesOf(all []Line, name string) []Line {
	return slices.DeleteFunc(slices.Clone(all), func(l Line) bool { return l.Measure != name })
}

func (r record) table() string {
	var t strings.Builder
	fmt.Fprintf(&t, "# Measured\n\nWritten by `make bench`; the same numbers are in bench.json. On %s, %d cores, %s of memory, Linux %s, %s.\n"+
		"The load average of the machine when a measure began stands beside it: what else ran then takes from the numbers.\n\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Memory, r.Machine.Kernel, r.Machine.Go)
	t.WriteString("| What | Measured | Bar | | Load | When | Commit |\n|---|---:|---:|---|---|---|---|\n")
	for _, l := range r.Lines {
		what := l.What
		if l.Note != "" {
			what += " (" + l.Note + ")"
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s | %s | %s |\n", what, l.value(), l.bar(), l.verdict(), l.Load, l.At.Format("2006-01-02 15:04"), l.Commit)
	}
	return t.String()
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = field("/proc/cpuinfo", "model name")
	if kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.Memory = fmt.Sprintf("%.1f GiB", float64(kb)/(1<<20))
	}
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(text))
	return m
}

// field answers the first value of a name in a file of "name: value" lines.
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.SplitSeq(string(text), "\n") {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// commit answers the commit that is measured; make bench sets it where the
// sources are no clone.
func commit() string {
	if c := os.Getenv("BENCH_COMMIT"); c != "" {
		return c
	}
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
