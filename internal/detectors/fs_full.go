package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "fs_full",
	Title: "File system is almost full",
	Doc: "The used share of a file system, as df counts it, is above the limit for thirty seconds. " +
		"It clears when it was below the limit less the margin for a minute. File systems that are read-only on purpose are full by design.",
	Kinds:      []ops.Kind{ops.KindFilesystem},
	Role:       detect.Storage,
	Metrics:    []string{"fs_used_ratio", "fs_size_bytes", "fs_available_bytes"},
	Hold:       30 * time.Second,
	Clear:      time.Minute,
	Thresholds: steps("percent", 85, 95, 5),
	Eval:       fsFull,
	Causes: []string{
		"Logs that nobody rotates, or one that suddenly grows.",
		"Container images, volumes and build caches that nobody removes.",
		"Old backups, snapshots or package caches.",
		"A deleted file that a process still holds open keeps its space.",
	},
	Checks: []string{
		"See what is large, staying on this file system: `du -x -d1 -h /MOUNT | sort -h`.",
		"See what Docker holds: `docker system df`; free what is unused: `docker system prune`.",
		"Shrink the journal: `journalctl --disk-usage`, `journalctl --vacuum-size=500M`; the package cache: `apt-get clean`.",
		"Find deleted files still open: `lsof +L1`; restart what holds them.",
		"Compare `df -h` with what du finds: a difference is deleted files or something below another mount.",
	},
})

func fsFull(s detect.Subject) detect.Verdict {
	ratio, used, ok := reading(s, "fs_used_ratio")
	if !ok {
		return detect.NoData()
	}
	name := s.Resource.Name
	if s.Resource.Observed.Is("read_only_expected", "true") {
		return fine("%s is mounted read-only on purpose; how full it is does not change", name)
	}
	v := judge(s, points(ratio), "%s is %s full", name, percent(ratio)).With(used).Fact("used", "%s", percent(ratio))
	left, x, ok := reading(s, "fs_available_bytes")
	if !ok {
		return v
	}
	v = v.With(x).Fact("left", "%s", bytes(left))
	size, ok := s.Value("fs_size_bytes")
	if !ok {
		v.Summary += ": " + bytes(left) + " left"
		return v
	}
	v.Summary += ": " + bytes(left) + " of " + bytes(size) + " left"
	return v.Fact("size", "%s", bytes(size))
}
