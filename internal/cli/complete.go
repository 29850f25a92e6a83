package cli

import (
	"net/url"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// A completion answers the words that may follow, for the shell.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// maxWords is how many words the shell is offered.
const maxWords = 200

// completes offers what words answers for the first argument. A server that
// does not answer offers nothing: a shell is no place for an error.
func completes(words func(c *cobra.Command) []string) completion {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all := words(c)
		return all[:min(len(all), maxWords)], cobra.ShellCompDirectiveNoFileComp
	}
}

// offers lets a flag be completed by words.
func offers(c *cobra.Command, flag string, words func(c *cobra.Command) []string) {
	must(c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		all := words(c)
		return all[:min(len(all), maxWords)], cobra.ShellCompDirectiveNoFileComp
	}))
}

// fixed are words that are the same on every server.
func fixed(words ...string) func(*cobra.Command) []string {
	return func(*cobra.Command) []string { return words }
}

// driverWords and desiredWords are those of workloads.
var (
	driverWords  = fixed("docker", "podman", "systemd")
	desiredWords = fixed("running", "paused", "stopped", "absent", "none")
)

// approverWords offers the keys that may approve.
func (s *session) approverWords(c *cobra.Command) []string {
	var a show.ApproversAnswer
	if err := s.server.Get(c.Context(), "/api/v1/approvers", &a); err != nil || len(a.Sets) == 0 {
		return nil
	}
	var words []string
	for _, k := range a.Sets[len(a.Sets)-1].Keys {
		words = append(words, k.ID+"\t"+term.Safe(k.Name))
	}
	return words
}

// findingWords offers the findings that are open.
func (s *session) findingWords(c *cobra.Command) []string {
	l, err := s.server.Listed(c.Context(), "/api/v1/findings", url.Values{"state": {"active"}}, maxWords)
	if err != nil {
		return nil
	}
	all, err := client.Read[ops.Finding](l)
	if err != nil {
		return nil
	}
	var words []string
	for _, f := range all {
		words = append(words, f.ID+"\t"+term.Safe(f.Summary))
	}
	return words
}

// resourceWords offers names as choose takes them: with the kind where a name
// alone is not enough.
func (s *session) resourceWords(c *cobra.Command) []string {
	var l struct{ Items []ops.Resource }
	if err := s.server.Get(c.Context(), "/api/v1/resources?all=true", &l); err != nil {
		return nil
	}
	names := map[string]int{}
	for _, r := range l.Items {
		names[r.Name]++
	}
	var words []string
	for _, r := range l.Items {
		if r.Kind == ops.KindComponent {
			continue
		}
		name := r.Name
		if names[name] > 1 {
			name = string(r.Kind) + ":" + name + "@" + r.HostName
		}
		words = append(words, term.Safe(name)+"\t"+term.Safe(string(r.Kind)+" on "+r.HostName))
	}
	return words
}
