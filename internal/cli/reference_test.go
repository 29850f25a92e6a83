package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/generated/cli.md")

// tree answers all commands, parents first, as they are after a start.
func tree() []*cobra.Command {
	root := newSession(Program{Version: "test"}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var all []*cobra.Command
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		all = append(all, c)
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	walk(root)
	return all
}

func TestGeneratedReferenceIsFresh(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Command line\n\nEvery verb with its flags, written by `go test ./internal/cli -run Generated -update`; do not edit.\n\n" +
		"Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused, 4 the server cannot be reached.\n")
	for i, c := range tree() {
		var text bytes.Buffer
		writeHelp(&text, c)
		help := text.String()
		if i > 0 { // The flags of every command stand once, at the top.
			help, _, _ = strings.Cut(help, "\nFlags of every command:")
		}
		b.WriteString("\n## `" + c.CommandPath() + "`\n\n```text\n" + strings.TrimRight(help, "\n") + "\n```\n")
	}
	path := filepath.Join("..", "..", "docs", "generated", "cli.md")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Fatalf("%s is stale: go test ./internal/cli -run Generated -update (%v)", path, err)
	}
}

func TestEveryVerbHasAnExample(t *testing.T) {
	for _, c := range tree() {
		if strings.HasPrefix(c.CommandPath(), "reeve completion") {
			continue // Cobra's own; its long text shows how.
		}
		if !c.HasExample() || c.Short == "" {
			t.Errorf("%s has no example or no short text", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short text ends with a full stop", c.CommandPath())
		}
		if c.Args == nil {
			t.Errorf("%s does not say how many arguments it takes", c.CommandPath())
		}
	}
}
