package agentcli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/agent"
	"reeve/internal/ops"
)

// upgradeVerbs are of reeve-agent alone: it replaces itself.
func (s *session) upgradeVerbs() []*cobra.Command {
	return []*cobra.Command{s.upgradeVerb(), s.rollbackVerb()}
}

func (s *session) upgradeVerb() *cobra.Command {
	var u agent.Upgrade
	var restart bool
	c := &cobra.Command{Use: "upgrade FILE", Short: "Put a signed newer program in the place of this one, on trial", Args: cobra.ExactArgs(1),
		Long: `Checks the signature of FILE (FILE.sig) against the release key of this host, lets it show that
it runs and reaches the server, keeps this program as reeve-agent.previous and puts FILE in its
place. Until it has reached the server once it is on trial: after three starts or five minutes
without, the one before is put back. Run it as root.`,
		Example: "  reeve-agent upgrade ./reeve-agent-linux-amd64 --restart",
		RunE: func(c *cobra.Command, args []string) error {
			o, err := s.options()
			if err != nil {
				return err
			}
			u.File, u.Signature = args[0], cmp.Or(u.Signature, args[0]+".sig")
			done, err := o.Upgrade(c.Context(), u)
			if err != nil {
				return err
			}
			if restart {
				if err := o.Restart(c.Context(), done); err != nil {
					return err
				}
			}
			if s.output == "json" {
				return s.document(done)
			}
			if restart {
				fmt.Fprintf(s.p.Out, "%s runs and has reached the server; %s is kept as %s.\n", done.To, done.From, done.Previous)
				return nil
			}
			fmt.Fprintf(s.p.Out, "%s is in place and on trial from its first start: restart the agent now, `systemctl restart reeve-agent reeve-agent-perform`.\n", done.To)
			return nil
		}}
	c.Flags().StringVar(&u.Signature, "signature", "", "file of the signature; default FILE.sig")
	c.Flags().BoolVar(&u.Downgrade, "allow-downgrade", false, "FILE may be older than this program")
	c.Flags().BoolVar(&u.Offline, "offline", false, "FILE need not reach the server before it is put in place")
	c.Flags().BoolVar(&restart, "restart", false, "restart the services, wait for the end of the trial, and take FILE back if it does not pass")
	return c
}

func (s *session) rollbackVerb() *cobra.Command {
	var needed bool
	c := &cobra.Command{Use: "rollback", Short: "Put the program before the last upgrade back", Args: cobra.NoArgs, Example: "  reeve-agent rollback",
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := s.options()
			if err != nil {
				return err
			}
			program, err := agent.Program()
			if err != nil {
				return err
			}
			program = agent.InPlace(program)
			if needed {
				s.rollBackIfNeeded(c.Context(), program, o.Data)
				return nil
			}
			r, err := agent.RollBack(program, "asked for", time.Now())
			if err != nil {
				return err
			}
			agent.RestartServices(c.Context())
			if s.output == "json" {
				return s.document(r)
			}
			fmt.Fprintf(s.p.Out, "The program before %s is back.\n", cmp.Or(r.From, "this one"))
			return nil
		}}
	c.Flags().BoolVar(&needed, "if-needed", false, "only when the last upgrade did not pass its trial; the service asks so before each start")
	return c
}

// rollBackIfNeeded never fails: what is told here must not keep the agent from
// being started.
func (s *session) rollBackIfNeeded(ctx context.Context, program, data string) {
	r, done, err := agent.RollBackIfNeeded(program, data, time.Now())
	if err != nil {
		fmt.Fprintf(s.p.Err, "reeve-agent: %s; the agent is started all the same\n", said(err))
	}
	if done {
		fmt.Fprintf(s.p.Err, "reeve-agent: %s was taken back, %s is in place again: %s\n", r.From, r.To, r.Why)
		agent.RestartPerform(ctx)
	}
}

// goOn runs the agent, and goes on as the program that was put back where the
// one that runs did not pass its trial.
func goOn(ctx context.Context, a *agent.Agent) error {
	err := a.Run(ctx)
	again, ok := errors.AsType[*agent.Again](err)
	if !ok {
		return err
	}
	a.Close()
	return ops.Because(ops.Unavailable, again.Exec(), "the program that was put back cannot be started")
}
