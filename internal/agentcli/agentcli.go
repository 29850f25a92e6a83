// Package agentcli is the command line of the agent: the whole one of
// reeve-agent, and what is below `reeve agent` in the big program.
package agentcli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/agent"
	"reeve/internal/gather"
	"reeve/internal/glyph"
	"reeve/internal/ops"
)

// A Program is the process as the command line sees it.
type Program struct {
	Version  string
	Out, Err io.Writer
	Env      []string
}

// The exit codes, as those of reeve.
const (
	exitDone        = 0
	exitFailed      = 1
	exitWrongUse    = 2
	exitRefused     = 3
	exitUnreachable = 4
)

// DataFolder is where an agent keeps its identity and what waits.
const DataFolder = "/var/lib/reeve-agent"

// performFolder is where the part that performs keeps its receipts, beside
// DataFolder and of root alone.
const performFolder = "/var/lib/reeve-agent-perform"

// ownName is the agent's own program; in reeve it is a part of another.
const ownName = "reeve-agent"

// socketUsage has no backquotes: pflag takes what is in them for the name of
// the value.
const socketUsage = "where the part that performs (reeve-agent perform) listens"

// A session is one run of a command.
type session struct {
	p      Program
	data   string
	output string
	roots  gather.Roots
	labels []string
	spool  int64
	alarm  string
	after  time.Duration
	level  string
	socket string
	here   bool
	etc    string
	state  string
	live   bool
	trial  time.Duration
	offset time.Duration
}

// Run runs one command of reeve-agent and answers its exit code.
func Run(ctx context.Context, p Program, args []string) int {
	root := Command(p, ownName)
	root.SetArgs(args)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SilenceErrors, root.SilenceUsage = true, true
	c, err := root.ExecuteContextC(ctx)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitDone
	}
	fmt.Fprintf(p.Err, "reeve-agent: %s\n", said(err))
	if unclear(err) {
		fmt.Fprintf(p.Err, "See `%s --help`.\n", c.CommandPath())
	}
	return exitCode(err)
}

// said answers an error in words for people: without the protocol's own.
func said(err error) string {
	if message, _ := ops.Shown(err); message != "" {
		return glyph.Harmless(message)
	}
	return glyph.Harmless(err.Error())
}

// unclear says whether an error is about how the command line is written, which
// only its text tells.
func unclear(err error) bool {
	if _, ours := errors.AsType[*ops.Error](err); ours {
		return false
	}
	return strings.HasPrefix(err.Error(), "unknown ") || strings.Contains(err.Error(), "arg(s)") || strings.Contains(err.Error(), "flag")
}

func exitCode(err error) int {
	if unclear(err) {
		return exitWrongUse
	}
	e, ok := errors.AsType[*ops.Error](err)
	if !ok {
		return exitFailed
	}
	switch e.Kind {
	case ops.Invalid:
		return exitWrongUse
	case ops.Forbidden:
		return exitRefused
	case ops.Unavailable:
		return exitUnreachable
	}
	return exitFailed
}

// Command answers the commands below a name.
func Command(p Program, name string) *cobra.Command {
	s := &session{p: p}
	called := name
	if name != ownName {
		called = "reeve " + name
	}
	root := &cobra.Command{Use: name, Short: "Watch this host for a Reeve server on another machine", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		Long: `Watches this host and reports to a Reeve server. On the server, ` + "`reeve host add NAME`" + `
prints the line to paste here once; then ` + "`" + called + ` run` + "`" + ` does the rest, best as a service.`,
		Example: "  " + called + " join reeve://10.0.0.2:7434 --token rvj_... --authority sha256:...\n  " + called + " run\n  " + called + " check"}
	f := root.PersistentFlags()
	f.StringVar(&s.data, "data", DataFolder, "folder of its identity and of what waits for the server")
	f.StringVar(&s.etc, "etc", "", "folder of what root lets it believe: who approves changes, whose releases are good; default "+agent.EtcFolder+", or the folder of --data if that is set")
	f.StringVarP(&s.output, "output", "o", "table", "table, or json for one document with stable keys")
	f.StringVar(&s.roots.Root, "root", "", "root of the file system; another one than / is a recorded tree")
	f.BoolVar(&s.live, "live", false, "--root is this machine's own, mounted elsewhere: the agent is in a container")
	f.StringVar(&s.roots.Proc, "proc", "", "root of proc; default /proc")
	f.StringVar(&s.roots.Sys, "sys", "", "root of sys; default /sys")
	f.StringSliceVar(&s.roots.DockerSockets, "docker-socket", nil, "socket of Docker; default the usual places")
	f.StringSliceVar(&s.roots.PodmanSockets, "podman-socket", nil, "socket of Podman; default the usual places")
	root.AddCommand(s.joinVerb(), s.runVerb(), s.performVerb(), s.checkVerb(), s.forgetVerb(), s.versionVerb())
	if name == ownName {
		root.AddCommand(s.upgradeVerbs()...)
	}
	return root
}

