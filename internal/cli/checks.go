package cli

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/show"
	"reeve/internal/term"
)

type checkRow struct {
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	Target     string    `json:"target"`
	EveryMS    int64     `json:"every_ms"`
	GraceMS    int64     `json:"grace_ms"`
	TimeoutMS  int64     `json:"timeout_ms"`
	FromConfig bool      `json:"from_config"`
	BeatURL    string    `json:"heartbeat_url"`
	LastBeat   time.Time `json:"last_beat_at"`
	ResourceID string    `json:"resource_id"`
	Up         *bool     `json:"up"`
	Err        string    `json:"error"`
}

// state answers the state in a word, and how it looks.
func (c checkRow) state() (text string, look term.Style) {
	switch {
	case c.Up == nil:
		return "unknown", term.StateStyle("unknown")
	case *c.Up:
		return "up", term.Green
	}
	return "down", term.Red
}

func (s *session) checksVerb() *cobra.Command {
	return &cobra.Command{
		Use: "checks [NAME]", Short: "List the probes and heartbeats, or show one", Example: "  reeve checks\n  reeve checks shop", Args: takes(0, 1, "the name of a check"),
		RunE: func(c *cobra.Command, args []string) error {
			var l client.List
			text, err := s.server.Fetch(c.Context(), "/api/v1/checks", &l)
			if err != nil || s.json() && len(args) == 0 {
				return s.documentOr(text, err)
			}
			all, err := client.Read[checkRow](l)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return s.oneCheck(c.Context(), l, all, args[0])
			}
			if len(all) == 0 {
				s.page.Line("no checks; declare one: `reeve check add shop http https://shop.example.org`")
				return nil
			}
			t := s.page.Table("NAME", "!TYPE", "TARGET", ">EVERY", "!STATE", "ERROR")
			for _, x := range all {
				t.Add(term.Of(x.Name), term.Of(x.Type), term.Of(x.Target), term.Of(term.SpanMS(x.EveryMS)), term.Painted(x.state()), term.Of(x.Err))
			}
			t.Print()
			return nil
		},
	}
}

func (s *session) oneCheck(_ context.Context, l client.List, all []checkRow, name string) error {
	var things []show.Thing
	for _, x := range all {
		things = append(things, show.Thing{Name: x.Name})
	}
	i, err := named(things, "check", name)
	if err != nil || s.json() {
		return s.itemOr(l, i, err)
	}
	s.showCheck(all[i])
	return nil
}

func (s *session) showCheck(x checkRow) {
	origin := "the page or the command line"
	if x.FromConfig {
		origin = "the configuration"
	}
	state, _ := x.state()
	s.page.Fields([][2]string{{"name", x.Name}, {"type", x.Type}, {"target", x.Target}, {"state", state}, {"error", x.Err}, {"every", term.SpanMS(x.EveryMS)},
		{"declared in", origin}, {"call when done", x.BeatURL}, {"last heartbeat", term.Stamp(x.LastBeat)}, {"resource", x.ResourceID}})
}

func (s *session) checkVerb() *cobra.Command {
	c := &cobra.Command{Use: "check", Short: "Declare or withdraw a probe or a heartbeat", Example: "  reeve check add shop http https://shop.example.org\n  reeve check remove shop",
		Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(s.checkAddVerb(), s.checkRemoveVerb())
	return c
}

// checkTypes are what can be probed.
var checkTypes = []string{"http", "tcp", "icmp", "dns", "tls", "heartbeat"}

func (s *session) checkAddVerb() *cobra.Command {
	var every, timeout, grace, contains, method, server string
	var status []int
	var expect, headers, labels []string
	var insecure bool
	c := &cobra.Command{
		Use: "add NAME TYPE [TARGET]", Short: "Declare a check: http, tcp, icmp, dns, tls or heartbeat", Args: takes(2, 3, "a name, a type and what to probe"),
		Example: "  reeve check add shop http https://shop.example.org --contains Welcome\n  reeve check add mail tls mail.example.org:993 --every 10m\n  reeve check add nightly-backup heartbeat --every 24h --grace 1h",
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"name": args[0], "type": args[1]}
			if len(args) == 3 {
				body["target"] = args[2]
			}
			if err := putSpans(body, map[string]string{"every_ms": every, "timeout_ms": timeout, "grace_ms": grace}); err != nil {
				return err
			}
			for name, v := range map[string]string{"contains": contains, "method": method, "server": server} {
				if v != "" {
					body[name] = v
				}
			}
			if len(status) > 0 {
				body["status"] = status
			}
			if len(expect) > 0 {
				body["expect"] = expect
			}
			if insecure {
				body["insecure"] = true
			}
			if err := putPairs(body, map[string][]string{"headers": headers, "labels": labels}); err != nil {
				return err
			}
			return s.addCheck(c.Context(), body)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return checkTypes, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	f := c.Flags()
	f.StringVar(&every, "every", "", "how often it is probed, or how often the heartbeat is expected; default 1m, heartbeat 1h")
	f.StringVar(&timeout, "timeout", "", "of one probe; default 10s")
	f.StringVar(&grace, "grace", "", "heartbeat: how late it may be; default 5m")
	f.StringVar(&contains, "contains", "", "http: text that the body must contain")
	f.StringVar(&method, "method", "", "http: GET or HEAD")
	f.IntSliceVar(&status, "status", nil, "http: accepted status codes; default 200 to 399")
	f.StringArrayVar(&headers, "header", nil, "http: NAME=VALUE to send; repeat it for several")
	f.BoolVar(&insecure, "insecure", false, "accept any TLS certificate")
	f.StringVar(&server, "server", "", "dns: server to ask, host:port")
	f.StringSliceVar(&expect, "expect", nil, "dns: answers, all of which must be there")
	f.StringArrayVar(&labels, "label", nil, "NAME=VALUE; repeat it for several")
	return c
}

func (s *session) addCheck(ctx context.Context, body map[string]any) error {
	var x checkRow
	text, err := s.server.Call(ctx, http.MethodPost, "/api/v1/checks", body, &x)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	s.page.Line("the check %s is declared", term.Safe(x.Name))
	if x.BeatURL != "" {
		s.page.Line("let the job call this when it is done:\n  curl -fsS %s", term.Safe(x.BeatURL))
	}
	return nil
}

func (s *session) checkRemoveVerb() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Withdraw a check", Example: "  reeve check remove shop", Args: takes(1, 1, "the name of a check"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := s.server.Call(c.Context(), http.MethodDelete, "/api/v1/checks/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return s.done(map[string]any{"check": args[0], "removed": true}, "the check %s is withdrawn", term.Safe(args[0]))
		},
	}
}

// done says that something was done, as JSON where that is asked for.
func (s *session) done(v map[string]any, format string, args ...any) error {
	if s.json() {
		return s.page.Value(v)
	}
	s.page.Line(format, args...)
	return nil
}
