package watch

import (
	"regexp"
	"strings"

	"reeve/internal/ops"
)

// placeholders are the words that the advice of detectors leaves open, by the
// kind of resource whose name fills them.
var placeholders = map[ops.Kind]string{
	ops.KindContainer: "CONTAINER", ops.KindDisk: "DISK", ops.KindUnit: "UNIT", ops.KindInterface: "IFACE",
	ops.KindFilesystem: "/MOUNT", ops.KindPool: "POOL", ops.KindArray: "ARRAY", ops.KindProject: "PROJECT",
}

// plainName is a name that is safe inside a command that a person copies: one
// from the estate could hold anything.
var plainName = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9/._@:-]{0,99}$`)

// fill puts the resource's name into advice where that is safe.
func fill(advice []string, r ops.Resource) []string {
	word, ok := placeholders[r.Kind]
	if !ok || !plainName.MatchString(r.Name) || strings.Contains(r.Name, "..") {
		return advice
	}
	whole := regexp.MustCompile(`(^|[^A-Z])` + word + `\b`)
	filled := make([]string, len(advice))
	for i, line := range advice {
		filled[i] = whole.ReplaceAllString(line, "${1}"+r.Name)
	}
	return filled
}
