package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "disk_wear",
	Title: "Solid-state disk is worn",
	Doc: "The disk says that it has used up this share of the writing it is made for. It need not fail at 100 %, but the maker " +
		"promises nothing from there on. It clears when the disk was replaced.",
	Kinds:      []ops.Kind{ops.KindDisk},
	Role:       detect.Hardware,
	Metrics:    []string{"disk_wear_ratio"},
	Window:     3 * time.Hour, // SMART is read rarely
	Step:       5 * time.Minute,
	Thresholds: steps("percent", 80, 95, 0),
	Eval:       diskWear,
	Causes: []string{
		"The disk is old, or more is written to it than it is made for.",
		"Swap, logs, a database or a copy-on-write file system writes far more than the data themselves.",
	},
	Checks: []string{
		"Read its figures: `smartctl -a /dev/DISK` (Percentage Used, Data Units Written, Wear Leveling Count).",
		"See who writes: `iotop -oPa` for some minutes.",
		"Order a replacement; move write-heavy data to a disk made for it.",
	},
})

func diskWear(s detect.Subject) detect.Verdict {
	worn, x, ok := slow(s, "disk_wear_ratio")
	if !ok {
		return detect.NoData()
	}
	return judge(s, points(worn), "%s has used %s of the writing it is made for", s.Resource.Name, percent(worn)).
		With(x).Fact("wear", "%s", percent(worn))
}
