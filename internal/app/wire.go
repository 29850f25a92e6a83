package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/config"
	"reeve/internal/detect"
	"reeve/internal/gather"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/watch"
)

// rulesOf makes the rules of package watch of the configuration.
func rulesOf(c config.Config, defs []detect.Definition) ([]watch.Rule, error) {
	var rules []watch.Rule
	var keys []string // of the rules
	for _, condition := range slices.Sorted(maps.Keys(c.Detectors)) {
		d := c.Detectors[condition]
		key := "detectors." + condition
		keys = append(keys, key)
		rules = append(rules, watch.Rule{Condition: condition, Off: off(d.Enabled), Limits: d.Thresholds, Hold: span(d.Hold), Clear: span(d.Clear)})
		for i, w := range d.Where {
			keys = append(keys, fmt.Sprintf("%s.where[%d]", key, i))
			rules = append(rules, watch.Rule{Condition: condition, Kinds: w.Kinds, Hosts: w.Hosts, Names: w.Names, Resources: w.Resources,
				Labels: w.Labels, Off: off(w.Enabled), Limits: w.Thresholds, Hold: span(w.Hold), Clear: span(w.Clear)})
		}
	}
	wrong := watch.CheckRules(defs, rules)
	for _, i := range slices.Sorted(maps.Keys(wrong)) {
		var names []string
		for _, d := range defs {
			names = append(names, d.Name)
		}
		hint := ""
		if near := config.Nearest(rules[i].Condition, names); near != "" && near != rules[i].Condition {
			hint = "; did you mean " + near + "?"
		}
		return nil, c.Because(keys[i]+thresholdIn(wrong[i], rules[i].Limits), ops.Errorf(ops.Invalid, "detectors.%s: %s%s", rules[i].Condition, wrong[i], hint))
	}
	return rules, nil
}

// thresholdIn answers the key of the threshold of which a text tells, "" for
// none.
func thresholdIn(text string, limits map[string]float64) string {
	for word := range strings.FieldsSeq(text) {
		if name := strings.Trim(word, ".,;:"); name != "" {
			if _, ok := limits[name]; ok {
				return ".thresholds." + name
			}
		}
	}
	return ""
}

func off(enabled *bool) bool { return enabled != nil && !*enabled }

func span(d *config.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	v := time.Duration(*d)
	return &v
}

// settingsOf makes the settings of collectors of the configuration.
func settingsOf(c config.Config, defs []collect.Definition) (map[string]gather.Setting, error) {
	settings := map[string]gather.Setting{}
	for _, name := range slices.Sorted(maps.Keys(c.Collectors)) {
		if !slices.ContainsFunc(defs, func(d collect.Definition) bool { return d.Name == name }) {
			var names []string
			for _, d := range defs {
				names = append(names, d.Name)
			}
			hint := "; `reeve collectors` lists them"
			if near := config.Nearest(name, names); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return nil, c.Because("collectors."+name, ops.Errorf(ops.Invalid, "collectors.%s: there is no such collector%s", name, hint))
		}
		set := gather.Setting{Options: map[string]string{}}
		for key, value := range c.Collectors[name] {
			if err := setCollector(&set, key, value); err != nil {
				return nil, c.Because("collectors."+name+"."+key, ops.Errorf(ops.Invalid, "collectors.%s.%s: %v", name, key, err))
			}
		}
		settings[name] = set
	}
	return settings, nil
}

func setCollector(set *gather.Setting, key string, value any) (err error) {
	switch key {
	case "every":
		set.Every, err = config.ParseDuration(fmt.Sprint(value))
	case "enabled":
		on, ok := value.(bool)
		if !ok {
			return fmt.Errorf("write true or false, not %v", value)
		}
		set.Enabled = &on
	default:
		if list, ok := value.([]any); ok {
			for i, x := range list {
				if i > 0 {
					set.Options[key] += ","
				}
				set.Options[key] += fmt.Sprint(x)
			}
			return nil
		}
		set.Options[key] = fmt.Sprint(value)
	}
	return err
}

// A checkList is the checks that this machine's agent runs, as last read from
// the store.
type checkList struct {
	mu  sync.Mutex
	all []collect.Check
}

func (l *checkList) get() []collect.Check {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// readChecks is the pass that follows the store.
func (s *Server) readChecks(ctx context.Context) error {
	rows, err := s.store.Checks(ctx)
	if err != nil {
		return err
	}
	all := make([]collect.Check, 0, len(rows))
	for _, row := range rows {
		var c collect.Check
		if err := json.Unmarshal(row.Def, &c); err != nil {
			return fmt.Errorf("read check %s: %w", row.Name, err)
		}
		c.Name, c.LastBeat = row.Name, row.LastBeat
		all = append(all, c)
	}
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	s.checks.all = all
	return nil
}

// declareChecks brings the stored checks in line with the configuration:
// those of the page stay.
func (s *Server) declareChecks(ctx context.Context) error {
	if err := checkErrors(s.config); err != nil {
		return err
	}
	stored, err := s.store.Checks(ctx)
	if err != nil {
		return err
	}
	byName := map[string]store.CheckDef{}
	for _, c := range stored {
		byName[c.Name] = c
	}
	why := store.Why{Actor: "app", Reason: "the configuration"}
	return s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		for _, c := range s.config.Checks {
			old, known := byName[c.Name]
			delete(byName, c.Name)
			def, err := json.Marshal(c)
			if err != nil {
				return err
			}
			if known && old.Origin == "config" && string(old.Def) == string(def) {
				continue
			}
			row := store.CheckDef{Name: c.Name, Def: def, Origin: "config", BeatToken: old.BeatToken}
			if err := declareCheck(ctx, tx, c, row, why); err != nil {
				return err
			}
		}
		for _, c := range byName {
			if c.Origin != "config" {
				continue
			}
			if err := tx.DeleteCheck(ctx, c.Name, why); err != nil {
				return err
			}
		}
		return nil
	})
}

func declareCheck(ctx context.Context, tx *store.Tx, c collect.Check, row store.CheckDef, why store.Why) error {
	if c.Type == "heartbeat" && row.BeatToken == "" {
		row.BeatToken = rand.Text()
	}
	return tx.SaveCheck(ctx, row, why)
}
