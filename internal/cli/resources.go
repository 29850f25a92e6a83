package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// A resourceAnswer is one resource with what belongs to it.
type resourceAnswer struct {
	ops.Resource
	Children []ops.Resource `json:"children"`
	Metrics  []string       `json:"metrics"`
	Findings []ops.Finding  `json:"findings"`
}

func (s *session) resourcesVerb() *cobra.Command {
	var kinds, labels, presence []string
	var host, parent, text, sort string
	var limit int
	c := &cobra.Command{
		Use: "resources [ID]", Aliases: []string{"resource"}, Short: "List what is watched, or show one resource with its readings",
		Example: "  reeve resources --kind container --host nas\n  reeve resources --label env=prod --sort -observed_at\n  reeve resources nginx             # one: by name, ID, or the beginning of an ID\n  reeve resources filesystem:/      # kind:name where a name alone is not enough",
		Args:    takes(0, 1, "the ID or the name of a resource"), ValidArgsFunction: completes(s.resourceWords),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneResource(c.Context(), args[0])
			}
			q := url.Values{"kind": kinds, "label": labels, "presence": presence}
			set(q, "host", host)
			set(q, "q", text)
			set(q, "sort", sort)
			if parent != "" {
				id, err := s.server.ResourceID(c.Context(), parent)
				if err != nil {
					return err
				}
				q.Set("parent", id)
			}
			return s.listResources(c.Context(), q, limit)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&kinds, "kind", nil, "only these kinds: host, container, service, filesystem, disk ...")
	f.StringVar(&host, "host", "", "only on the host with this name or ID")
	f.StringVar(&parent, "parent", "", "only below this resource: its ID or name")
	f.StringArrayVar(&labels, "label", nil, "only with this label, NAME=VALUE; repeat it for several")
	f.StringSliceVar(&presence, "presence", nil, "present, absent, removed; default present and absent")
	f.StringVar(&text, "text", "", "only with this text in the name")
	f.StringVar(&sort, "sort", "kind", "name, kind, host or observed_at; a leading - reverses")
	f.IntVar(&limit, "limit", 0, "how many at most; 0 for all")
	offers(c, "host", s.hostWords)
	must(c.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var all []string
		for _, k := range ops.Kinds {
			all = append(all, string(k.Kind)+"\t"+k.Doc)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}))
	return c
}

func (s *session) listResources(ctx context.Context, q url.Values, limit int) error {
	l, err := s.server.Listed(ctx, "/api/v1/resources", q, limit)
	if err != nil {
		return err
	}
	if q.Get("sort") == "kind" && l.Next == "" {
		if l.Items, err = byKind(l); err != nil {
			return err
		}
	}
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.Resource](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no resources%s", suchAs(q))
		return nil
	}
	show.Resources(s.page, all)
	s.more(l)
	return nil
}

// byKind orders resources by kind as people think of them: hosts first, the
// parts of Reeve last.
func byKind(l client.List) ([]json.RawMessage, error) {
	all, err := client.Read[ops.Resource](l)
	if err != nil {
		return nil, err
	}
	order := map[ops.Kind]int{}
	for i, k := range ops.Kinds {
		order[k.Kind] = i
	}
	places := make([]int, len(all))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return order[all[a].Kind] - order[all[b].Kind] })
	sorted := make([]json.RawMessage, len(all))
	for i, p := range places {
		sorted[i] = l.Items[p]
	}
	return sorted, nil
}

func (s *session) oneResource(ctx context.Context, typed string) error {
	id, err := s.server.ResourceID(ctx, typed)
	if err != nil {
		return err
	}
	var r resourceAnswer
	text, err := s.server.Fetch(ctx, "/api/v1/resources/"+url.PathEscape(id), &r)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	now, p := time.Now(), s.page
	p.Line("%s %s", term.Safe(string(r.Kind)), p.Paint(term.Bold, term.Safe(r.Name)))
	s.page.Fields([][2]string{{"id", r.ID}, {"host", r.HostName}, {"presence", string(r.Presence) + ", " + r.Reachable}, {"source", r.Key.Source + " " + r.Key.Key},
		{"first seen", term.Stamp(r.FirstSeen)}, {"last seen", term.Stamp(r.ObservedAt) + ", " + term.Age(now, r.ObservedAt) + " ago"}})
	show.Pairs(s.page, "Attributes", r.Observed)
	show.Pairs(s.page, "Wanted", r.Desired)
	show.Pairs(s.page, "Labels", r.Labels)
	if err := s.showReadings(ctx, r); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		p.Heading("Findings")
		show.Findings(s.page, r.Findings, map[string]ops.Resource{r.ID: r.Resource}, now)
	}
	if len(r.Children) > 0 {
		p.Heading("Below it")
		show.Resources(s.page, r.Children)
	}
	return nil
}

// maxReadings is how many series of one resource the screen shows.
const maxReadings = 60

// showReadings prints the newest reading of every series of a resource.
func (s *session) showReadings(ctx context.Context, r resourceAnswer) error {
	if len(r.Metrics) == 0 {
		return nil
	}
	reply, err := s.server.Instant(ctx, fmt.Sprintf(`{__name__!="",resource=%q}`, r.ID), time.Time{})
	if err != nil {
		return err
	}
	s.page.Heading("Readings")
	t := s.page.Table("SERIES", ">VALUE")
	for _, x := range reply.Series[:min(len(reply.Series), maxReadings)] {
		p, _ := x.Last()
		t.Add(term.Of(term.SeriesName(x.Name(), x.Metric, "host", "resource")), term.Of(term.Reading(x.Name(), p.Value)))
	}
	t.Indent("  ")
	t.Print()
	if more := len(reply.Series) - maxReadings; more > 0 {
		s.page.Line("  and %d more: `reeve query '{resource=%q}'`", more, r.ID)
	}
	return nil
}
