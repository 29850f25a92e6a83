package show

import (
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// Resources lists resources.
func Resources(p *term.Page, all []ops.Resource) {
	short, now := term.Shortened(all, func(r ops.Resource) string { return r.ID }), time.Now()
	t := p.Table("!ID", "KIND", "NAME", "HOST", "!PRESENCE", "STATE", ">SEEN AGO")
	for _, r := range all {
		seen := string(r.Presence)
		if r.Presence == ops.Present && r.Reachable != "online" {
			seen = r.Reachable
		}
		t.Add(term.Of(short[r.ID]), term.Of(string(r.Kind)), term.Of(r.Name), term.Of(r.HostName), term.Painted(seen, term.StateStyle(seen)), term.Of(glance(r)), term.Of(term.Age(now, r.ObservedAt)))
	}
	t.Print()
}

// glance answers what of a resource's attributes says most.
func glance(r ops.Resource) string {
	names := map[ops.Kind][]string{
		ops.KindContainer: {"state", "health"}, ops.KindService: {"running", "desired"}, ops.KindUnit: {"active_state", "sub_state"},
		ops.KindFilesystem: {"fstype", "device"}, ops.KindDisk: {"model"}, ops.KindArray: {"level", "state"}, ops.KindPool: {"health"},
		ops.KindInterface: {"operstate"}, ops.KindCheck: {"up", "error"}, ops.KindComponent: {"state", "error"}, ops.KindHost: {"os", "kernel"},
		ops.KindCertificate: {"not_after"}, ops.KindGPU: {"model"},
	}[r.Kind]
	var parts []string
	for _, n := range names {
		v := r.Observed[n]
		if v == "" {
			continue
		}
		switch n {
		case "running", "desired", "up":
			v = n + " " + v
		}
		parts = append(parts, v)
	}
	return strings.Join(parts, ", ")
}

// Pairs prints names with values under a title; nothing where there are
// none.
func Pairs(p *term.Page, title string, pairs map[string]string) {
	if len(pairs) == 0 {
		return
	}
	p.Heading(title)
	var rows [][2]string
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		rows = append(rows, [2]string{k, pairs[k]})
	}
	p.Fields(rows)
}
