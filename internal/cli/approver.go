package cli

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// confirm asks a person.
func (s *session) confirm(question string) (bool, error) {
	if file, ok := s.program.In.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 {
			return false, wrongUse("nobody is there to ask; sign without asking with --yes")
		}
	}
	fmt.Fprintf(s.program.Err, "%s [y/N] ", question)
	line, err := bufio.NewReader(s.program.In).ReadString('\n')
	if err != nil {
		return false, nil // nobody said yes
	}
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line))), nil
}

func (s *session) approverVerb() *cobra.Command {
	c := &cobra.Command{Use: "approver", Short: "Make a key to approve with, and say whose keys may approve", Args: cobra.ArbitraryArgs, RunE: group,
		Example: "  reeve approver list\n  reeve approver init anna\n  reeve approver add anna PUBLIC-KEY\n  reeve approver remove key_..."}
	c.AddCommand(s.approverListVerb(), s.approverInitVerb(), s.approverAddVerb(), s.approverRemoveVerb())
	return c
}

func (s *session) approverInitVerb() *cobra.Command {
	return &cobra.Command{Use: "init NAME", Short: "Make your key on this machine and print what an approver adds", Args: takes(1, 1, "your name"), Example: "  reeve approver init anna",
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := s.ownKeyFile()
			if err != nil {
				return err
			}
			before, err := s.signers()
			if err != nil {
				return err
			}
			key, err := approver.Make(path, args[0])
			if err != nil {
				return err
			}
			return s.showNewKey(signer{key, path}, before)
		}}
}

// showNewKey says how the new key comes to count. On a machine that has one
// already it takes the place of that at once.
func (s *session) showNewKey(made signer, before []signer) error {
	public, with := made.Public(), ""
	text := publicText(public.Public)
	if s.json() {
		v := map[string]string{"id": public.ID, "public_key": text, "file": made.file}
		if len(before) > 0 {
			v["used_until_now"] = before[0].file
		}
		return s.page.Value(v)
	}
	s.page.Line("Your key is in %s; it never leaves this machine.", term.Safe(made.file))
	if len(before) > 0 {
		with = keyVariable + "=" + term.Safe(before[0].file) + " "
		s.page.Line("Until now the key of %s in %s was used here; from now on the new one is, and counts for nothing until it is added.", term.Safe(before[0].Name), term.Safe(before[0].file))
	}
	s.page.Line("An approver lets it count with:\n\n  %sreeve approver add %s %s", with, term.Safe(made.Name), text)
	return nil
}

func (s *session) approverListVerb() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the keys that may approve", Args: takes(0, 0, ""), Example: "  reeve approver list",
		RunE: func(c *cobra.Command, _ []string) error {
			var a show.ApproversAnswer
			text, err := s.server.Fetch(c.Context(), "/api/v1/approvers", &a)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.Approvers(s.page, a)
			return nil
		}}
}

func (s *session) approverAddVerb() *cobra.Command {
	return &cobra.Command{Use: "add NAME PUBLIC-KEY", Short: "Let another key approve; signed with yours", Args: takes(2, 2, "a name and the public key that `reeve approver init` printed"),
		Example: "  reeve approver add anna 5bYz...",
		RunE: func(c *cobra.Command, args []string) error {
			public, err := parsePublic(args[1])
			if err != nil {
				return err
			}
			return s.changeApprovers(c.Context(), func(keys []authority.ApproverKey) ([]authority.ApproverKey, error) {
				k := authority.ApproverKey{ID: authority.KeyID(public), Public: public, Name: args[0], Added: time.Now().UTC().Truncate(time.Second)}
				if slices.ContainsFunc(keys, func(x authority.ApproverKey) bool { return x.ID == k.ID }) {
					return nil, answered(ops.Errorf(ops.Conflict, "this key may approve already"))
				}
				return append(keys, k), nil
			})
		}}
}

func (s *session) approverRemoveVerb() *cobra.Command {
	return &cobra.Command{Use: "remove ID", Aliases: []string{"rm"}, Short: "Let a key approve no longer; signed with yours", Args: takes(1, 1, "the ID of a key"), Example: "  reeve approver remove key_...",
		RunE: func(c *cobra.Command, args []string) error {
			return s.changeApprovers(c.Context(), func(keys []authority.ApproverKey) ([]authority.ApproverKey, error) {
				left := slices.DeleteFunc(slices.Clone(keys), func(k authority.ApproverKey) bool { return k.ID == args[0] })
				switch {
				case len(left) == len(keys):
					return nil, answered(ops.Errorf(ops.NotFound, "no key %s may approve; `reeve approver list` shows them", args[0]))
				case len(left) == 0:
					return nil, answered(ops.Errorf(ops.Conflict, "it is the last key: without it nothing could ever be approved again"))
				}
				return left, nil
			})
		}}
}

