package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// catalogue makes the verb of a catalogue of the server.
func (s *session) catalogue(name, short string, row func(show.Thing) []term.Cell, heads ...string) *cobra.Command {
	one := strings.TrimSuffix(name, "s")
	return &cobra.Command{
		Use: name + " [NAME]", Short: short, Example: fmt.Sprintf("  reeve %s\n  reeve %s NAME -o json", name, name), Args: takes(0, 1, "one name"),
		RunE: func(c *cobra.Command, args []string) error {
			var l client.List
			text, err := s.server.Fetch(c.Context(), "/api/v1/"+name, &l)
			if err != nil || s.json() && len(args) == 0 {
				return s.documentOr(text, err)
			}
			all, err := client.Read[show.Thing](l)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				t := s.page.Table(heads...)
				for _, x := range all {
					t.Add(row(x)...)
				}
				t.Print()
				return nil
			}
			i, err := named(all, one, args[0])
			if err != nil || s.json() {
				return s.itemOr(l, i, err)
			}
			show.Manual(s.page, all[i])
			return nil
		},
	}
}

func (s *session) itemOr(l client.List, i int, err error) error {
	if err != nil {
		return err
	}
	return s.page.Document(l.Items[i])
}

// named answers the place of the thing with a name.
func named(all []show.Thing, what, name string) (int, error) {
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
	return s.catalogue("collectors", "List what can be collected, with its cost and what it needs", func(x show.Thing) []term.Cell {
		return []term.Cell{term.Of(x.Name), term.Of(term.SpanMS(x.EveryMS)), term.Of(x.Cost), term.Of(x.Doc)}
	}, "!NAME", ">EVERY", "!COST", "WHAT")
}

func (s *session) detectorsVerb() *cobra.Command {
	return s.catalogue("detectors", "List the conditions that are detected, with their thresholds", func(x show.Thing) []term.Cell {
		var limits []string
		for _, t := range x.Thresholds {
			limits = append(limits, t.Name+" "+term.Number(t.Default))
		}
		return []term.Cell{term.Of(x.Name), term.Of(strings.Join(x.Kinds, ", ")), term.Of(term.SpanMS(x.HoldMS)), term.Of(term.SpanMS(x.ClearMS)), term.Of(strings.Join(limits, ", ")), term.Of(x.Doc)}
	}, "!NAME", "KINDS", ">HOLD", ">CLEAR", "THRESHOLDS", "WHAT")
}

func (s *session) channelTypesVerb() *cobra.Command {
	return s.catalogue("channel-types", "List the types of channels, with their settings", func(x show.Thing) []term.Cell {
		return []term.Cell{term.Of(x.Name), term.Of(strings.Join(x.Settings.Required, ", ")), term.Of(x.Doc)}
	}, "!NAME", "NEEDS", "WHAT")
}

func (s *session) toolsVerb() *cobra.Command {
	return s.catalogue("tools", "List the tools that models may use, and who may call them", func(x show.Thing) []term.Cell {
		return []term.Cell{term.Of(x.Name), term.Of(x.Effect), term.Of(strings.Join(x.Profiles, ", ")), term.Of(x.Doc)}
	}, "!NAME", "!EFFECT", "WHO", "WHAT")
}
