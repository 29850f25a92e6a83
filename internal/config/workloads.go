package config

import (
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
)

// Workload declares what should be of one thing on a host, of all that a
// compose file names, or of all that systemd starts.
type Workload struct {
	Host     string `koanf:"host" doc:"Name of the host; empty for this machine."`
	Driver   string `koanf:"driver" doc:"docker, podman or systemd; reeve drivers lists them."`
	Name     string `koanf:"name" doc:"Of the container, or of the unit with .service."`
	Replicas *int   `koanf:"replicas" doc:"How many containers the name stands for: NAME-1 to NAME-N, at most 1000; without it one that has the very name."`
	Desired  string `koanf:"desired" doc:"running, paused, stopped or absent; default running."`
	Compose  string `koanf:"compose" doc:"Instead of name: a compose file on this machine, whose containers should run, with the replicas that it says."`
	Enabled  bool   `koanf:"enabled" doc:"Instead of name, with the driver systemd: every service that systemd starts at boot and that stays up should run."`
	Window   string `koanf:"window" doc:"FROM-TO, such as 08:00-20:00: running in this time of the day, local time, and stopped outside."`
}

// MaxReplicas bounds how many containers one entry stands for.
const MaxReplicas = 1000

// numbered answers the workloads of an entry with replicas one by one.
func (w Workload) numbered() ([]Workload, error) {
	n := *w.Replicas
	if n < 1 || n > MaxReplicas {
		return nil, ops.Errorf(ops.Invalid, "replicas is 1 to %d; for none write desired: stopped, or take the entry out", MaxReplicas)
	}
	all := make([]Workload, n)
	for i := range all {
		all[i] = w
		all[i].Replicas, all[i].Name = nil, fmt.Sprintf("%s-%d", w.Name, i+1)
	}
	return all, nil
}

// At answers what is desired at a time; problem says what is wrong with the
// window.
func (w Workload) At(now time.Time) (desired string, problem error) {
	desired = w.Desired
	if desired == "" {
		desired = "running"
	}
	if w.Window == "" {
		return desired, nil
	}
	a, b, ok := w.minutes()
	if !ok || w.Desired != "" {
		return "", ops.Errorf(ops.Invalid, "a window is FROM-TO, such as 08:00-20:00, and stands without desired")
	}
	at := minuteOf(now)
	inside := a <= at && at < b
	if a > b { // over midnight
		inside = at >= a || at < b
	}
	if inside {
		return "running", nil
	}
	return "stopped", nil
}

// minutes answers the edges of the window in minutes of the day.
func (w Workload) minutes() (begin, end int, ok bool) {
	from, to, ok := strings.Cut(w.Window, "-")
	a, err1 := time.Parse("15:04", strings.TrimSpace(from))
	b, err2 := time.Parse("15:04", strings.TrimSpace(to))
	return minuteOf(a), minuteOf(b), ok && err1 == nil && err2 == nil && !a.Equal(b)
}

func minuteOf(t time.Time) int { return t.Hour()*60 + t.Minute() }

// NextMinute reports whether an edge of the window is at the next full minute.
func (w Workload) NextMinute(now time.Time) bool {
	begin, end, ok := w.minutes()
	next := minuteOf(now.Add(time.Minute))
	return ok && (next == begin || next == end)
}
