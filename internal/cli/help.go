package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeHelp writes the help of a command: what it does, how it is called, an
// example, the commands below it and its flags. Cobra's own help goes through
// a template engine, which would make the linker keep every method of the
// whole program.
func writeHelp(w io.Writer, c *cobra.Command) {
	about := c.Long
	if about == "" {
		about = c.Short + "."
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", strings.TrimSpace(about), usageLine(c))
	if len(c.Aliases) > 0 {
		fmt.Fprintf(w, "\nAlso called: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.HasExample() {
		fmt.Fprintf(w, "\nExample:\n%s\n", strings.TrimRight(c.Example, "\n"))
	}
	writeCommands(w, c)
	writeFlags(w, "Flags", ownFlags(c))
	writeFlags(w, "Flags of every command", c.InheritedFlags())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n`%s COMMAND --help` tells more of one.\n", c.CommandPath())
	}
}

func usageLine(c *cobra.Command) string {
	line := c.UseLine()
	if c.HasAvailableSubCommands() {
		line = strings.TrimSuffix(line, " [flags]")
		if !c.Runnable() || c.Parent() == nil || c.RunE != nil && len(c.Commands()) > 0 && !strings.Contains(c.Use, " ") {
			line = c.CommandPath() + " [COMMAND] [flags]"
		}
	}
	return line
}

func writeCommands(w io.Writer, c *cobra.Command) {
	width := 0
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			width = max(width, len(sub.Name()))
		}
	}
	list := func(title, group string) {
		for _, sub := range c.Commands() {
			if sub.GroupID != group || !sub.IsAvailableCommand() && sub.Name() != "help" {
				continue
			}
			if title != "" {
				fmt.Fprintf(w, "\n%s:\n", title)
				title = ""
			}
			fmt.Fprintf(w, "  %-*s  %s\n", width, sub.Name(), sub.Short)
		}
	}
	for _, g := range c.Groups() {
		list(g.Title, g.ID)
	}
	list("Commands", "")
}

// ownFlags are the flags that only this command has; for the root those that
// all have.
func ownFlags(c *cobra.Command) *pflag.FlagSet {
	if c.Parent() == nil {
		return c.Flags()
	}
	return c.LocalFlags()
}

func writeFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(w, "\n%s:\n%s", title, flags.FlagUsages())
}

// flagNames answers the long names of all flags of a command.
func flagNames(c *cobra.Command) []string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
