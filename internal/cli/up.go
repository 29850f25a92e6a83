package cli

import (
	"github.com/spf13/cobra"

	"reeve/internal/agentcli"
)

// upFlags are the flags of `reeve up` with the settings that they are.
var upFlags = []struct{ flag, key, doc string }{
	{"listen", "listen", "address of the page and the API; default 127.0.0.1:7433"},
	{"listen-tls", "listen_tls", "address for the network, with TLS: agents of other machines, and browsers"},
	{"database", "database", "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME; default a file in the data folder"},
	{"public-url", "public_url", "where people reach the page; goes into messages"},
	{"deadman", "deadman", "address of a dead-man service to ask for every minute while Reeve lives"},
	{"log-level", "log_level", "debug, info, warn or error; default info"},
}

func (s *session) upVerb() *cobra.Command {
	return s.serving(&cobra.Command{
		Use: "up", Short: "Watch this machine and serve the page, until it is interrupted",
		Long: `Starts the server, the page and an agent for this machine in one process and
prints where the page is. Nothing needs to be configured. Settings are read from
reeve.yaml, then from REEVE_* of the environment, then from these flags.`,
		Example: "  reeve up\n  reeve up --data /srv/reeve --listen 127.0.0.1:8000\n  reeve up --listen-tls :7434 --public-url https://reeve.example.org:7434",
	}, false)
}

func (s *session) serverVerb() *cobra.Command {
	return s.serving(&cobra.Command{
		Use: "server", Short: "Serve agents and the page without watching this machine, until it is interrupted",
		Long: `Starts the server and the page without an agent for this machine. Several servers
may share one PostgreSQL database and one external metrics store (metrics.url): any
of them takes any agent, and one of them is on duty to judge, tell and patrol.`,
		Example: "  reeve server --listen-tls :7434\n  reeve server --database postgres://reeve@db/reeve --listen-tls :7434",
	}, true)
}

// serving makes a verb that runs a server.
func (s *session) serving(c *cobra.Command, alone bool) *cobra.Command {
	noAgent := alone
	values := make([]string, len(upFlags))
	c.Args = takes(0, 0, "")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if s.json() {
			return usageError{"`" + c.CommandPath() + "` runs until it is stopped and has no -o json; `reeve status -o json` answers how it is doing", c.CommandPath()}
		}
		u := s.upOptions()
		for i, f := range upFlags {
			if c.Flags().Changed(f.flag) {
				u.Flags[f.key] = values[i]
			}
		}
		if noAgent {
			u.Flags["agent.enabled"] = "false"
		}
		return s.program.Up(c.Context(), u)
	}
	for i, f := range upFlags {
		c.Flags().StringVar(&values[i], f.flag, "", f.doc)
	}
	if !alone {
		c.Flags().BoolVar(&noAgent, "no-agent", false, "do not watch this machine")
	}
	return c
}

// upOptions answers what a server here would be started with.
func (s *session) upOptions() UpOptions {
	u := UpOptions{ConfigFile: s.at.ConfigFile, Flags: map[string]string{}, Env: s.program.Env, Out: s.program.Out, Err: s.program.Err}
	if s.at.Data != "" {
		u.Flags["data"] = s.at.Data
	}
	return u
}

// agentVerb is the agent of this machine for a server elsewhere: the same code
// as reeve-agent.
func (s *session) agentVerb() *cobra.Command {
	return agentcli.Command(agentcli.Program{Version: s.program.Version, Out: s.program.Out, Err: s.program.Err, Env: s.program.Env}, "agent")
}
