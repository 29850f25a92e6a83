package investigate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/brief"
	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// A Scene is all that the judges of a runbook may know of an incident, read
// at one time. It is plain data: the same scene gives the same signs.
type Scene struct {
	Now      time.Time
	Incident ops.Incident
	Root     ops.Finding
	Began    time.Time // when the root's condition became true

	Resource, Host, Parent ops.Resource
	// Near are the resources of the host, by ID, with those above.
	Near map[string]ops.Resource
	// Around are findings of the host that are or were active since shortly
	// before it began, without the root; Elsewhere are active findings of the
	// same condition on other resources.
	Around, Elsewhere []ops.Finding
	// Changes of Near within half an hour before it began, the oldest first.
	Changes []ops.Transition
	// Events of the resource and of the host since an hour before it began,
	// the oldest first.
	Events []store.StoredEvent
	Past   Past
	Series map[SeriesKey][]ops.Series
	Roles  map[string]detect.Role // of conditions
}

// A SeriesKey names the readings of one metric of one resource.
type SeriesKey struct{ ResourceID, Metric string }

// A Past is what is known of earlier times of the root's problem.
type Past struct {
	Count int         // times, 0 for never
	Last  time.Time   // when the last of them began
	Text  string      // all of it, in a few sentences
	Cures []string    // what people wrote solves it
	Began []time.Time // the newest first
}

// How far before the beginning causes are looked for.
const (
	changesBefore  = brief.ChangesBefore
	eventsBefore   = time.Hour
	findingsBefore = 2 * time.Hour
	// settled is the part just before the beginning that counts neither as
	// before nor as since: conditions hold for a while before they open.
	settled      = 10 * time.Minute
	settledLeast = 15 * time.Second
)

// targets answers the resources that a word of a runbook means.
func (s *Scene) targets(word string) []ops.Resource {
	switch word {
	case "", "resource":
		return some(s.Resource)
	case "host":
		return some(s.Host)
	case "parent":
		return some(s.Parent)
	case "children":
		return s.near(func(r ops.Resource) bool { return r.ParentID == s.Resource.ID })
	}
	kind, ok := kindWords[word]
	if !ok {
		return nil
	}
	return s.near(func(r ops.Resource) bool { return r.Kind == kind && r.ID != s.Resource.ID })
}

// kindWords are the words for what else is on the host.
var kindWords = map[string]ops.Kind{"containers": ops.KindContainer, "units": ops.KindUnit, "filesystems": ops.KindFilesystem,
	"disks": ops.KindDisk, "interfaces": ops.KindInterface, "checks": ops.KindCheck}

func some(r ops.Resource) []ops.Resource {
	if r.ID == "" {
		return nil
	}
	return []ops.Resource{r}
}

func (s *Scene) near(fits func(ops.Resource) bool) []ops.Resource {
	var all []ops.Resource
	for _, r := range s.Near {
		if fits(r) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b ops.Resource) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return all
}

// series answers the readings of a metric of a resource.
func (s *Scene) series(r ops.Resource, metric string) []ops.Series {
	return s.Series[SeriesKey{r.ID, metric}]
}

// minutes answers for how many minutes a claim about readings since a time
// must look back.
func (s *Scene) minutes(since time.Time) int64 {
	return max(1, int64(s.Now.Sub(since)/time.Minute)+1)
}

// A Sign is what one look shows: a sentence with its numbers and, where it
// speaks for a cause, that cause with what proves it.
type Sign struct {
	Text  string
	Cause *ops.Hypothesis
}

func signf(format string, args ...any) []Sign {
	return []Sign{{Text: fmt.Sprintf(format, args...)}}
}

// because adds a cause to a sign.
func (s Sign) because(confidence, resourceID, cause string, claims ...ops.Claim) Sign {
	s.Cause = &ops.Hypothesis{Cause: cause, ResourceID: resourceID, For: claims, Confidence: confidence}
	return s
}

// The confidences.
const (
	low    = "low"
	medium = "medium"
	high   = "high"
)

var confidences = []string{low, medium, high}

// amount writes a reading for people.
func amount(metric string, v float64) string {
	switch {
	case strings.HasSuffix(metric, "_bytes_per_s"):
		return brief.Amount("bytes", v) + "/s"
	case strings.HasSuffix(metric, "_per_s"):
		return brief.Amount(metric, v) + "/s"
	case metric == "container_cpu_ratio" || metric == "process_cpu_ratio":
		return brief.Amount("", v) + " cores"
	}
	return brief.Amount(metric, v)
}

// before says how long before the beginning something was.
func (s *Scene) before(at time.Time) string {
	d := s.Began.Sub(at)
	if d < 0 {
		return span(-d) + " after it began"
	}
	return span(d) + " before it began"
}

func span(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	return brief.Amount("seconds", d.Round(time.Second).Seconds())
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// name names a resource where its kind is not said already.
func name(r ops.Resource) string {
	if r.Kind == ops.KindHost {
		return "host " + r.Name
	}
	return string(r.Kind) + " " + r.Name
}

func known(r ops.Resource, id string) string {
	if r.ID == "" {
		return id
	}
	return name(r)
}
