package agentcli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/agent"
	"reeve/internal/glyph"
	"reeve/internal/ops"
)

func (s *session) document(v any) error {
	e := json.NewEncoder(s.p.Out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (s *session) checkVerb() *cobra.Command {
	c := &cobra.Command{Use: "check", Short: "Say what this agent can and cannot see and reach, and why", Args: cobra.NoArgs, Example: "  reeve-agent check\n  reeve-agent check -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := s.options()
			if err != nil {
				return err
			}
			begin := func(string) {}
			if s.output != "json" && onTerminal(s.p.Err) {
				begin = func(name string) { fmt.Fprintf(s.p.Err, "\r\x1b[K%s", name) }
			}
			checked := agent.Check(c.Context(), o, begin)
			begin("")
			orders := agent.CheckOrders(c.Context(), o)
			if s.output == "json" {
				return s.document(struct {
					agent.Checked
					Orders agent.Orders `json:"orders"`
				}{checked, orders})
			}
			s.show(checked, orders)
			if checked.Joined && !checked.Reached {
				return ops.Errorf(ops.Unavailable, "the server is not reached")
			}
			return nil
		}}
	c.Flags().StringVar(&s.socket, "socket", agent.PerformSocket, socketUsage)
	return c
}

// onTerminal reports whether somebody looks on as it is written.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s *session) show(c agent.Checked, orders agent.Orders) {
	line := func(format string, args ...any) { fmt.Fprintf(s.p.Out, format+"\n", args...) }
	user := fmt.Sprintf("user %d", c.User)
	if len(c.Capabilities) > 0 && c.User != 0 {
		user += " with " + strings.Join(c.Capabilities, ", ")
	}
	line("host         %s", glyph.Harmless(c.Host))
	line("runs as      %s", user)
	switch {
	case !c.Joined:
		line("server       none: %s", glyph.Harmless(c.Problem))
	case c.Reached:
		line("server       %s, reached, as %s", glyph.Harmless(c.Server), glyph.Harmless(c.Name))
		line("certificate  until %s", c.CertUntil.Local().Format(time.DateTime))
	default:
		line("server       %s, not reached: %s", glyph.Harmless(c.Server), glyph.Harmless(c.Problem))
		line("certificate  until %s", c.CertUntil.Local().Format(time.DateTime))
	}
	line("orders       %s", glyph.Harmless(ordersText(c, orders)))
	line("")
	for _, x := range c.Collectors {
		line("%-14s %-8s %3d seen", x.Name, x.State, x.Seen)
		if x.Err != "" {
			line("                 %s", glyph.Harmless(x.Err))
		}
		for _, g := range x.Gaps {
			line("                 not seen: %s: %s", glyph.Harmless(g.What), glyph.Harmless(g.Why))
			if g.Remedy != "" {
				line("                   %s", glyph.Harmless(g.Remedy))
			}
		}
	}
}

// ordersText says whether this host can be changed, and what is in the way.
func ordersText(c agent.Checked, o agent.Orders) string {
	switch {
	case c.ReadOnly:
		return "none are taken: this build cannot change anything"
	case !o.Taken && o.Problem != "":
		return "none are taken: " + o.Problem
	case !o.Taken && !c.Joined:
		return "none are taken before it has joined"
	case !o.Taken:
		return "none are taken: this host joined without --approvers, nothing is ever changed here"
	case !o.Answers:
		return fmt.Sprintf("taken of the approvers %s, but %s", o.Approvers, o.Problem)
	}
	return fmt.Sprintf("taken of the approvers %s, and carried out behind %s", o.Approvers, o.Socket)
}
