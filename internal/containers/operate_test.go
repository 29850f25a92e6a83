//go:build !readonly

package containers

import (
	"regexp"
	"strings"
	"testing"
)

// imageName is the grammar of a path of an image's name
// (github.com/distribution/reference).
var imageName = regexp.MustCompile(`^reeve-snapshot/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)

// TestEveryContainerCanBeKept under a name that engines take.
func TestEveryContainerCanBeKept(t *testing.T) {
	for name, want := range map[string]string{
		"web": "web", "Web-1": "web-1", "a.b_c-1": "a.b_c-1", "web_": "web", "web.": "web", "a..b": "a-b", "a_-b": "a-b", "a___b": "a-b", "a--b": "a--b",
		"__": "container", strings.Repeat("a", 250): strings.Repeat("a", maxSnapshotName),
	} {
		if got := snapshotName(name); got != "reeve-snapshot/"+want || !imageName.MatchString(got) {
			t.Errorf("%s is kept as %s", name, got)
		}
	}
}
