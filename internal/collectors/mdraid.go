package collectors

import (
	"bytes"
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name:        "mdraid",
	Doc:         "Software RAID arrays of the kernel: disks, state and progress of a rebuild, from /proc/mdstat and /sys/block.",
	Every:       30 * time.Second,
	Cost:        collect.Cheap,
	Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "array_disks_active_count", Unit: "count", Doc: "Disks of the array that work."},
		{Name: "array_disks_total_count", Unit: "count", Doc: "Disks that the array should have."},
		{Name: "array_sync_ratio", Unit: "ratio", Doc: "How far a rebuild, resync or check is; only while one runs."},
	},
	Kinds: []ops.Kind{ops.KindArray},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(_ context.Context, out *collect.Batch) error { return collectArrays(env, out) })
	},
})

func collectArrays(env collect.Env, out *collect.Batch) error {
	b, err := readSmall(env.ProcPath("mdstat"))
	if missing(err) {
		out.Whole(ops.KindArray) // arrays that were there once are gone
		return collect.ErrAbsent
	}
	if err != nil {
		return err
	}
	arrays := parseMdstat(b)
	for _, a := range arrays {
		reportArray(env, out, a)
	}
	out.Whole(ops.KindArray)
	return nil
}

func reportArray(env collect.Env, out *collect.Batch, a mdArray) {
	kernel := func(file string) string {
		word, _ := readWord(env.SysPath("block", a.Name, "md", file))
		return word
	}
	if level := kernel("level"); level != "" {
		a.Level = level
	}
	attrs := ops.Attrs{
		"level": a.Level, "state": a.state(kernel("array_state")),
		"disks_active": strconv.Itoa(a.Active), "disks_total": strconv.Itoa(a.Total),
		"disks_failed": strconv.Itoa(len(a.Failed)), "failed": strings.Join(a.Failed, ","),
	}
	ref := out.Ref("linux", "md:"+a.Name)
	if a.Action != "" {
		attrs["sync_percent"] = strconv.FormatFloat(a.Percent, 'f', -1, 64)
		out.Add(ref, "array_sync_ratio", a.Percent/100)
	}
	out.See(ops.Sighting{Key: ref, Kind: ops.KindArray, Name: a.Name, Observed: attrs})
	out.Add(ref, "array_disks_active_count", float64(a.Active))
	out.Add(ref, "array_disks_total_count", float64(a.Total))
}

// An mdArray is one array of mdstat.
type mdArray struct {
	Name          string
	Inactive      bool
	Level         string
	Active, Total int
	Failed        []string // members that the kernel has thrown out
	Action        string   // recovery, resync, reshape, check, or "" while idle
	Percent       float64
}

// state answers one word for the array: what is being done to it, else what
// is wrong with it, else what the kernel calls it.
func (a mdArray) state(kernel string) string {
	switch {
	case a.Inactive:
		return "inactive"
	case a.Action == "recovery":
		return "recovering"
	case a.Action == "check" && a.Active == a.Total:
		return "checking"
	case a.Action == "reshape":
		return "reshaping"
	case a.Action == "resync":
		return "resync"
	case a.Active < a.Total:
		return "degraded"
	case kernel != "":
		return kernel
	}
	return "active"
}

// mdMaxArrays and mdMaxMembers bound what a file can claim.
const (
	mdMaxArrays  = 256
	mdMaxMembers = 4096
)

var (
	mdName     = regexp.MustCompile(`^md[A-Za-z0-9_.-]{0,60}$`)
	mdMember   = regexp.MustCompile(`^([A-Za-z0-9_.!:-]{1,64})\[[0-9]+\]((?:\([A-Z]\))*)$`)
	mdCounts   = regexp.MustCompile(`\[([0-9]{1,4})/([0-9]{1,4})\] \[[U_]+\]`)
	mdProgress = regexp.MustCompile(`\b(recovery|resync|reshape|check) *= *([0-9.]{1,8})%`)
	mdWaiting  = regexp.MustCompile(`\b(recovery|resync|reshape|check) *= *(?:DELAYED|PENDING|REMOTE)`)
)

// parseMdstat reads /proc/mdstat. The kernel's format is for people; lines
// that it does not know it passes over.
func parseMdstat(b []byte) []mdArray {
	var arrays []mdArray
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		if len(line) == 0 || len(arrays) > mdMaxArrays {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			if a, ok := parseMdHead(string(line)); ok {
				arrays = append(arrays, a)
			}
			continue
		}
		if len(arrays) > 0 {
			arrays[len(arrays)-1].detail(bytes.TrimSpace(line))
		}
	}
	return arrays
}

// parseMdHead reads the first line of an array, such as
// "md0 : active raid1 sdb1[1] sda1[0](F)".
func parseMdHead(line string) (mdArray, bool) {
	words := strings.Fields(line)
	if len(words) < 3 || words[1] != ":" || !mdName.MatchString(words[0]) {
		return mdArray{}, false
	}
	a := mdArray{Name: words[0], Inactive: words[2] != "active"}
	members := 0
	for _, w := range words[3:min(len(words), mdMaxMembers)] {
		m := mdMember.FindStringSubmatch(w)
		switch {
		case m != nil && strings.Contains(m[2], "(F)"):
			a.Failed = append(a.Failed, m[1])
			members++
		case m != nil && strings.Contains(m[2], "(S)"):
			continue
		case m != nil:
			members++
			a.Active++
		case a.Level == "" && !strings.HasPrefix(w, "("):
			a.Level = w
		}
	}
	a.Total = members
	if a.Inactive {
		a.Active = 0
	}
	return a, true
}

// detail reads an indented line of an array: the counts of disks that arrays
// with redundancy have, or the progress of a rebuild.
func (a *mdArray) detail(line []byte) {
	if m := mdCounts.FindSubmatch(line); m != nil {
		a.Total, _ = strconv.Atoi(string(m[1]))
		a.Active, _ = strconv.Atoi(string(m[2]))
	}
	if m := mdProgress.FindSubmatch(line); m != nil {
		p, err := strconv.ParseFloat(string(m[2]), 64)
		if err == nil {
			a.Action, a.Percent = string(m[1]), math.Min(p, 100)
		}
	} else if m := mdWaiting.FindSubmatch(line); m != nil {
		a.Action = string(m[1])
	}
}
