package cli

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// hostWords offers the hosts.
func (s *session) hostWords(c *cobra.Command) []string {
	l, err := s.server.Listed(c.Context(), "/api/v1/hosts", nil, maxWords)
	if err != nil {
		return nil
	}
	hosts, err := client.Read[show.HostRow](l)
	if err != nil {
		return nil
	}
	var words []string
	for _, h := range hosts {
		words = append(words, h.Name+"\t"+h.Reachable)
	}
	return words
}

func (s *session) hostVerb() *cobra.Command {
	c := &cobra.Command{Use: "host", Short: "Look at a host, let one join, keep people from being told of it, or remove it",
		Example: "  reeve host show web1\n  reeve host add web1\n  reeve host maintenance web1 --until 2h --reason 'new disk'\n  reeve host remove web1", Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(s.hostShowVerb(), s.hostAddVerb(), s.hostRemoveVerb(), s.hostMaintenanceVerb(),
		s.hostDecision("revoke", "revoke", "End the trust in a host's certificate; its connection ends at once", "is revoked: `reeve host add` lets it join again"),
		s.hostDecision("accept", "accept", "Accept the next machine that comes with a host's key: it was replaced", "takes the next machine that comes with its key"),
		s.hostDecision("release", "release", "Say of a host that is held by the mass brake that it is down indeed", "is unreachable"))
	return c
}

func (s *session) hostShowVerb() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show one host: its agent, its clocks, its certificate, and what is on it in counts", Args: takes(1, 1, "a host"),
		Example: "  reeve host show web1\n  reeve host show web1 -o json", ValidArgsFunction: completes(s.hostWords),
		RunE: func(c *cobra.Command, args []string) error {
			var h show.HostAnswer
			text, err := s.server.Fetch(c.Context(), "/api/v1/hosts/"+url.PathEscape(args[0]), &h)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.Host(s.page, h, time.Now())
			return nil
		}}
}

func (s *session) hostAddVerb() *cobra.Command {
	var heartbeat, grace time.Duration
	var rate int64
	var address string
	c := &cobra.Command{Use: "add NAME", Short: "Print the line that lets a host join, once and within an hour",
		Long: "Prints one line to paste on the host as root. It carries a one-time token and the fingerprint by which the\n" +
			"agent knows this server. The host makes its own key; asking again for a known name lets that host join again.",
		Example: "  reeve host add web1\n  reeve host add boat --heartbeat 1m --grace 15m --rate 20000   # a slow, metered link\n  reeve host add boat --rate 0                                  # joins again, without its cap", Args: takes(1, 1, "a name"),
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"name": args[0]}
			for _, x := range []struct {
				flag, key string
				n         int64
				zero      bool
			}{{"heartbeat", "heartbeat_ms", heartbeat.Milliseconds(), heartbeat == 0}, {"grace", "grace_ms", grace.Milliseconds(), grace == 0}, {"rate", "bytes_per_s", rate, rate == 0}} {
				switch f := c.Flags().Lookup(x.flag); {
				case !f.Changed:
				case x.zero:
					body[x.key] = ops.Unset
				case x.n <= 0:
					return ops.Errorf(ops.Invalid, "--%s %s is too small", x.flag, f.Value)
				default:
					body[x.key] = x.n
				}
			}
			if address != "" {
				body["address"] = address
			}
			var j struct {
				Command    string         `json:"command"`
				Invitation ops.Invitation `json:"invitation"`
			}
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/hosts", body, &j)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.page.Line("Paste this on %s, as root; it counts once, until %s:\n\n  %s\n", term.Safe(j.Invitation.Name), term.Stamp(j.Invitation.ExpiresAt), term.Safe(j.Command))
			s.page.Line("Then start the agent: `systemctl enable --now reeve-agent`, or `reeve-agent run`.")
			return nil
		}}
	f := c.Flags()
	f.DurationVar(&heartbeat, "heartbeat", 0, "its period of heartbeats, up to 1h for slow or metered links; 0 for the default of 15s; left out it stays as it was")
	f.DurationVar(&grace, "grace", 0, "silence after which it is unreachable, at most 168h; 0 for the default, 90s or six heartbeats; left out it stays as it was")
	f.Int64Var(&rate, "rate", 0, "most bytes a second that its agent sends; 0 for no cap; left out it stays as it was")
	f.StringVar(&address, "address", "", "where the host reaches this server, if not where others do: reeve://HOST:PORT or https://HOST")
	return c
}

