package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"reeve/internal/ops"
)

// Workload declares what should be of one thing on a host, of all that a
// compose file names, or of all that systemd starts.
type Workload struct {
	Host    string `koanf:"host" doc:"Name of the host; empty for this machine."`
	Driver  string `koanf:"driver" doc:"docker, podman or systemd; reeve drivers lists them."`
	Name    string `koanf:"name" doc:"Of the container, or of the unit with .service."`
	Desired string `koanf:"desired" doc:"running, paused, stopped or absent; default running."`
	Compose string `koanf:"compose" doc:"Instead of name: a compose file on this machine, whose containers should run, with the replicas that it says."`
	Enabled bool   `koanf:"enabled" doc:"Instead of name, with the driver systemd: every service that systemd starts at boot and that stays up should run."`
	Window  string `koanf:"window" doc:"FROM-TO, such as 08:00-20:00: running in this time of the day, local time, and stopped outside."`
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
	from, to, ok := strings.Cut(w.Window, "-")
	begin, err1 := time.Parse("15:04", strings.TrimSpace(from))
	end, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || err1 != nil || err2 != nil || begin.Equal(end) || w.Desired != "" {
		return "", ops.Errorf(ops.Invalid, "a window is FROM-TO, such as 08:00-20:00, and stands without desired")
	}
	minute := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	at, a, b := minute(now), minute(begin), minute(end)
	inside := a <= at && at < b
	if a > b { // over midnight
		inside = at >= a || at < b
	}
	if inside {
		return "running", nil
	}
	return "stopped", nil
}

// maxComposeBytes bounds a compose file.
const maxComposeBytes = 1 << 20

// Expanded answers the workloads one by one: a compose file as the containers
// that it names.
func (w Workload) Expanded() ([]Workload, error) {
	if w.Compose == "" {
		return []Workload{w}, nil
	}
	info, err := os.Stat(w.Compose)
	if err == nil && info.Size() > maxComposeBytes {
		return nil, ops.Errorf(ops.Invalid, "%s is larger than %d MiB; it is no compose file", w.Compose, maxComposeBytes>>20)
	}
	text, err := os.ReadFile(w.Compose)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the compose file %s cannot be read", w.Compose)
	}
	names, err := ComposeContainers(text, filepath.Base(filepath.Dir(w.Compose)))
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the compose file %s cannot be understood: %v", w.Compose, err)
	}
	var all []Workload
	for _, name := range names {
		one := w
		one.Compose, one.Name = "", name
		all = append(all, one)
	}
	return all, nil
}

// ComposeContainers answers the names of the containers that a compose file
// makes, after the Compose Specification: PROJECT-SERVICE-N, or the name that
// a service is given. Folder is the name of the file's folder, which names the
// project when the file does not. Services of a profile are left out: they are
// started on request.
func ComposeContainers(text []byte, folder string) ([]string, error) {
	var file struct {
		Name     string `yaml:"name"`
		Services map[string]struct {
			ContainerName string   `yaml:"container_name"`
			Scale         *int     `yaml:"scale"`
			Profiles      []string `yaml:"profiles"`
			Deploy        struct {
				Replicas *int `yaml:"replicas"`
			} `yaml:"deploy"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	project := projectName(file.Name)
	if project == "" {
		project = projectName(folder)
	}
	if len(file.Services) == 0 {
		return nil, fmt.Errorf("it names no services")
	}
	var names []string
	for _, service := range slices.Sorted(maps.Keys(file.Services)) {
		s := file.Services[service]
		replicas := 1
		for _, n := range []*int{s.Scale, s.Deploy.Replicas} {
			if n != nil {
				replicas = *n
			}
		}
		switch {
		case len(s.Profiles) > 0:
			continue
		case replicas < 0 || replicas > 1000:
			return nil, fmt.Errorf("service %s wants %d replicas", service, replicas)
		case s.ContainerName != "":
			names = append(names, s.ContainerName)
			continue
		}
		for i := range replicas {
			names = append(names, fmt.Sprintf("%s-%s-%d", project, service, i+1))
		}
	}
	return names, nil
}

// projectName normalises a name as compose does: small letters, digits, - and
// _, and a letter or digit first.
func projectName(name string) string {
	kept := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	return strings.TrimLeft(kept, "-_")
}
