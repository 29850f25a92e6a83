package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "list_processes", Doc: "Busiest or largest processes of a host.", Effect: tool.Reads, Profiles: everyone, Core: nobody,
}, listProcesses))

type processesInput struct {
	Host  string `json:"host"`
	By    string `json:"by,omitempty" enum:"cpu,memory"`
	Limit int64  `json:"limit,omitempty"`
}

func listProcesses(ctx context.Context, e Env, in processesInput) (string, error) {
	if err := e.open("processes"); err != nil {
		return "", err
	}
	r, err := e.find(ctx, in.Host)
	if err != nil {
		return "", err
	}
	if r.Kind != ops.KindHost {
		return "", ops.Errorf(ops.Invalid, "%s is no host; give the host that it is on: %s", place(r), r.HostID)
	}
	newest, err := e.latest(ctx, r.ID, "process")
	if err != nil {
		return "", err
	}
	metrics := []string{"process_cpu_ratio", "process_memory_bytes"}
	switch in.By {
	case "cpu":
		metrics = metrics[:1]
	case "memory":
		metrics = metrics[1:]
	}
	var lines, counts []string
	for _, metric := range metrics {
		lines = append(lines, ranked(newest, metric, rows(in.Limit))...)
	}
	for _, s := range newest {
		if p, ok := s.Last(); ok && strings.HasPrefix(s.Metric, "processes_") {
			counts = append(counts, s.Metric+"="+number(p.Value))
		}
	}
	if len(counts)+len(lines) == 0 {
		return "no processes of " + place(r) + " were read in the last five minutes", nil
	}
	return strings.Join(append([]string{r.ID + " " + place(r) + " " + strings.Join(counts, " ")}, lines...), "\n"), nil
}

// ranked writes the readings of a metric of processes, the highest first.
func ranked(newest []ops.Series, metric string, most int) []string {
	var all []ops.Series
	for _, s := range newest {
		if s.Metric == metric && len(s.Points) > 0 {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b ops.Series) int {
		switch d := b.Points[0].Value - a.Points[0].Value; {
		case d > 0:
			return 1
		case d < 0:
			return -1
		}
		return 0
	})
	var lines []string
	for _, s := range all[:min(len(all), most)] {
		lines = append(lines, fmt.Sprintf("%s %s pid %s", metric+"="+number(s.Points[0].Value), line(s.Labels["process"], 60), line(s.Labels["pid"], 12)))
	}
	return lines
}
