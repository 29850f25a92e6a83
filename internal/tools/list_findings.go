package tools

import (
	"context"
	"fmt"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "list_findings", Doc: "Findings, by default those open or acknowledged.", Effect: tool.Reads, Profiles: everyone, Core: []tool.Profile{tool.Assistant},
}, listFindings))

type findingsInput struct {
	State     string `json:"state,omitempty" enum:"open,acknowledged,resolved,closed,any"`
	Severity  string `json:"severity,omitempty" enum:"warning,critical"`
	Condition string `json:"condition,omitempty"`
	Resource  string `json:"resource,omitempty"`
	Host      string `json:"host,omitempty"`
	Limit     int64  `json:"limit,omitempty"`
	Cursor    string `json:"cursor,omitempty"`
}

func listFindings(ctx context.Context, e Env, in findingsInput) (string, error) {
	f := store.FindingFilter{Active: in.State == "", Condition: in.Condition, Limit: rows(in.Limit)}
	if in.State != "" && in.State != "any" {
		f.States = []string{in.State}
	}
	if in.Severity != "" {
		f.Severities = []string{in.Severity}
	}
	var err error
	if f.After, err = after(in.Cursor); err != nil {
		return "", err
	}
	if in.Resource != "" {
		r, err := e.find(ctx, in.Resource)
		if err != nil {
			return "", err
		}
		f.Resource = r.ID
	}
	p := places{env: e}
	var lines []string
	// A host is no column of a finding: pages go on until one is full, for a
	// bounded number of them.
	for range 20 {
		found, next, err := e.Store.Findings(ctx, f)
		if err != nil {
			return "", err
		}
		for _, x := range found {
			r, ok, err := p.get(ctx, x.ResourceID)
			if err != nil {
				return "", err
			}
			if ok && onHost(r, in.Host) {
				lines = append(lines, said(x, fmt.Sprintf("%s %s", r.ID, place(r))))
			}
		}
		if next == nil || len(lines) > f.Limit/2 {
			return list(lines, "such finding", next), nil
		}
		f.After = *next
	}
	return list(lines, "such finding", &f.After), nil
}

func onHost(r ops.Resource, host string) bool {
	return host == "" || r.HostID == host || r.HostName == host || r.ID == host
}
