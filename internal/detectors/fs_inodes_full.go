package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "fs_inodes_full",
	Title: "File system has almost no room for more files",
	Doc: "The inodes of a file system are used up above the limit for thirty seconds: no file can be made although there may be space. " +
		"It clears when it was below the limit less the margin for a minute. File systems without a fixed number of inodes have no such figure.",
	Kinds:      []ops.Kind{ops.KindFilesystem},
	Role:       detect.Storage,
	Metrics:    []string{"fs_inodes_used_ratio"},
	Hold:       30 * time.Second,
	Clear:      time.Minute,
	Thresholds: steps("percent", 85, 95, 5),
	Eval:       fsInodesFull,
	Causes: []string{
		"A cache, session store or mail queue that makes very many small files and never removes them.",
		"Container layers and build caches.",
		"A job that leaves temporary files behind.",
	},
	Checks: []string{
		"See the figures: `df -i`.",
		"Find where the files are, staying on this file system: `du -x --inodes -d1 /MOUNT | sort -n`, and again below the largest.",
		"Usual places: /tmp, /var/tmp, /var/spool, /var/lib/php/sessions, /var/lib/docker.",
	},
})

func fsInodesFull(s detect.Subject) detect.Verdict {
	ratio, used, ok := reading(s, "fs_inodes_used_ratio")
	if !ok {
		return detect.NoData()
	}
	if s.Resource.Observed.Is("read_only_expected", "true") {
		return fine("%s is mounted read-only on purpose; no file is made on it", s.Resource.Name)
	}
	return judge(s, points(ratio), "%s has used %s of its inodes", s.Resource.Name, percent(ratio)).
		With(used).Fact("inodes_used", "%s", percent(ratio))
}
