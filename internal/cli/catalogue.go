package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/config"
	"reeve/internal/ops"
)

// A thing is something that this build can do, as the catalogues of the API
// describe it; each catalogue fills some of the fields.
type thing struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Doc         string   `json:"doc"`
	Kinds       []string `json:"kinds"`
	Permissions string   `json:"permissions"`
	Cost        string   `json:"cost"`
	EveryMS     int64    `json:"every_ms"`
	WindowMS    int64    `json:"window_ms"`
	HoldMS      int64    `json:"hold_ms"`
	ClearMS     int64    `json:"clear_ms"`
	Causes      []string `json:"causes"`
	Checks      []string `json:"checks"`
	Thresholds  []struct {
		Name    string  `json:"name"`
		Default float64 `json:"default"`
		Unit    string  `json:"unit"`
		Doc     string  `json:"doc"`
	} `json:"thresholds"`
	Metrics  json.RawMessage `json:"metrics"` // names, or with unit and doc
	Effect   string          `json:"effect"`
	Profiles []string        `json:"profiles"`
	Core     []string        `json:"core"`
	Settings fieldSet        `json:"settings"`
	Input    fieldSet        `json:"input"`
}

// A fieldSet is what is read of the schema of an object.
type fieldSet struct {
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// catalogue makes the verb of a catalogue of the server.
func (s *session) catalogue(name, short string, row func(thing) []cell, heads ...string) *cobra.Command {
	one := strings.TrimSuffix(name, "s")
	return &cobra.Command{
		Use: name + " [NAME]", Short: short, Example: fmt.Sprintf("  reeve %s\n  reeve %s NAME -o json", name, name), Args: takes(0, 1, "one name"),
		RunE: func(c *cobra.Command, args []string) error {
			var l list
			text, err := s.fetch(c.Context(), "/api/v1/"+name, &l)
			if err != nil || s.json() && len(args) == 0 {
				return s.documentOr(text, err)
			}
			all, err := read[thing](l)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				t := s.page.table(heads...)
				for _, x := range all {
					t.add(row(x)...)
				}
				t.print()
				return nil
			}
			i, err := named(all, one, args[0])
			if err != nil || s.json() {
				return s.itemOr(l, i, err)
			}
			return s.showThing(all[i])
		},
	}
}

func (s *session) itemOr(l list, i int, err error) error {
	if err != nil {
		return err
	}
	return s.page.document(l.Items[i])
}

// named answers the place of the thing with a name.
func named(all []thing, what, name string) (int, error) {
	var names []string
	for i, x := range all {
		if x.Name == name {
			return i, nil
		}
		names = append(names, x.Name)
	}
	hint := ""
	if near := config.Nearest(name, names); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return 0, answered(ops.Errorf(ops.NotFound, "this server has no %s %q%s", what, name, hint))
}

func (s *session) collectorsVerb() *cobra.Command {
	return s.catalogue("collectors", "List what can be collected, with its cost and what it needs", func(x thing) []cell {
		return []cell{of(x.Name), of(spanMS(x.EveryMS)), of(x.Cost), of(x.Doc)}
	}, "!NAME", ">EVERY", "!COST", "WHAT")
}

func (s *session) detectorsVerb() *cobra.Command {
	return s.catalogue("detectors", "List the conditions that are detected, with their thresholds", func(x thing) []cell {
		var limits []string
		for _, t := range x.Thresholds {
			limits = append(limits, t.Name+" "+number(t.Default))
		}
		return []cell{of(x.Name), of(strings.Join(x.Kinds, ", ")), of(spanMS(x.HoldMS)), of(spanMS(x.ClearMS)), of(strings.Join(limits, ", ")), of(x.Doc)}
	}, "!NAME", "KINDS", ">HOLD", ">CLEAR", "THRESHOLDS", "WHAT")
}

func (s *session) channelTypesVerb() *cobra.Command {
	return s.catalogue("channel-types", "List the types of channels, with their settings", func(x thing) []cell {
		return []cell{of(x.Name), of(strings.Join(x.Settings.Required, ", ")), of(x.Doc)}
	}, "!NAME", "NEEDS", "WHAT")
}

func (s *session) toolsVerb() *cobra.Command {
	return s.catalogue("tools", "List the tools that models may use, and who may call them", func(x thing) []cell {
		return []cell{of(x.Name), of(x.Effect), of(strings.Join(x.Profiles, ", ")), of(x.Doc)}
	}, "!NAME", "!EFFECT", "WHO", "WHAT")
}

func (s *session) showThing(x thing) error {
	p := s.page
	p.line("%s", p.paint(bold, safe(first(x.Title, x.Name))))
	p.paragraph("  ", x.Doc)
	p.line("")
	rows := [][2]string{{"name", x.Name}, {"kinds", strings.Join(x.Kinds, ", ")}, {"cost", x.Cost}, {"needs", x.Permissions}, {"metrics", metricNames(x.Metrics)},
		{"effect", x.Effect}, {"who", strings.Join(x.Profiles, ", ")}, {"from the first turn", strings.Join(x.Core, ", ")}}
	for _, r := range []struct {
		name string
		ms   int64
	}{{"every", x.EveryMS}, {"looks back", x.WindowMS}, {"opens after", x.HoldMS}, {"clears after", x.ClearMS}} {
		if r.ms > 0 {
			rows = append(rows, [2]string{r.name, spanMS(r.ms)})
		}
	}
	s.fields(rows)
	if len(x.Thresholds) > 0 {
		p.heading("Thresholds")
		t := p.table("!NAME", ">DEFAULT", "UNIT", "WHAT")
		for _, l := range x.Thresholds {
			t.add(of(l.Name), of(number(l.Default)), of(l.Unit), of(l.Doc))
		}
		t.print()
	}
	s.showFields("Settings", x.Settings)
	s.showFields("Arguments", x.Input)
	s.showStory(story{Causes: x.Causes, Checks: x.Checks})
	return nil
}

// metricNames reads the metrics of a detector, which are names, or of a
// collector, which are described.
func metricNames(text json.RawMessage) string {
	var names []string
	if json.Unmarshal(text, &names) == nil {
		return strings.Join(names, ", ")
	}
	var all []struct{ Name string }
	if json.Unmarshal(text, &all) != nil {
		return ""
	}
	names = names[:0]
	for _, m := range all {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

func (s *session) showFields(heading string, x fieldSet) {
	if len(x.Properties) == 0 {
		return
	}
	s.page.heading(heading)
	t := s.page.table("!NAME", "!NEEDED", "WHAT")
	for _, name := range sortedKeys(x.Properties) {
		var p struct {
			Description string `json:"description"`
			Enum        []any  `json:"enum"`
		}
		if err := json.Unmarshal(x.Properties[name], &p); err != nil {
			continue // A property that is not described still has its name in -o json.
		}
		needed := "no"
		if slices.Contains(x.Required, name) {
			needed = "yes"
		}
		if p.Description == "" && len(p.Enum) > 0 {
			p.Description = strings.Trim(fmt.Sprint(p.Enum), "[]")
		}
		t.add(of(name), of(needed), of(p.Description))
	}
	t.print()
}
