package brief

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
)

// blanks are the words that the advice of detectors leaves open, by the kind
// of resource whose name fills them.
var blanks = map[ops.Kind]*regexp.Regexp{
	ops.KindContainer: blank("CONTAINER"), ops.KindDisk: blank("DISK"), ops.KindUnit: blank("UNIT"), ops.KindInterface: blank("IFACE"),
	ops.KindFilesystem: blank("/MOUNT"), ops.KindPool: blank("POOL"), ops.KindArray: blank("ARRAY"), ops.KindProject: blank("PROJECT"),
}

func blank(word string) *regexp.Regexp { return regexp.MustCompile(`(^|[^A-Z])` + word + `\b`) }

// plainName is a name that is safe inside a command that a person copies: one
// from the estate could hold anything.
var plainName = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9/._@:-]{0,99}$`)

// Fill puts the resource's name into advice where that is safe.
func Fill(advice []string, r ops.Resource) []string {
	whole, ok := blanks[r.Kind]
	if !ok || !plainName.MatchString(r.Name) || strings.Contains(r.Name, "..") {
		return advice
	}
	filled := make([]string, len(advice))
	for i, line := range advice {
		filled[i] = whole.ReplaceAllString(line, "${1}"+r.Name)
	}
	return filled
}

// Place says what and where a resource is.
func Place(r ops.Resource) string {
	if r.Kind == ops.KindHost {
		return "host " + r.Name
	}
	return fmt.Sprintf("%s %s on host %s", r.Kind, r.Name, r.HostName)
}

// ChangesBefore is how far before the beginning of a problem changes are
// named as possible causes.
const ChangesBefore = 30 * time.Minute

// mostChanged bounds how many attributes of one change are named.
const mostChanged = 6

// Deployed reports whether resources of a kind come because somebody brought
// them, which may be the cause of a problem. Others appear when they are seen
// first.
func Deployed(k ops.Kind) bool {
	switch k {
	case ops.KindContainer, ops.KindService, ops.KindProject, ops.KindUnit, ops.KindCertificate, ops.KindCheck:
		return true
	}
	return false
}

// FirstLook is for how long after a host was seen first what appears on it
// was there before.
const FirstLook = 2 * time.Minute

// ChangeCauses names the changes of a resource shortly before a problem
// began, the latest first.
func ChangeCauses(changes []ops.Transition, r ops.Resource, began time.Time) []string {
	var causes []string
	for _, t := range slices.Backward(slices.SortedStableFunc(slices.Values(changes), func(a, b ops.Transition) int { return a.At.Compare(b.At) })) {
		before := began.Sub(t.At)
		if t.Object != "resource" || t.ObjectID != r.ID || before < 0 || before > ChangesBefore {
			continue
		}
		when := before.Round(time.Second).String() + " before it began, "
		switch t.Verb {
		case "change":
			names := slices.Sorted(maps.Keys(t.Facts))
			for _, what := range names[:min(len(names), mostChanged)] {
				causes = append(causes, fmt.Sprintf("%s%s of %s changed: %s", when, what, r.Name, t.Facts[what]))
			}
		case "appear":
			if Deployed(r.Kind) {
				causes = append(causes, fmt.Sprintf("%s%s appeared", when, Place(r)))
			}
		case "vanish", "remove":
			causes = append(causes, fmt.Sprintf("%s%s was not there any more", when, Place(r)))
		}
	}
	return causes
}
