package watch

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

// A Rule sets a detector's thresholds and times for the resources it selects.
// Rules apply in order, the later one wins where both speak; a rule without
// selectors is the default for the condition.
type Rule struct {
	Condition string
	Kinds     []string
	Hosts     []string // names, * and ? match
	Names     []string // names, * and ? match
	Resources []string // IDs
	Labels    map[string]string
	Off       bool
	Limits    map[string]float64
	Hold      *time.Duration
	Clear     *time.Duration
}

// matches reports whether the rule selects a resource. What a rule does not
// name, it does not restrict.
func (r Rule) matches(x ops.Resource) bool {
	if len(r.Kinds) > 0 && !slices.Contains(r.Kinds, string(x.Kind)) {
		return false
	}
	if len(r.Resources) > 0 && !slices.Contains(r.Resources, x.ID) {
		return false
	}
	if !anyMatch(r.Hosts, x.HostName) || !anyMatch(r.Names, x.Name) {
		return false
	}
	for name, want := range r.Labels {
		if ok, err := path.Match(want, x.Label(name)); err != nil || !ok {
			return false
		}
	}
	return true
}

func anyMatch(patterns []string, text string) bool {
	if len(patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == text {
			return true
		}
		ok, err := path.Match(p, text)
		return err == nil && ok
	})
}

// settings are what the rules make of a definition for one resource.
type settings struct {
	def    detect.Definition
	limits map[string]float64
	off    bool
	rules  []int // which rules spoke, for the explanation
}

// plain answers the settings without any rule.
func plain(d detect.Definition) settings {
	limits := make(map[string]float64, len(d.Thresholds))
	for _, t := range d.Thresholds {
		limits[t.Name] = t.Default
	}
	return settings{def: d, limits: limits}
}

// resolve applies the rules to a definition for a resource.
func resolve(base settings, rules []Rule, r ops.Resource) settings {
	s := base
	for i, rule := range rules {
		if rule.Condition != s.def.Name || !rule.matches(r) {
			continue
		}
		if s.rules == nil {
			s.limits = maps.Clone(s.limits)
		}
		s.rules = append(s.rules, i)
		s.off = rule.Off
		maps.Copy(s.limits, rule.Limits)
		if rule.Hold != nil {
			s.def.Hold = *rule.Hold
		}
		if rule.Clear != nil {
			s.def.Clear = *rule.Clear
		}
	}
	return s
}

// Hold answers for how long a condition of a resource must be true before it
// is a finding, with the rules of the configuration.
func (w *Watch) Hold(d detect.Definition, r ops.Resource) time.Duration {
	return resolve(plain(d), w.rules, r).def.Hold
}

// CheckRules answers what is wrong with rules, by index.
func CheckRules(defs []detect.Definition, rules []Rule) map[int]string {
	wrong := map[int]string{}
	for i, r := range rules {
		at := slices.IndexFunc(defs, func(d detect.Definition) bool { return d.Name == r.Condition })
		if at < 0 {
			wrong[i] = "there is no condition " + r.Condition
			continue
		}
		for name := range r.Limits {
			if !slices.ContainsFunc(defs[at].Thresholds, func(t detect.Threshold) bool { return t.Name == name }) {
				wrong[i] = "the condition " + r.Condition + " has no threshold " + name
			}
		}
		if why := disordered(defs[at], r.Limits); why != "" {
			wrong[i] = why
		}
		for _, k := range r.Kinds {
			if !ops.ValidKind(ops.Kind(k)) {
				wrong[i] = "there is no kind " + k
			}
		}
	}
	return wrong
}

// disordered says that critical would come before warning, whichever way the
// condition counts.
func disordered(d detect.Definition, limits map[string]float64) string {
	value := plain(d).limits
	warning, ok := value["warning"]
	critical, both := value["critical"]
	if !ok || !both || warning == critical {
		return ""
	}
	rising := critical > warning
	maps.Copy(value, limits)
	if rising != (value["critical"] >= value["warning"]) && value["critical"] != value["warning"] {
		return fmt.Sprintf("critical (%g) would come before warning (%g)", value["critical"], value["warning"])
	}
	return ""
}
