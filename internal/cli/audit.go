package cli

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func (s *session) auditVerb() *cobra.Command {
	var object, id string
	var limit int
	c := &cobra.Command{
		Use: "audit", Short: "List every committed change, the newest first, or verify that none was altered",
		Example: "  reeve audit --limit 20\n  reeve audit --object finding\n  reeve audit verify", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			q := url.Values{}
			set(q, "object", object)
			set(q, "object_id", id)
			l, err := s.server.Listed(c.Context(), "/api/v1/audit", q, limit)
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.Value(l)
			}
			return s.auditTable(l)
		},
	}
	f := c.Flags()
	f.StringVar(&object, "object", "", "only of this: finding, incident, delivery, user, token, check ...")
	f.StringVar(&id, "id", "", "only of the object with this ID")
	f.IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	c.AddCommand(s.auditVerifyVerb())
	return c
}

func (s *session) auditTable(l client.List) error {
	all, err := client.Read[ops.Transition](l)
	if err != nil {
		return err
	}
	t := s.page.Table(">!SEQ", "!WHEN", "WHO", "WHAT", "OBJECT", "WHY")
	for _, x := range all {
		t.Add(term.Of(fmt.Sprint(x.Seq)), term.Of(term.Stamp(x.At)), term.Of(show.Who(x)), term.Of(show.TransitionText(x)), term.Of(x.ObjectID), term.Of(x.Reason))
	}
	t.Print()
	s.more(l)
	return nil
}

func (s *session) auditVerifyVerb() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Re-compute the chain of the audit: a change or a missing entry shows", Example: "  reeve audit verify", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var v struct {
				OK        bool   `json:"ok"`
				Good      int64  `json:"good"`
				BrokenSeq int64  `json:"broken_seq"`
				Why       string `json:"why"`
			}
			text, err := s.server.Fetch(c.Context(), "/api/v1/audit/verify", &v)
			if err != nil {
				return err
			}
			if err := s.verdict(text, v.OK, v.Good); err != nil {
				return err
			}
			if !v.OK {
				return fmt.Errorf("the audit chain breaks at entry %d: %s; %d entries before it are good. Somebody changed the database by hand, or it is damaged: compare it with a backup", v.BrokenSeq, v.Why, v.Good)
			}
			return nil
		},
	}
}

func (s *session) verdict(text json.RawMessage, ok bool, good int64) error {
	if s.json() {
		return s.page.Document(text)
	}
	if ok {
		s.page.Line("the audit chain is whole: %d entries", good)
	}
	return nil
}
