package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/config"
	"reeve/internal/term"
)

func (s *session) queryVerb() *cobra.Command {
	var over, step, at string
	c := &cobra.Command{
		Use: "query PROMQL", Short: "Ask for metrics with PromQL: the values now, or their course drawn in the terminal",
		Example: "  reeve query cpu_busy_ratio\n  reeve query cpu_busy_ratio --range 6h\n  reeve query 'topk(5, container_memory_bytes)'\n  reeve query 'avg by (host) (cpu_busy_ratio)' --range 7d -o json",
		Args:    takes(1, 1, "one PromQL expression, in quotes"),
		RunE: func(c *cobra.Command, args []string) error {
			end := time.Now()
			if at != "" {
				var err error
				if end, err = parseUntil(at, time.Now()); err != nil {
					return err
				}
			}
			if over == "" {
				if step != "" {
					return usageError{"--step goes with --range", c.CommandPath()}
				}
				return s.queryNow(c.Context(), args[0], end)
			}
			d, err := config.ParseDuration(over)
			if err != nil || d <= 0 {
				return usageError{fmt.Sprintf("--range %q is not a time span; write it as 90m, 6h or 7d", over), c.CommandPath()}
			}
			w := client.Window{From: end.Add(-d), To: end, Step: s.stepOf(d)}
			if step != "" {
				if w.Step, err = config.ParseDuration(step); err != nil || w.Step <= 0 {
					return usageError{fmt.Sprintf("--step %q is not a time span; write it as 30s or 5m", step), c.CommandPath()}
				}
			}
			return s.queryRange(c.Context(), args[0], w)
		},
	}
	c.Flags().StringVar(&over, "range", "", "draw the course over this span until now: 90m, 6h, 7d")
	c.Flags().StringVar(&step, "step", "", "distance of two points; default what the terminal can show")
	c.Flags().StringVar(&at, "at", "", "ask as of this time instead of now: 2026-01-31T08:30:00Z")
	return c
}

// stepOf answers the step with which a span fills the width of a chart.
func (s *session) stepOf(d time.Duration) time.Duration {
	return max(d/time.Duration(2*s.page.ChartWidth()), time.Second).Round(time.Second)
}

func (s *session) queryNow(ctx context.Context, expr string, at time.Time) error {
	reply, err := s.server.Instant(ctx, expr, at)
	if err != nil || s.json() {
		return s.documentOr(reply.Text, err)
	}
	if len(reply.Series) == 0 {
		s.page.Line("no series: nothing matches, or there was no reading in the last 5 minutes")
		return nil
	}
	owner, err := s.server.Owners(ctx, reply.Series)
	if err != nil {
		return err
	}
	t := s.page.Table("RESOURCE", "SERIES", ">VALUE", ">AT")
	for _, x := range reply.Series {
		p, ok := x.Last()
		if !ok {
			continue
		}
		t.Add(term.Of(owner(x)), term.Of(term.SeriesName(x.Name(), x.Metric, ownerLabels...)), term.Of(term.Reading(x.Name(), p.Value)), term.Of(p.At.Local().Format("15:04:05")))
	}
	t.Print()
	s.warn(reply)
	return nil
}

func (s *session) warn(r client.Readings) {
	for _, w := range r.Warnings {
		s.page.Line("note: %s", term.Safe(w))
	}
}

// ownerLabels are shown as the resource's name.
var ownerLabels = []string{"host", "resource"}

func (s *session) queryRange(ctx context.Context, expr string, w client.Window) error {
	reply, err := s.server.Range(ctx, expr, w)
	if err != nil || s.json() {
		return s.documentOr(reply.Text, err)
	}
	if len(reply.Series) == 0 {
		s.page.Line("no series: nothing matches in this time")
		return nil
	}
	owner, err := s.server.Owners(ctx, reply.Series)
	if err != nil {
		return err
	}
	var lines []term.Course
	for _, x := range reply.Series {
		name := term.SeriesName(x.Name(), x.Metric, ownerLabels...)
		if o := owner(x); o != "" {
			name += "  " + o
		}
		lines = append(lines, term.Course{Name: name, Metric: x.Name(), Points: x.Points()})
	}
	s.page.Charts(lines, w.From, w.To)
	s.page.Line("")
	s.page.Summaries(lines)
	s.warn(reply)
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
