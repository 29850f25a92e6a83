package tools

import (
	"context"
	"fmt"

	"reeve/internal/evidence"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "list_metrics", Doc: "Metrics of a resource with their newest readings.", Effect: tool.Reads, Profiles: everyone, Core: nobody,
}, listMetrics))

type metricsInput struct {
	Resource string `json:"resource"`
}

func listMetrics(ctx context.Context, e Env, in metricsInput) (string, error) {
	r, err := e.find(ctx, in.Resource)
	if err != nil {
		return "", err
	}
	newest, err := e.latest(ctx, r.ID, "")
	if err != nil {
		return "", err
	}
	var lines []string
	for _, s := range newest {
		if s.Labels["process"] != "" {
			continue // list_processes has them
		}
		if p, ok := s.Last(); ok && len(lines) < largest {
			lines = append(lines, fmt.Sprintf("%s %s %s", called(s), number(p.Value), evidence.UnitOf(s.Metric)))
		}
	}
	if len(lines) == 0 {
		return "no metric of " + place(r) + " was read in the last five minutes", nil
	}
	return list(lines, "metric", nil), nil
}
