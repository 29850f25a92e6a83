package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"reeve/internal/ops"
)

// maxComposeBytes bounds a compose file.
const maxComposeBytes = 1 << 20

// Expanded answers the workloads one by one: a name with replicas as the
// containers that it stands for, a compose file, with the override file beside
// it, as those that it names.
func (w Workload) Expanded() ([]Workload, error) {
	if w.Replicas != nil {
		return w.numbered()
	}
	if w.Compose == "" {
		return []Workload{w}, nil
	}
	path, err := filepath.Abs(w.Compose)
	if err != nil {
		return nil, err
	}
	text, err := readCompose(path)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the compose file %s cannot be read", w.Compose)
	}
	texts := [][]byte{text}
	if over := overrideOf(path); over != "" {
		text, err := readCompose(over)
		switch {
		case err == nil:
			texts = append(texts, text)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, ops.Because(ops.Invalid, err, "the compose file %s cannot be read", over)
		}
	}
	names, err := ComposeContainers(filepath.Base(filepath.Dir(path)), texts...)
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

func readCompose(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxComposeBytes+1))
	if err == nil && len(text) > maxComposeBytes {
		err = fmt.Errorf("it is larger than %d MiB", maxComposeBytes>>20)
	}
	return text, err
}

// overrideOf answers the file that compose lays over one of a default name,
// "" for a file of another name.
func overrideOf(path string) string {
	name := filepath.Base(path)
	for _, stem := range []string{"compose", "docker-compose"} {
		for _, ext := range []string{".yaml", ".yml"} {
			if name == stem+ext {
				return strings.TrimSuffix(path, ext) + ".override" + ext
			}
		}
	}
	return ""
}

type composeFile struct {
	Name     string                    `yaml:"name"`
	Include  any                       `yaml:"include"`
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	ContainerName string   `yaml:"container_name"`
	Scale         any      `yaml:"scale"`
	Profiles      []string `yaml:"profiles"`
	Extends       any      `yaml:"extends"`
	Deploy        struct {
		Replicas any `yaml:"replicas"`
	} `yaml:"deploy"`
}

// ComposeContainers answers the names of the containers that compose files
// make, each laid over the one before, after the Compose Specification:
// PROJECT-SERVICE-N, or the name that a service is given. Folder is the name of
// the file's folder, which names the project when no file does. Services of a
// profile are left out: they are started on request. What only compose itself
// could work out, it refuses: variables in names and numbers, include and
// extends.
func ComposeContainers(folder string, texts ...[]byte) ([]string, error) {
	name, services := "", map[string]composeService{}
	for _, text := range texts {
		file, err := parseCompose(text)
		if err != nil {
			return nil, err
		}
		if file.Name != "" {
			name = file.Name
		}
		for service, s := range file.Services {
			services[service] = s.over(services[service])
		}
	}
	if strings.Contains(name, "$") {
		return nil, fmt.Errorf("its name %q has a variable: declare its containers by their names instead", name)
	}
	project := projectName(name)
	if project == "" {
		project = projectName(folder)
	}
	if len(services) == 0 {
		return nil, fmt.Errorf("it names no services")
	}
	if project == "" {
		return nil, fmt.Errorf("neither it nor its folder names the project: give it a name")
	}
	var names []string
	for _, service := range slices.Sorted(maps.Keys(services)) {
		more, err := services[service].containers(project, service)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	return names, nil
}

func parseCompose(text []byte) (file composeFile, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&file); err != nil {
		return file, err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("it holds more than one document")
	}
	if file.Include != nil {
		return file, fmt.Errorf("it includes other files: declare each with an entry of its own")
	}
	return file, nil
}

// over answers a service with what it says laid over another.
func (s composeService) over(under composeService) composeService {
	if s.ContainerName == "" {
		s.ContainerName = under.ContainerName
	}
	if s.Scale == nil {
		s.Scale = under.Scale
	}
	if s.Deploy.Replicas == nil {
		s.Deploy.Replicas = under.Deploy.Replicas
	}
	if s.Extends == nil {
		s.Extends = under.Extends
	}
	s.Profiles = append(s.Profiles, under.Profiles...)
	return s
}

func (s composeService) containers(project, service string) ([]string, error) {
	if len(s.Profiles) > 0 {
		return nil, nil
	}
	if s.Extends != nil {
		return nil, fmt.Errorf("service %s extends another: declare its containers by their names instead", service)
	}
	replicas := uint64(1)
	for _, n := range []any{s.Scale, s.Deploy.Replicas} {
		switch n := n.(type) {
		case nil:
		case uint64:
			replicas = n
		default:
			return nil, fmt.Errorf("service %s wants %v replicas, which is no plain number: declare its containers by their names instead", service, n)
		}
	}
	switch {
	case replicas > MaxReplicas:
		return nil, fmt.Errorf("service %s wants %d replicas; %d is the most", service, replicas, MaxReplicas)
	case strings.Contains(s.ContainerName+service, "$"):
		return nil, fmt.Errorf("the name of service %s has a variable: declare its container by its name instead", service)
	case replicas > 0 && s.ContainerName != "":
		return []string{s.ContainerName}, nil
	}
	var names []string
	for i := range replicas {
		names = append(names, fmt.Sprintf("%s-%s-%d", project, service, i+1))
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
