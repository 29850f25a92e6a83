package tools

import (
	"context"
	"fmt"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
)

var _ = all.Add(tool.Define(tool.Head{
	Name: "list_containers", Doc: "Containers with state, health, image, restarts.", Effect: tool.Reads, Profiles: everyone, Core: nobody,
}, listContainers))

type containersInput struct {
	Host   string `json:"host,omitempty"`
	State  string `json:"state,omitempty" doc:"running, exited, restarting ..."`
	Cursor string `json:"cursor,omitempty"`
}

// containerTold are the attributes that say how a container does.
var containerTold = []string{"state", "health", "exit_code", "oom_killed", "restart_count", "restart_policy", "image", "started_at", "finished_at"}

func listContainers(ctx context.Context, e Env, in containersInput) (string, error) {
	f := store.ResourceFilter{Kinds: []string{string(ops.KindContainer)}, Presence: []string{string(ops.Present), string(ops.Absent)}, Limit: largest}
	var err error
	if f.After, err = after(in.Cursor); err != nil {
		return "", err
	}
	if in.Host != "" {
		host, err := e.find(ctx, in.Host)
		if err != nil {
			return "", err
		}
		f.Host = host.HostID
	}
	found, next, err := e.Store.Resources(ctx, f)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, r := range found {
		if !e.shows(r) || in.State != "" && !r.Observed.Is("state", in.State) {
			continue
		}
		text := fmt.Sprintf("%s %s on %s", r.ID, line(r.Name, 80), line(r.HostName, 60))
		told := map[string]string{}
		for _, name := range containerTold {
			if v, ok := r.Observed.Text(name); ok && v != "" && !e.WithheldFields["attributes"] {
				told[name] = v
			}
		}
		lines = append(lines, text+" "+pairs(told))
	}
	return list(lines, "such container", next), nil
}
