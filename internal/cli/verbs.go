package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/config"
	"reeve/internal/term"
)

// A session is one run of a command: what was typed, and what it needs to
// answer.
type session struct {
	program Program
	page    *term.Page
	server  *client.Client // the one that at names

	// The flags that every verb has.
	at     client.Options
	output string
	plain  bool
}

func newSession(p Program) *session {
	s := &session{program: p, output: "table", at: client.Options{Env: p.Env}}
	s.server = client.New(&s.at)
	return s
}

// groups are the headings under which the verbs are listed.
var groups = []*cobra.Group{
	{ID: "look", Title: "See"},
	{ID: "decide", Title: "Decide"},
	{ID: "set", Title: "Set up"},
	{ID: "run", Title: "Run and keep"},
}

// root answers the whole tree of commands.
func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "reeve",
		Short: "Reeve watches machines and containers, finds what is wrong and tells people",
		Example: `  reeve up                          # watch this machine and serve the page
  reeve status                      # one screen: what is watched, what is wrong
  reeve findings                    # what is wrong now
  reeve query cpu_busy_ratio --range 6h`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { return group(c, args) },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			return s.open(c)
		},
	}
	root.AddGroup(groups...)
	root.SetIn(s.program.In)
	root.SetOut(s.program.Out)
	root.SetErr(s.program.Err)
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { writeHelp(c.OutOrStdout(), c) })
	root.SetUsageFunc(func(c *cobra.Command) error { writeHelp(c.OutOrStderr(), c); return nil })
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommandGroupID("run")
	root.SetCompletionCommandGroupID("run")
	s.sharedFlags(root)
	add := func(id string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = id
			root.AddCommand(v)
		}
	}
	add("look", s.statusVerb(), s.hostsVerb(), s.resourcesVerb(), s.queryVerb(), s.findingsVerb(), s.incidentsVerb(), s.explainVerb(), s.watchVerb(), s.patrolVerb(),
		s.investigationsVerb(), s.notesVerb(), s.workloadsVerb(), s.actionsVerb(), s.serversVerb())
	add("decide", s.ackVerb(), s.suppressVerb(), s.unsuppressVerb(), s.resolveVerb(), s.investigateVerb(), s.noteVerb(), s.hostVerb(), s.workloadVerb(), s.approveVerb(), s.rejectVerb())
	add("set", s.checksVerb(), s.checkVerb(), s.channelsVerb(), s.deliveriesVerb(), s.collectorsVerb(), s.detectorsVerb(), s.channelTypesVerb(), s.toolsVerb(),
		s.usersVerb(), s.tokensVerb(), s.secretsVerb(), s.secretVerb(), s.signinVerb(), s.modelsVerb(), s.costVerb(), s.configVerb(), s.caVerb(), s.approverVerb(), s.driversVerb())
	add("run", s.upVerb(), s.serverVerb(), s.agentVerb(), s.auditVerb(), s.backupVerb(), s.restoreVerb(), s.releaseVerb(), s.versionVerb())
	return root
}

func (s *session) sharedFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&s.at.URL, "url", "", "address of the server; default REEVE_URL, else the server of this machine")
	f.StringVar(&s.at.Token, "token", "", "API token; default REEVE_TOKEN, else the one in the data folder")
	f.StringVar(&s.at.Authority, "ca", "", "certificate file of the authority that signed the server's certificate")
	f.StringVar(&s.at.Data, "data", "", "data folder of the server of this machine")
	f.StringVar(&s.at.ConfigFile, "config", "", "configuration file of the server of this machine")
	f.StringVarP(&s.output, "output", "o", "table", "table, or json for one document with stable keys")
	f.BoolVar(&s.plain, "no-color", false, "no colours; NO_COLOR in the environment does the same")
	f.SortFlags = false
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)))
}

// must stops on a mistake in the table of flags: it shows at the first run of
// any verb.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// open checks the shared flags and makes the page to print on.
func (s *session) open(c *cobra.Command) error {
	if s.output != "table" && s.output != "json" {
		return usageError{fmt.Sprintf("the output %q is not known; write -o table or -o json", s.output), c.CommandPath()}
	}
	s.page = term.NewPage(s.program.Out, s.at.Variable, s.plain)
	return nil
}

func (s *session) json() bool { return s.output == "json" }

// takes checks the number of arguments; names says what they are.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError{fmt.Sprintf("`%s` needs %s", c.CommandPath(), names), c.CommandPath()}
		case len(args) > most && most == 0:
			return usageError{fmt.Sprintf("`%s` takes no argument; %q is one too many", c.CommandPath(), args[0]), c.CommandPath()}
		case len(args) > most:
			return usageError{fmt.Sprintf("`%s` takes %s; %q is one too many", c.CommandPath(), names, args[most]), c.CommandPath()}
		}
		return nil
	}
}

// group answers for a command that only has others below it.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
			known = append(known, sub.Aliases...)
		}
	}
	hint := ""
	if near := config.Nearest(args[0], known); near != "" {
		hint = fmt.Sprintf("; did you mean `%s %s`?", c.CommandPath(), near)
	}
	return usageError{fmt.Sprintf("there is no `%s %s`%s", c.CommandPath(), args[0], hint), c.CommandPath()}
}

// flagError turns an error about flags into a sentence that names the nearest
// flag.
func flagError(c *cobra.Command, err error) error {
	text := err.Error()
	name, unknown := strings.CutPrefix(text, "unknown flag: --")
	if !unknown {
		return usageError{text, c.CommandPath()}
	}
	hint := ""
	if near := config.Nearest(name, flagNames(c)); near != "" {
		hint = fmt.Sprintf("; did you mean --%s?", near)
	}
	return usageError{fmt.Sprintf("`%s` has no flag --%s%s", c.CommandPath(), name, hint), c.CommandPath()}
}

func (s *session) versionVerb() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Example: "  reeve version", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if s.json() {
				return s.page.Value(map[string]string{"version": s.program.Version})
			}
			_, err := io.WriteString(s.program.Out, "reeve "+s.program.Version+"\n")
			return err
		},
	}
}