func (s *session) hostRemoveVerb() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "remove NAME", Aliases: []string{"rm"}, Short: "Remove a host with all that is on it, or withdraw an invitation", Args: takes(1, 1, "a host"),
		Example: "  reeve host remove web1 --reason 'sold'", ValidArgsFunction: completes(s.hostWords),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := s.server.ExactID(c.Context(), "host", "/api/v1/hosts", args[0])
			if err != nil {
				return err
			}
			path := "/api/v1/hosts/" + url.PathEscape(id)
			if reason != "" {
				path += "?" + url.Values{"reason": {reason}}.Encode()
			}
			if _, err := s.server.Call(c.Context(), http.MethodDelete, path, nil, nil); err != nil {
				return err
			}
			return s.done(map[string]any{"removed": id}, "%s is removed", term.Safe(args[0]))
		}}
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	return c
}

func (s *session) hostMaintenanceVerb() *cobra.Command {
	var reason, until string
	var end bool
	c := &cobra.Command{Use: "maintenance NAME", Short: "Tell nobody of a host and what is on it until a time, or end that", Args: takes(1, 1, "a host"),
		Example: "  reeve host maintenance web1 --until 2h --reason 'new disk'\n  reeve host maintenance web1 --end", ValidArgsFunction: completes(s.hostWords),
		RunE: func(c *cobra.Command, args []string) error {
			path, body := "/maintenance", map[string]any{}
			switch {
			case end && until != "":
				return usageError{"say either --until, when it ends, or --end, to end it now", c.CommandPath()}
			case end:
				path += "/end"
			case until == "":
				return usageError{"say with --until when it ends (2h, 3d, 2026-01-31T08:30:00Z)", c.CommandPath()}
			default:
				at, err := parseUntil(until, time.Now())
				if err != nil {
					return err
				}
				body["until"] = at.UTC()
			}
			return s.decideHost(c, args[0], path, body, reason, "")
		}}
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	c.Flags().StringVar(&until, "until", "", "when it ends, within a year: a span like 2h or a time like 2026-01-31T08:30:00Z")
	c.Flags().BoolVar(&end, "end", false, "end it now")
	return c
}

// hostDecision makes a verb that takes a host and a reason.
func (s *session) hostDecision(use, path, short, now string) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: use + " NAME", Short: short, Example: "  reeve host " + use + " web1", Args: takes(1, 1, "a host"), ValidArgsFunction: completes(s.hostWords),
		RunE: func(c *cobra.Command, args []string) error {
			return s.decideHost(c, args[0], "/"+path, map[string]any{}, reason, now)
		}}
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	return c
}

func (s *session) decideHost(c *cobra.Command, typed, path string, body map[string]any, reason, now string) error {
	if reason != "" {
		body["reason"] = reason
	}
	var h ops.Host
	text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/hosts/"+url.PathEscape(typed)+path, body, &h)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	if now == "" {
		now = "is in " + string(h.State)
		if h.State != ops.HostMaintenance {
			now = "is " + string(h.State)
		}
	}
	s.page.Line("%s %s", term.Safe(h.Name), now)
	return nil
}

func (s *session) caVerb() *cobra.Command {
	c := &cobra.Command{Use: "ca", Short: "Show the authority between this server and its agents, or replace it", Example: "  reeve ca\n  reeve ca rotate\n  reeve ca rotate --finish", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var st struct {
				Authority show.Authority `json:"authority"`
			}
			text, err := s.server.Fetch(c.Context(), "/api/v1/fleet", &st)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.AgentAuthority(s.page, st.Authority)
			return nil
		}}
	var finish, force bool
	var reason string
	rotate := &cobra.Command{Use: "rotate", Short: "Begin to replace the authority: agents learn to trust the next one; then finish", Args: takes(0, 0, ""),
		Long: "Two steps, so that no host loses its way back. `reeve ca rotate` makes the next authority and tells every agent\n" +
			"to trust it. When `reeve ca` shows that no host is waiting, `reeve ca rotate --finish` lets it sign from then on;\n" +
			"the one before counts until the last certificates that it signed have ended.",
		Example: "  reeve ca rotate --reason 'yearly'\n  reeve ca rotate --finish",
		RunE: func(c *cobra.Command, _ []string) error {
			body := map[string]any{"finish": finish, "force": force}
			if reason != "" {
				body["reason"] = reason
			}
			var a show.Authority
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/fleet/rotate", body, &a)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.AgentAuthority(s.page, a)
			return nil
		}}
	rotate.Flags().BoolVar(&finish, "finish", false, "the next authority signs from now on")
	rotate.Flags().BoolVar(&force, "force", false, "even when hosts do not trust it yet, or have not renewed their certificate since the rotation before: those must join again")
	rotate.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	c.AddCommand(rotate)
	return c
}
