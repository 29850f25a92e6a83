package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
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
				id, err := s.resourceID(c.Context(), parent)
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
	l, err := s.listed(ctx, "/api/v1/resources", q, limit)
	if err != nil {
		return err
	}
	if q.Get("sort") == "kind" && l.Next == "" {
		if l.Items, err = byKind(l); err != nil {
			return err
		}
	}
	if s.json() {
		return s.page.value(l)
	}
	all, err := read[ops.Resource](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.line("no resources%s", suchAs(q))
		return nil
	}
	s.resourceTable(all)
	s.more(l)
	return nil
}

// byKind orders resources by kind as people think of them: hosts first, the
// parts of Reeve last.
func byKind(l list) ([]json.RawMessage, error) {
	all, err := read[ops.Resource](l)
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

func (s *session) resourceTable(all []ops.Resource) {
	short, now := shortened(each(all, func(r ops.Resource) string { return r.ID })), time.Now()
	t := s.page.table("!ID", "KIND", "NAME", "HOST", "!PRESENCE", "STATE", ">SEEN AGO")
	for _, r := range all {
		seen := string(r.Presence)
		if r.Presence == ops.Present && r.Reachable != "online" {
			seen = r.Reachable
		}
		t.add(of(short[r.ID]), of(string(r.Kind)), of(r.Name), of(r.HostName), cell{seen, stateStyle(seen)}, of(glance(r)), of(age(now, r.ObservedAt)))
	}
	t.print()
}

// glance answers what of a resource's attributes says most.
func glance(r ops.Resource) string {
	names := map[ops.Kind][]string{
		ops.KindContainer: {"state", "health"}, ops.KindService: {"running", "desired"}, ops.KindUnit: {"active_state", "sub_state"},
		ops.KindFilesystem: {"fstype", "device"}, ops.KindDisk: {"model"}, ops.KindArray: {"level", "state"}, ops.KindPool: {"health"},
		ops.KindInterface: {"operstate"}, ops.KindCheck: {"up", "error"}, ops.KindComponent: {"state", "error"}, ops.KindHost: {"os", "kernel"},
		ops.KindCertificate: {"not_after"}, ops.KindGPU: {"model"},
	}[r.Kind]
	var parts []string
	for _, n := range names {
		v := r.Observed[n]
		if v == "" {
			continue
		}
		switch n {
		case "running", "desired", "up":
			v = n + " " + v
		}
		parts = append(parts, v)
	}
	return strings.Join(parts, ", ")
}

func (s *session) oneResource(ctx context.Context, typed string) error {
	id, err := s.resourceID(ctx, typed)
	if err != nil {
		return err
	}
	var r resourceAnswer
	text, err := s.fetch(ctx, "/api/v1/resources/"+url.PathEscape(id), &r)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	now, p := time.Now(), s.page
	p.line("%s %s", safe(string(r.Kind)), p.paint(bold, safe(r.Name)))
	s.fields([][2]string{{"id", r.ID}, {"host", r.HostName}, {"presence", string(r.Presence) + ", " + r.Reachable}, {"source", r.Key.Source + " " + r.Key.Key},
		{"first seen", stamp(r.FirstSeen)}, {"last seen", stamp(r.ObservedAt) + ", " + age(now, r.ObservedAt) + " ago"}})
	s.showPairs("Attributes", r.Observed)
	s.showPairs("Wanted", r.Desired)
	s.showPairs("Labels", r.Labels)
	if err := s.showReadings(ctx, r); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		p.heading("Findings")
		s.findingTable(r.Findings, map[string]ops.Resource{r.ID: r.Resource}, now)
	}
	if len(r.Children) > 0 {
		p.heading("Below it")
		s.resourceTable(r.Children)
	}
	return nil
}

func (s *session) showPairs(title string, pairs map[string]string) {
	if len(pairs) == 0 {
		return
	}
	s.page.heading(title)
	var rows [][2]string
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		rows = append(rows, [2]string{k, pairs[k]})
	}
	s.fields(rows)
}

// maxReadings is how many series of one resource the screen shows.
const maxReadings = 60

// showReadings prints the newest reading of every series of a resource.
func (s *session) showReadings(ctx context.Context, r resourceAnswer) error {
	if len(r.Metrics) == 0 {
		return nil
	}
	all, _, err := s.instant(ctx, fmt.Sprintf(`{__name__!="",resource=%q}`, r.ID), time.Time{})
	if err != nil {
		return err
	}
	s.page.heading("Readings")
	t := s.page.table("SERIES", ">VALUE")
	for _, x := range all[:min(len(all), maxReadings)] {
		p, _ := x.last()
		t.add(of(seriesName(x.metric(), x.labels(), "host", "resource")), of(reading(x.metric(), p.Value)))
	}
	t.pad = "  "
	t.print()
	if more := len(all) - maxReadings; more > 0 {
		s.page.line("  and %d more: `reeve query '{resource=%q}'`", more, r.ID)
	}
	return nil
}
