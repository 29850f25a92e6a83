package ops

import "time"

// A Workload is one thing on a host that can be commanded, with what is
// wanted of it, what was seen, and the last judgement.
type Workload struct {
	ID         string            `json:"id"`
	HostID     string            `json:"host_id"`
	Host       string            `json:"host"`
	Driver     string            `json:"driver"`
	Name       string            `json:"name"`
	Desired    string            `json:"desired" doc:"running, paused, stopped or absent; empty while nobody declared it."`
	DesiredBy  string            `json:"desired_by,omitempty"`
	Source     string            `json:"source,omitempty" doc:"Where it was declared: config, person, or an action."`
	Configured string            `json:"configured,omitempty" doc:"What the configuration of the server says of it; a person's later word stands against it until the configuration says something else."`
	Observed   string            `json:"observed" doc:"running, paused, stopped, absent or unknown."`
	Label      string            `json:"raw_label,omitempty" doc:"The driver's own word for its state."`
	Reachable  string            `json:"reachability" doc:"online, or unknown while its host is not heard of: then observed is what was seen last."`
	Operation  string            `json:"operation,omitempty" doc:"What is being done with it now."`
	ActionID   string            `json:"action_id,omitempty"`
	Deadline   time.Time         `json:"deadline,omitzero" doc:"When that must have ended."`
	Tombstone  bool              `json:"tombstone"`
	Problems   map[string]string `json:"problems" doc:"What is wrong, by condition, with the reason."`
	Reason     string            `json:"reason" doc:"Of the last judgement."`
	UpSince    time.Time         `json:"up_since,omitzero" doc:"Since when it was seen running."`
	ChangedAt  time.Time         `json:"changed_at"`
	Generation int64             `json:"generation"`
	ResourceID string            `json:"resource_id,omitempty"`
	Version    int64             `json:"version"`
}
