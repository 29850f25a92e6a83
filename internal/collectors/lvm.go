package collectors

import (
	"context"
	"encoding/json"
	"fmt"
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
	Name:        "lvm",
	Doc:         "LVM volume groups: size, allocation and missing disks, from vgs. It reads the labels of the disks, so it runs seldom.",
	Every:       15 * time.Minute,
	Timeout:     time.Minute,
	Cost:        collect.Dear,
	Permissions: "root",
	Metrics: []collect.Metric{
		{Name: "pool_used_ratio", Unit: "ratio", Doc: "Part of the volume group that is given to volumes."},
		{Name: "pool_size_bytes", Unit: "bytes", Doc: "Size of the volume group."},
	},
	Kinds: []ops.Kind{ops.KindPool},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(ctx context.Context, out *collect.Batch) error { return collectGroups(ctx, env, out) })
	},
})

// lvmFields are the columns to ask for; the names are those of the answer.
const lvmFields = "vg_name,vg_size,vg_free,pv_count,vg_missing_pv_count,vg_partial"

func collectGroups(ctx context.Context, env collect.Env, out *collect.Batch) error {
	if _, ok := env.Tools("vgs"); !ok && !lvmInUse(env) {
		return collect.ErrAbsent
	}
	if !tools(env, out, "vgs", "LVM volume groups", "apt install lvm2") {
		return nil
	}
	answer, err := env.Run(ctx, "vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", lvmFields)
	if err != nil {
		return fmt.Errorf("vgs: %w", err)
	}
	if answer.Exit != 0 {
		complaint := redact.Line(string(answer.Stderr), 300)
		// vgs answers a missing permission with the same status as a fault.
		if strings.Contains(complaint, "ermission denied") || strings.Contains(complaint, "non-root") {
			out.Gap("LVM volume groups", "the agent may not read the disks' labels", "run the agent as root")
			return nil
		}
		return fmt.Errorf("vgs: exit status %d: %s", answer.Exit, complaint)
	}
	groups, err := parseVgs(answer.Stdout)
	if err != nil {
		return err
	}
	if len(groups) == 0 && !lvmInUse(env) {
		return collect.ErrAbsent
	}
	for _, g := range groups {
		reportGroup(out, g)
	}
	out.Whole(ops.KindPool)
	return nil
}

// lvmInUse reports whether the kernel has an LVM volume active.
func lvmInUse(env collect.Env) bool {
	names, _ := blockDevices(env)
	return slices.ContainsFunc(names, func(name string) bool {
		id, ok := readWord(env.SysPath("block", name, "dm", "uuid"))
		return ok && strings.HasPrefix(id, "LVM-")
	})
}

func reportGroup(out *collect.Batch, g volumeGroup) {
	ref := out.Ref("lvm", "vg:"+g.Name)
	out.See(ops.Sighting{Key: ref, Kind: ops.KindPool, Name: g.Name, Observed: ops.Attrs{
		"missing_pvs": strconv.Itoa(g.Missing), "partial": truth(g.Partial),
	}})
	if g.Size > 0 {
		out.Add(ref, "pool_size_bytes", g.Size)
		out.Add(ref, "pool_used_ratio", (g.Size-g.Free)/g.Size)
	}
}

// A volumeGroup is a row of vgs.
type volumeGroup struct {
	Name       string
	Size, Free float64
	Missing    int
	Partial    bool
}

// lvmMaxGroups bounds a pass, lvmMaxMissing a count that can be believed.
const (
	lvmMaxGroups  = 256
	lvmMaxMissing = 1 << 20
)

var lvmName = regexp.MustCompile(`^[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,126}$`)

// parseVgs reads the JSON report of vgs, in which every value is a text.
func parseVgs(b []byte) ([]volumeGroup, error) {
	var doc struct {
		Report []struct {
			VG []struct {
				Name    string `json:"vg_name"`
				Size    string `json:"vg_size"`
				Free    string `json:"vg_free"`
				Missing string `json:"vg_missing_pv_count"`
				Partial string `json:"vg_partial"`
			} `json:"vg"`
		} `json:"report"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("parse the answer of vgs: %w", err)
	}
	var groups []volumeGroup
	for _, r := range doc.Report {
		for _, v := range r.VG {
			if !lvmName.MatchString(v.Name) || len(groups) == lvmMaxGroups {
				continue
			}
			g := volumeGroup{Name: v.Name, Size: lvmBytes(v.Size)}
			g.Free = min(lvmBytes(v.Free), g.Size)
			if n, ok := parseUint([]byte(v.Missing)); ok && n <= lvmMaxMissing {
				g.Missing = int(n)
			}
			g.Partial = g.Missing > 0 || v.Partial == "partial" || v.Partial == "1"
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// lvmBytes reads a size in bytes, with or without its suffix; 0 when it is
// none.
func lvmBytes(s string) float64 {
	n, ok := parseUint([]byte(strings.TrimSuffix(s, "B")))
	if !ok {
		return 0
	}
	return float64(n)
}
