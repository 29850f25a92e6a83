package correlate

import (
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
)

// Of writes why a finding is with another, in one sentence.
func (w why) of(s, other *sight) string {
	mine, theirs := s.resource, other.resource
	when := "opened " + apart(s.OpenedAt.Sub(other.OpenedAt)) + " " + strings.ReplaceAll(other.Condition, "_", " ")
	switch w {
	case sameResource:
		return when + " on the same " + kindOf(mine)
	case runsOnCause:
		return when + " on " + named(theirs) + ", " + standing(mine, theirs)
	case causeOfWork:
		return when + " on " + named(theirs) + ", which may fail from this"
	case liesOnDevice:
		return when + " on " + named(theirs) + ", which is below it"
	case deviceBelow:
		return when + " on " + named(theirs) + ", which is above it"
	case sameProject:
		return when + " on " + named(theirs) + " of the same compose project"
	case bothReeve:
		return when + " on " + named(theirs) + "; both are parts of Reeve"
	}
	return when
}

// Standing says how what runs stands to the host, or to the part of a host,
// that is in trouble.
func standing(work, trouble ops.Resource) string {
	how := "on which it runs"
	if work.Kind == ops.KindCheck {
		how = "from which it is probed"
	}
	if trouble.Kind == ops.KindHost {
		return how
	}
	return "which belongs to the host " + how
}

func named(r ops.Resource) string {
	if r.Name == "" {
		return "a resource that is gone"
	}
	if strings.HasPrefix(r.Name, kindOf(r)) || r.Kind == ops.KindComponent {
		return r.Name
	}
	return kindOf(r) + " " + r.Name
}

func kindOf(r ops.Resource) string {
	switch r.Kind {
	case "":
		return "resource"
	case ops.KindFilesystem:
		return "file system"
	}
	return string(r.Kind)
}

// Apart writes the time between two openings.
func apart(d time.Duration) string {
	d = d.Round(time.Second)
	size := d.Abs()
	text := fmt.Sprintf("%d s", int(size.Seconds()))
	if size >= 2*time.Minute {
		text = fmt.Sprintf("%d min", int(size.Minutes()))
	}
	switch {
	case d == 0:
		return "together with"
	case d < 0:
		return text + " before"
	}
	return text + " after"
}
