package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "read_logs", Doc: "Last log lines of a unit or container; events of others.", Effect: tool.Reads, Profiles: everyone, Core: everyone,
}, readLogs))

type logsInput struct {
	Resource string `json:"resource"`
	Minutes  int64  `json:"minutes,omitempty" doc:"default 60"`
	Contains string `json:"contains,omitempty"`
	Lines    int64  `json:"lines,omitempty" doc:"default 20"`
}

func readLogs(ctx context.Context, e Env, in logsInput) (string, error) {
	if err := e.open("logs"); err != nil {
		return "", err
	}
	r, err := e.find(ctx, in.Resource)
	if err != nil {
		return "", err
	}
	from, err := e.since(in.Minutes, 60)
	if err != nil {
		return "", err
	}
	q := LogQuery{Since: from, Contains: line(in.Contains, 120), Lines: rows(in.Lines)}
	if e.Logs != nil && (r.Kind == ops.KindContainer || r.Kind == ops.KindUnit) {
		lines, err := e.Logs(ctx, r, q)
		switch {
		case err == nil && len(lines) > 0:
			return r.ID + " " + place(r) + " log:\n" + logText(lines), nil
		case err == nil:
			return fmt.Sprintf("the log of %s has no such line in the last %d min", place(r), int64(e.Now().Sub(from).Minutes())), nil
		case !errors.Is(err, ErrNoLogs):
			return "", err
		}
	}
	return storedLogs(ctx, e, r, q)
}

func logText(lines []LogLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(at(l.At) + " " + line(l.Text, 400) + "\n")
	}
	return strings.TrimSpace(b.String())
}

// storedLogs answers what is stored of a log: the forms of its error lines,
// and other events.
func storedLogs(ctx context.Context, e Env, r ops.Resource, q LogQuery) (string, error) {
	events, err := e.Store.ResourceEvents(ctx, r.ID, 500)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, v := range events {
		if v.At.Before(q.Since) || q.Contains != "" && !strings.Contains(strings.ToLower(v.Text), strings.ToLower(q.Contains)) {
			continue
		}
		if len(lines) == q.Lines {
			break
		}
		text := fmt.Sprintf("%s %s x%d %s", at(v.At), v.Type, v.Count, line(v.Text, 400))
		if v.Facts["new"] == "true" {
			text += " [not seen before]"
		}
		lines = append(lines, text)
	}
	slices.Reverse(lines)
	head := r.ID + " " + place(r) + " stored events (no live log here):"
	if len(lines) == 0 {
		return fmt.Sprintf("%s none since %s", head, q.Since.UTC().Format(time.RFC3339)), nil
	}
	return head + "\n" + strings.Join(lines, "\n"), nil
}
