package tools

import (
	"context"
	"fmt"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "list_storage", Doc: "File systems, disks, arrays, pools of a host with use and health.", Effect: tool.Reads, Profiles: everyone, Core: nobody,
}, listStorage))

type storageInput struct {
	Host string `json:"host"`
}

// storageKinds are what stores data, the parts first that people see.
var storageKinds = []ops.Kind{ops.KindFilesystem, ops.KindPool, ops.KindArray, ops.KindDisk}

// storageTold are the readings that say how full and how well it is.
var storageTold = []string{"fs_used_ratio", "fs_available_bytes", "fs_size_bytes", "fs_inodes_used_ratio", "pool_used_ratio", "pool_size_bytes", "pool_errors_count",
	"pool_fragmentation_ratio", "array_disks_active_count", "array_disks_total_count", "array_sync_ratio", "disk_busy_ratio", "disk_temperature_celsius", "disk_wear_ratio",
	"disk_smart_passed", "disk_media_errors_count", "disk_reallocated_count", "disk_pending_count"}

func listStorage(ctx context.Context, e Env, in storageInput) (string, error) {
	host, err := e.find(ctx, in.Host)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, kind := range storageKinds {
		found, next, err := e.Store.Resources(ctx, store.ResourceFilter{Host: host.HostID, Kinds: []string{string(kind)}, Presence: []string{string(ops.Present), string(ops.Absent)}, Limit: largest})
		if err != nil {
			return "", err
		}
		for _, r := range found {
			if !e.shows(r) {
				continue
			}
			text, err := stored(ctx, e, r)
			if err != nil {
				return "", err
			}
			lines = append(lines, text)
		}
		if next != nil {
			lines = append(lines, fmt.Sprintf("[the first %d of kind %s shown]", largest, kind))
		}
	}
	return list(lines, "storage known on "+place(host), nil), nil
}

func stored(ctx context.Context, e Env, r ops.Resource) (string, error) {
	text := fmt.Sprintf("%s %s %s", r.ID, r.Kind, line(r.Name, 120))
	if r.Presence != ops.Present {
		text += " " + string(r.Presence)
	}
	if !e.WithheldFields["attributes"] {
		if attrs := pairs(told(r.Observed)); attrs != "" {
			text += " " + attrs
		}
	}
	newest, err := e.latest(ctx, r.ID, "")
	if err != nil {
		return "", err
	}
	for _, s := range newest {
		if p, ok := s.Last(); ok && slices.Contains(storageTold, s.Metric) {
			text += " " + s.Metric + "=" + number(p.Value)
		}
	}
	return text, nil
}
