package cli

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"reeve/internal/term"
)

func (s *session) configVerb() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check a configuration, or show the one in effect",
		Example: "  reeve config check\n  reeve config show", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(s.configCheckVerb(), s.configShowVerb())
	return c
}

func (s *session) configCheckVerb() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration as a start would, without starting", Args: takes(0, 1, "one file"),
		Example: "  reeve config check\n  reeve config check /etc/reeve/reeve.yaml && systemctl restart reeve",
		RunE: func(c *cobra.Command, args []string) error {
			u := s.upOptions()
			if len(args) == 1 {
				u.ConfigFile = args[0]
			}
			file, err := s.program.CheckConfig(c.Context(), u)
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.Value(map[string]any{"ok": true, "file": file})
			}
			if file == "" {
				s.page.Line("there is no configuration file; the built-in defaults and the environment are good")
				return nil
			}
			s.page.Line("%s is good", term.Safe(file))
			return nil
		},
	}
}

func (s *session) configShowVerb() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the configuration that the server runs with, secrets masked", Example: "  reeve config show\n  reeve config show -o json", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var view struct {
				File     string         `json:"file"`
				Settings map[string]any `json:"settings"`
			}
			text, err := s.server.Fetch(c.Context(), "/api/v1/config", &view)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.page.Line("file: %s", term.Safe(cmp.Or(view.File, "none, the defaults and the environment")))
			s.page.Fields(flat("", view.Settings, nil))
			return nil
		},
	}
}

// flat lists the leaves of a tree of settings by their dotted keys.
func flat(at string, tree map[string]any, rows [][2]string) [][2]string {
	for _, k := range sortedKeys(tree) {
		switch v := tree[k].(type) {
		case map[string]any:
			rows = flat(at+k+".", v, rows)
		case []any:
			for i, x := range v {
				name := fmt.Sprintf("%s%s[%d]", at, k, i)
				if sub, ok := x.(map[string]any); ok {
					rows = flat(name+".", sub, rows)
					continue
				}
				rows = append(rows, [2]string{name, fmt.Sprint(x)})
			}
		case nil:
		default:
			rows = append(rows, [2]string{at + k, fmt.Sprint(v)})
		}
	}
	return rows
}
