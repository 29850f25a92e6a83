package investigate

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// A Runbook is what is looked at, in order, when a condition is investigated
// without a model, and before one is asked: one file for each condition.
type Runbook struct {
	Condition string `yaml:"condition" json:"condition"`
	About     string `yaml:"about" json:"about"` // what it is after, in a sentence
	Steps     []Step `yaml:"steps" json:"steps"`
	// Fix is the change that usually helps once the cause is explained.
	Fix *Fix `yaml:"fix" json:"fix,omitempty"`
	// Version is a digest of the file.
	Version string `yaml:"-" json:"version"`
}

// A Step is one look: a call of a tool that only reads, and what its answer
// is judged by.
type Step struct {
	Tool  string         `yaml:"tool" json:"tool"`
	Why   string         `yaml:"why" json:"why"`
	Input map[string]any `yaml:"input" json:"input"` // may refer to {resource} {host} {parent} {condition} {since_minutes}
	Reads []Read         `yaml:"reads" json:"reads,omitempty"`
}

// A Read is one judgement with what it is about.
type Read struct {
	Judge  string `yaml:"judge" json:"judge"`
	Of     string `yaml:"of" json:"of,omitempty"` // resource, host, parent, children, containers, units, filesystems, disks, interfaces, checks
	Metric string `yaml:"metric" json:"metric,omitempty"`
	Name   string `yaml:"name" json:"name,omitempty"`   // of an attribute, or in words what a metric measures
	Event  string `yaml:"event" json:"event,omitempty"` // type of an event
	// Means says what values of an attribute mean; * is any other.
	Means map[string]string `yaml:"means" json:"means,omitempty"`
	Cause string            `yaml:"cause" json:"cause,omitempty"` // of a rise or an event
	// Within bounds a rise that is a cause: it began so many minutes before the
	// problem at most; 0 for any.
	Within     int64  `yaml:"within" json:"within_minutes,omitempty"`
	Confidence string `yaml:"confidence" json:"confidence,omitempty"`
}

// A Fix is a change to propose.
type Fix struct {
	Verb   string            `yaml:"verb" json:"verb"`
	Target string            `yaml:"target" json:"target"` // resource or host
	Params map[string]string `yaml:"params" json:"params,omitempty"`
	Reason string            `yaml:"reason" json:"reason"`
}

//go:embed runbooks/*.yaml
var runbookFiles embed.FS

// anyCondition names the runbook of conditions that have none of their own:
// what other programs report, and advice of models.
const anyCondition = "any"

// Runbooks answers every runbook of this build by its condition, with the one
// for all others under "any".
func Runbooks() (map[string]Runbook, error) {
	files, err := runbookFiles.ReadDir("runbooks")
	if err != nil {
		return nil, err
	}
	all := map[string]Runbook{}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), path.Ext(f.Name()))
		if all[name], err = readRunbook(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// runbookOf answers the runbook of a condition. They are read when they are
// needed: all of them at start cost a start more than the rest of it.
func runbookOf(condition string) (Runbook, error) {
	b, err := readRunbook(condition)
	if errors.Is(err, fs.ErrNotExist) {
		return readRunbook(anyCondition)
	}
	return b, err
}

func readRunbook(condition string) (Runbook, error) {
	text, err := runbookFiles.ReadFile("runbooks/" + condition + ".yaml")
	if err != nil {
		return Runbook{}, err
	}
	b, err := parseRunbook(text)
	if err == nil && b.Condition != condition {
		err = fmt.Errorf("it is of %s", b.Condition)
	}
	if err != nil {
		return Runbook{}, fmt.Errorf("runbook %s: %w", condition, err)
	}
	return b, nil
}

func parseRunbook(text []byte) (Runbook, error) {
	var b Runbook
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&b); err != nil {
		return b, err
	}
	b.Version = digest(text)
	if b.Condition == "" || b.About == "" || len(b.Steps) == 0 {
		return b, fmt.Errorf("condition, about and steps are needed")
	}
	for i, s := range b.Steps {
		if s.Tool == "" || s.Why == "" {
			return b, fmt.Errorf("step %d lacks tool or why", i+1)
		}
		if _, err := s.input(places{}); err != nil {
			return b, fmt.Errorf("step %d: %w", i+1, err)
		}
		for _, r := range s.Reads {
			if err := r.sound(); err != nil {
				return b, fmt.Errorf("step %d: %w", i+1, err)
			}
		}
	}
	if b.Fix != nil && (!slices.Contains(Verbs, b.Fix.Verb) || b.Fix.Reason == "" || b.Fix.Target != "resource" && b.Fix.Target != "host") {
		return b, fmt.Errorf("the fix needs a verb of the list, a target (resource or host) and a reason")
	}
	return b, nil
}