func (s *session) options() (agent.Options, error) {
	if s.output != "table" && s.output != "json" {
		return agent.Options{}, ops.Errorf(ops.Invalid, "the output %q is not known; write -o table or -o json", s.output)
	}
	o := agent.Options{Data: s.data, Roots: s.roots, Version: s.p.Version, Spool: s.spool, Alarm: s.alarm, AlarmAfter: s.after,
		Socket: s.socket, PerformHere: s.here, ClockOffset: s.offset, Etc: s.etc, Live: s.live, PerformState: s.state, TrialTime: s.trial}
	if s.data == DataFolder {
		o.Etc, o.PerformState = cmp.Or(s.etc, agent.EtcFolder), cmp.Or(s.state, performFolder)
	}
	for _, l := range s.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return o, ops.Errorf(ops.Invalid, "the label %q is not NAME=VALUE", l)
		}
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[name] = value
	}
	return o, nil
}

func (s *session) joinVerb() *cobra.Command {
	var j agent.Joining
	c := &cobra.Command{Use: "join ADDRESS", Short: "Let this host join a server, with the line that `reeve host add` prints",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return ops.Errorf(ops.Invalid, "paste the whole line that `reeve host add NAME` prints on the server: it names one address")
			}
			return nil
		},
		Example: "  reeve-agent join reeve://10.0.0.2:7434 --token rvj_... --authority sha256:...",
		RunE: func(c *cobra.Command, args []string) error {
			o, err := s.options()
			if err != nil {
				return err
			}
			if j.Token == "" || j.Authority == "" {
				return ops.Errorf(ops.Invalid, "the whole line is needed, with --token and --authority: `reeve host add NAME` prints it")
			}
			j.Address = args[0]
			name, err := agent.Join(c.Context(), o, j)
			if err != nil {
				return reachable(err)
			}
			if s.output == "json" {
				return s.document(map[string]string{"name": name, "server": j.Address, "data": o.Data})
			}
			fmt.Fprintf(s.p.Out, "%s has joined %s. Start the agent: `systemctl enable --now reeve-agent`, or `reeve-agent run`.\n", name, j.Address)
			return nil
		}}
	c.Flags().StringVar(&j.Token, "token", "", "one-time token")
	c.Flags().StringVar(&j.Authority, "authority", "", "fingerprint of the authority of the server's certificate")
	c.Flags().StringVar(&j.Approvers, "approvers", "", "fingerprint of the root of those who may approve changes here; without it nothing is ever changed")
	return c
}

// reachable classes what the network says as the server not being reached.
func reachable(err error) error {
	if _, ok := errors.AsType[*ops.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return ops.Because(ops.Unavailable, err, "what answers there is no way in for agents: they come to the address after --listen-tls of the server, usually port 7434, not to that of its page")
	}
	return ops.Because(ops.Unavailable, err, "the server cannot be reached: %v", err)
}

