package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/evidence"
	"reeve/internal/ops"
)

const (
	evidenceSpan   = 15 * time.Minute
	evidenceStep   = 15 * time.Second
	evidenceSeries = 8
	evidenceQuotes = 20
)

// gatherEvidence copies what each edge rests on out of the metrics store:
// the values themselves, so that a claim re-checks after the samples are
// gone. A store that does not answer costs the course, not the finding: the
// verdict's own readings are kept then.
func (w *Watch) gatherEvidence(ctx context.Context, now time.Time, edges []edge) [][]ops.Evidence {
	all := make([][]ops.Evidence, len(edges))
	for i, e := range edges {
		if e.Edge == detect.Raised || e.Edge == detect.Rose {
			all[i] = w.evidenceOf(ctx, now, e)
		}
	}
	return all
}

func (w *Watch) evidenceOf(ctx context.Context, now time.Time, e edge) []ops.Evidence {
	span := max(evidenceSpan, e.def.Window)
	var all []ops.Evidence
	for _, s := range e.verdict.Evidence[:min(len(e.verdict.Evidence), evidenceSeries)] {
		x := ops.Evidence{ID: ops.NewID(ops.EvidenceID), What: e.verdict.Summary, Query: Selector(s.Metric, e.key.resource, s.Labels),
			From: now.Add(-span), To: now, TakenAt: now, Series: []ops.Series{s}}
		course, err := w.metrics.Series(ctx, x.Query, x.From, x.To, max(evidenceStep, span/60))
		if err == nil && len(course) == 1 {
			course[0].Labels = s.Labels
			// The course is read at steps; the reading that was judged goes last.
			if p, ok := s.Last(); ok {
				course[0].Points = append(course[0].Points, p)
				slices.SortStableFunc(course[0].Points, func(a, b ops.Point) int { return a.At.Compare(b.At) })
			}
			course[0].Metric = s.Metric
			x.Series = course
		}
		all = append(all, x)
	}
	if quotes := e.verdict.Quotes; len(quotes) > 0 {
		all = append(all, ops.Evidence{ID: ops.NewID(ops.EvidenceID), What: "lines that were read", From: now.Add(-span), To: now, TakenAt: now,
			Quotes: quotes[:min(len(quotes), evidenceQuotes)]})
	}
	if len(all) == 0 { // state alone
		all = append(all, ops.Evidence{ID: ops.NewID(ops.EvidenceID), What: e.verdict.Summary, From: now, To: now, TakenAt: now, Quotes: stateOf(e.resource)})
	}
	return all
}

func stateOf(r ops.Resource) []string {
	var lines []string
	for k, v := range r.Observed {
		lines = append(lines, k+" = "+v)
	}
	slices.Sort(lines)
	return lines
}

// sealed fills in the hash of evidence that has its finding.
func sealed(e ops.Evidence) ops.Evidence {
	e.Hash = evidence.Hash(e)
	return e
}

// Selector answers the PromQL selector of one series of a resource.
func Selector(metric, resourceID string, labels map[string]string) string {
	parts := []string{"resource=" + strconv.Quote(resourceID)}
	for k, v := range labels {
		if k != "resource" && k != "host" {
			parts = append(parts, fmt.Sprintf("%s=%q", k, v))
		}
	}
	slices.Sort(parts)
	return metric + "{" + strings.Join(parts, ",") + "}"
}