// changeApprovers signs the set that follows the newest.
func (s *session) changeApprovers(ctx context.Context, how func([]authority.ApproverKey) ([]authority.ApproverKey, error)) error {
	key, err := s.approverKey()
	if err != nil {
		return err
	}
	var a show.ApproversAnswer
	if err := s.server.Get(ctx, "/api/v1/approvers", &a); err != nil {
		return err
	}
	if len(a.Sets) == 0 {
		return answered(ops.Errorf(ops.Conflict, "the server has no approvers yet; start it once on its own machine"))
	}
	newest, err := authority.Chain(a.Sets[0].Hash(), a.Sets)
	if err != nil {
		return err
	}
	keys, err := how(newest.Keys)
	if err != nil {
		return err
	}
	text, err := s.server.Call(ctx, http.MethodPost, "/api/v1/approvers", newest.Next(keys, key.Private), &a)
	if err != nil {
		return s.refusedKey(ctx, key, err)
	}
	if s.json() {
		return s.page.Document(text)
	}
	show.Approvers(s.page, a)
	return nil
}

func (s *session) actionsVerb() *cobra.Command {
	return &cobra.Command{Use: "actions [ID]", Short: "List the actions, or show one", Args: takes(0, 1, "the ID of an action"), Example: "  reeve actions\n  reeve actions act_06h1...",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				var a show.ActionAnswer
				text, err := s.server.Fetch(c.Context(), "/api/v1/actions/"+url.PathEscape(args[0]), &a)
				if err != nil || s.json() {
					return s.documentOr(text, err)
				}
				show.Action(s.page, a)
				return nil
			}
			l, err := s.server.Listed(c.Context(), "/api/v1/actions", nil, 50)
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.Value(l)
			}
			all, err := client.Read[ops.Action](l)
			if err != nil {
				return err
			}
			show.Actions(s.page, all)
			return nil
		}}
}

// minHash is how much of a plan's hash names it.
const minHash = 12

func (s *session) approveVerb() *cobra.Command {
	var how approving
	var hash string
	c := &cobra.Command{Use: "approve ID", Short: "Show the plan of an action, sign it and wait for the outcome", Args: takes(1, 1, "the ID of an action"),
		Example: "  reeve approve act_06h1...\n  reeve approve act_06h1... --hash 66a1ff58c0de --yes",
		RunE: func(c *cobra.Command, args []string) error {
			if how.yes && hash == "" || hash != "" && len(hash) < minHash {
				return usageError{fmt.Sprintf("--yes signs without a look, and only the server knows what an ID is of: say --hash and at least the first %d characters of the hash of the plan that you saw", minHash), c.CommandPath()}
			}
			how.refuse = func(plan authority.Plan) error {
				if strings.HasPrefix(authority.Hash(plan), hash) {
					return nil
				}
				return answered(ops.Errorf(ops.Forbidden, "the plan of %s has the hash %s, not %s; nothing was signed", term.Safe(args[0]), authority.Hash(plan), term.Safe(hash)))
			}
			key, err := s.approverKey()
			if err != nil {
				return err
			}
			var a ops.Action
			if err := s.server.Get(c.Context(), "/api/v1/actions/"+url.PathEscape(args[0]), &a); err != nil {
				return err
			}
			return s.approveAction(c.Context(), a, key, how)
		}}
	f := c.Flags()
	f.StringVar(&how.reason, "reason", "", "why; goes into the approval")
	f.StringVar(&hash, "hash", "", "sign only the plan with this hash, or one that begins so")
	f.BoolVarP(&how.yes, "yes", "y", false, "sign without asking")
	f.BoolVar(&how.noWait, "no-wait", false, "do not wait for the outcome")
	return c
}

func (s *session) rejectVerb() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "reject ID", Short: "Say no to an action", Args: takes(1, 1, "the ID of an action"), Example: "  reeve reject act_06h1... --reason 'not now'",
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{}
			if reason != "" {
				body["reason"] = reason
			}
			var a ops.Action
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/actions/"+url.PathEscape(args[0])+"/reject", body, &a)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.Outcome(s.page, a)
			return nil
		}}
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	return c
}

func (s *session) driversVerb() *cobra.Command {
	return &cobra.Command{Use: "drivers", Short: "List the drivers of workloads: what they list and can do", Args: takes(0, 0, ""), Example: "  reeve drivers",
		RunE: func(c *cobra.Command, _ []string) error {
			var l struct {
				Items []struct {
					Name, Doc, Permissions string
					Operations             []string
				} `json:"items"`
			}
			text, err := s.server.Fetch(c.Context(), "/api/v1/drivers", &l)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			t := s.page.Table("!DRIVER", "OPERATIONS", "NEEDS")
			t.FoldLast()
			for _, d := range l.Items {
				t.Add(term.Of(d.Name), term.Of(strings.Join(d.Operations, " ")), term.Of(d.Permissions))
				t.Note(d.Doc)
			}
			t.Print()
			return nil
		}}
}
