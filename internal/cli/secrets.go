package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
	"reeve/internal/term"
)

func (s *session) secretsVerb() *cobra.Command {
	return &cobra.Command{
		Use: "secrets", Short: "List the sealed settings: their names, never their values", Example: "  reeve secrets", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var l struct{ Items []ops.SealedSetting }
			text, err := s.server.Fetch(c.Context(), "/api/v1/secrets", &l)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			t := s.page.Table("!NAME", "SEALED", "BY")
			for _, x := range l.Items {
				t.Add(term.Of(x.Name), term.Of(term.Stamp(x.At)), term.Of(x.By))
			}
			t.Print()
			return nil
		},
	}
}

func (s *session) secretVerb() *cobra.Command {
	c := &cobra.Command{Use: "secret", Short: "Seal a setting, or delete one", Example: "  reeve secret set openai    # asks for the value\n  reeve secret delete openai", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(&cobra.Command{
		Use: "set NAME", Short: "Seal a value that the configuration names as sealed:NAME; it is asked for, or read from standard input",
		Example: "  reeve secret set openai\n  reeve secret set openai < openai.key",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 { // It may be the value: it is not printed.
				return usageError{"`reeve secret set` takes one name; the value comes from standard input, because others see arguments", c.CommandPath()}
			}
			return takes(1, 1, "a name")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			value, err := s.secret("Value of "+term.Safe(args[0])+": ", true)
			if err != nil {
				return err
			}
			var x ops.SealedSetting
			text, err := s.server.Call(c.Context(), http.MethodPut, "/api/v1/secrets/"+url.PathEscape(args[0]), map[string]string{"value": value}, &x)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			return s.done(nil, "%s is sealed; %s", term.Safe(x.Name), term.Safe(x.Note))
		},
	}, &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm", "remove"}, Short: "Delete a sealed setting", Example: "  reeve secret delete openai", Args: takes(1, 1, "a name"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := s.server.Call(c.Context(), http.MethodDelete, "/api/v1/secrets/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return s.done(map[string]any{"name": args[0], "deleted": true}, "the sealed setting %s is deleted", term.Safe(args[0]))
		},
	})
	return c
}