func (s *session) runVerb() *cobra.Command {
	c := &cobra.Command{Use: "run", Short: "Watch this host until interrupted", Args: cobra.NoArgs,
		Example: "  reeve-agent run\n  reeve-agent run --label rack=b2 --alarm https://ntfy.sh/my-topic",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := agent.CheckAlarm(s.alarm, s.after); err != nil {
				return err
			}
			o, log, err := s.begin()
			if err != nil {
				return err
			}
			a, err := agent.New(log, o)
			if err != nil {
				return err
			}
			defer a.Close()
			return goOn(c.Context(), a)
		}}
	f := c.Flags()
	f.StringSliceVar(&s.labels, "label", nil, "label of this host, NAME=VALUE; may be repeated")
	f.Int64Var(&s.spool, "spool-bytes", 0, "most that waits on the disk while the server is away; default 64 MiB")
	f.StringVar(&s.alarm, "alarm", "", "address to post to when the server is gone: an ntfy topic or a webhook")
	f.DurationVar(&s.after, "alarm-after", agent.AlarmAfter, "how long the server may be gone before that")
	f.StringVar(&s.level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.socket, "socket", agent.PerformSocket, socketUsage)
	f.BoolVar(&s.here, "perform", false, "carry out approved orders in this process, instead of in one of its own")
	f.DurationVar(&s.trial, "trial-time", 0, "for tests: how long the program may take to reach the server after an upgrade")
	c.Flag("trial-time").Hidden = true
	f.DurationVar(&s.offset, "clock-offset", 0, "for tests: pretend that this host's clock is off")
	c.Flag("clock-offset").Hidden = true
	return c
}

// begin answers what a part that stays is made of.
func (s *session) begin() (agent.Options, *slog.Logger, error) {
	agent.SaveResources()
	o, err := s.options()
	if err != nil {
		return o, nil, err
	}
	log, err := s.log()
	return o, log, err
}

func (s *session) log() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.level)); err != nil {
		return nil, ops.Errorf(ops.Invalid, "the log level %q is not debug, info, warn or error", s.level)
	}
	return slog.New(slog.NewTextHandler(s.p.Err, &slog.HandlerOptions{Level: level})), nil
}

func (s *session) performVerb() *cobra.Command {
	c := &cobra.Command{Use: "perform", Short: "Carry out approved orders for the watching part, behind a socket, until interrupted", Args: cobra.NoArgs,
		Long: `The part that changes something runs apart from the one that watches: with the rights that
changes need, without a network. It believes neither the server nor the watching part: each
order carries the signature of an approver whose root came with the line to join with.`,
		Example: "  reeve-agent perform",
		RunE: func(c *cobra.Command, _ []string) error {
			o, log, err := s.begin()
			if err != nil {
				return err
			}
			return agent.Perform(c.Context(), log, o, s.socket)
		}}
	c.Flags().StringVar(&s.socket, "socket", agent.PerformSocket, "where to listen")
	c.Flags().StringVar(&s.state, "state", "", "folder of the receipts of orders; default "+performFolder+", or below the folder of --data if that is set")
	c.Flags().StringVar(&s.level, "log-level", "info", "debug, info, warn or error")
	return c
}

func (s *session) forgetVerb() *cobra.Command {
	return &cobra.Command{Use: "forget", Short: "Drop who this agent is, so that it can join as a new host: for a copy of another machine's disk", Args: cobra.NoArgs,
		Example: "  reeve-agent forget",
		RunE: func(*cobra.Command, []string) error {
			o, err := s.options()
			if err != nil {
				return err
			}
			if _, err := os.Stat(o.Data); err != nil {
				return ops.Because(ops.NotFound, err, "there is no agent in %s", o.Data)
			}
			if err := agent.Forget(o.Data); err != nil {
				return err
			}
			if err := agent.ForgetPin(o); err != nil {
				return err
			}
			if s.output == "json" {
				return s.document(map[string]bool{"forgotten": true})
			}
			fmt.Fprintln(s.p.Out, "This agent is nobody now. `reeve host add NAME` on the server prints the line to join with.")
			return nil
		}}
}

func (s *session) versionVerb() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  reeve-agent version",
		RunE: func(*cobra.Command, []string) error {
			if s.output == "json" {
				return s.document(map[string]any{"version": s.p.Version, "read_only": agent.ReadOnly})
			}
			build := ""
			if agent.ReadOnly {
				build = " (read-only build)"
			}
			fmt.Fprintf(s.p.Out, "reeve-agent %s%s\n", s.p.Version, build)
			return nil
		}}
}
