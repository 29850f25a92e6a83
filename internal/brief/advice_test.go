package brief

import (
	"testing"

	"reeve/internal/ops"
)

func TestAdviceNamesTheResourceOnlyWhenThatIsSafe(t *testing.T) {
	advice := []string{"`du -x -d1 -h /MOUNT | sort -h`", "AMOUNT stays"}
	for name, want := range map[string]string{
		"/srv/photos":      "`du -x -d1 -h /srv/photos | sort -h`",
		"/x; rm -rf /":     advice[0],
		"/$(reboot)":       advice[0],
		"/a/../../etc":     advice[0],
		"--help":           advice[0],
		"/mnt/`id`":        advice[0],
		"/\u202eevil/path": advice[0],
	} {
		got := Fill(advice, ops.Resource{Kind: ops.KindFilesystem, Name: name})
		if got[0] != want || got[1] != advice[1] {
			t.Errorf("%q: %q", name, got)
		}
	}
}