func (r Read) sound() error {
	j, ok := judges[r.Judge]
	if !ok {
		return fmt.Errorf("there is no judge %q; there are %s", r.Judge, strings.Join(slices.Sorted(maps.Keys(judges)), ", "))
	}
	has := map[string]bool{"metric": r.Metric != "", "name": r.Name != "", "event": r.Event != ""}
	for _, field := range j.takes {
		if !has[field] {
			return fmt.Errorf("judge %s needs %s", r.Judge, field)
		}
	}
	if _, ok := kindWords[r.Of]; !ok && !slices.Contains([]string{"", "resource", "host", "parent", "children"}, r.Of) {
		return fmt.Errorf("of %q is not known", r.Of)
	}
	if r.Confidence != "" && !slices.Contains(confidences, r.Confidence) {
		return fmt.Errorf("confidence %q is not low, medium or high", r.Confidence)
	}
	return nil
}

// Places are what the words in braces of a runbook stand for.
type places struct {
	resource, host, parent, condition string
	since                             time.Duration
}

func (s *Scene) places() places {
	p := places{resource: s.Resource.ID, host: s.Host.ID, parent: s.Parent.ID, condition: s.Root.Condition, since: s.Now.Sub(s.Began) + time.Hour}
	if p.parent == "" {
		p.parent = p.host
	}
	return p
}

// The bounds of {since_minutes}.
const (
	leastMinutes = 60
	mostMinutes  = 24 * 60
)

// input fills in the arguments of a step.
func (s Step) input(p places) (json.RawMessage, error) {
	filled := map[string]any{}
	for name, v := range s.Input {
		text, ok := v.(string)
		if !ok {
			filled[name] = v
			continue
		}
		if text == "{since_minutes}" {
			filled[name] = min(mostMinutes, max(leastMinutes, int64(p.since/time.Minute)))
			continue
		}
		text = strings.NewReplacer("{resource}", p.resource, "{host}", p.host, "{parent}", p.parent, "{condition}", p.condition).Replace(text)
		if strings.ContainsAny(text, "{}") {
			return nil, fmt.Errorf("%s: %q holds a word in braces that is not known", name, v)
		}
		filled[name] = text
	}
	return json.Marshal(filled)
}

// wants answers which readings the judges of a runbook need.
func (b Runbook) wants(s *Scene) []SeriesKey {
	var all []SeriesKey
	for _, step := range b.Steps {
		for _, r := range step.Reads {
			for _, t := range s.targets(r.Of) {
				if k := (SeriesKey{t.ID, r.Metric}); r.Metric != "" && !slices.Contains(all, k) {
					all = append(all, k)
				}
			}
		}
	}
	return all[:min(len(all), mostSeries)]
}

// mostSeries bounds what a runbook reads of the metrics: a host with a
// thousand containers is judged by the first of them.
const mostSeries = 400

// judge answers what a step shows.
func (s Step) judge(scene *Scene) []Sign {
	var all []Sign
	for _, r := range s.Reads {
		all = append(all, judges[r.Judge].judge(scene, r)...)
	}
	return all
}
