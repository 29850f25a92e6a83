package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"

	"reeve/internal/ops"
)

// maxComposeBytes bounds a compose file.
const maxComposeBytes = 1 << 20

// Expanded answers the workloads one by one: a name with replicas as the
// containers that it stands for, a compose file as those that it makes.
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
	names, err := ComposeContainers(path)
	if err != nil {
		return nil, err
	}
	var all []Workload
	for _, name := range names {
		one := w
		one.Compose, one.Name = "", name
		all = append(all, one)
	}
	return all, nil
}

// ComposeContainers answers the names of the containers that `docker compose
// up` makes of a file, after the Compose Specification: PROJECT-SERVICE-N, or
// the name that a service is given. The override file and the .env beside it
// count as they do there; services of a profile that .env does not name are
// left out, since they are started on request. What a variable would say that
// .env does not set is refused where names or numbers depend on it: the shell
// that composed is not known. The file is trusted as whoever composes with it
// trusts it: it may include others.
func ComposeContainers(path string) ([]string, error) {
	files := types.ConfigDetails{WorkingDir: filepath.Dir(path)}
	for _, file := range []string{path, overrideOf(path)} {
		switch err := readable(file); {
		case err == nil:
			files.ConfigFiles = append(files.ConfigFiles, types.ConfigFile{Filename: file})
		case file == path || !errors.Is(err, fs.ErrNotExist):
			return nil, ops.Because(ops.Invalid, err, "the compose file %s cannot be read: %v", file, plain(err))
		}
	}
	env, err := dotEnv(files.WorkingDir)
	if err != nil {
		return nil, err
	}
	files.Environment = env
	var names []string
	// Only loaders of files from elsewhere look at the context, and there are none.
	model, err := loader.LoadModelWithContext(context.Background(), files, func(o *loader.Options) {
		named := env[consts.ComposeProjectName]
		o.SetProjectName(cmp.Or(named, loader.NormalizeProjectName(filepath.Base(files.WorkingDir))), named != "")
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true
		strict(o.Interpolate)
	})
	if err == nil {
		names, err = containersOf(model, env[consts.ComposeProfiles])
	}
	if err == nil {
		return names, nil
	}
	return nil, ops.Because(ops.Invalid, err, "the compose file %s cannot be understood: %v", path, err)
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

// readable refuses what is not a file of a reasonable size, before somebody
// reads all of it.
func readable(path string) error {
	if path == "" {
		return fs.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Size() > maxComposeBytes:
		return fmt.Errorf("it is larger than %d MiB", maxComposeBytes>>20)
	}
	return nil
}

// plain answers an error without the path that it repeats.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// dotEnv reads the variables of the file .env in a folder, if there is one.
func dotEnv(dir string) (types.Mapping, error) {
	path := filepath.Join(dir, ".env")
	switch err := readable(path); {
	case errors.Is(err, fs.ErrNotExist):
		return types.Mapping{}, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, ops.Because(ops.Invalid, err, "%s cannot be read, and may name the project: let the user that Reeve runs as read it, or declare the containers by their names", path)
	case err != nil:
		return nil, ops.Because(ops.Invalid, err, "%s cannot be read: %v", path, plain(err))
	}
	env, err := dotenv.GetEnvFromFile(nil, []string{path})
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "%s cannot be understood: %v", path, err)
	}
	return env, nil
}

// strict lets names and numbers depend only on variables that are set. A
// value is substituted, then cast, before the next one is.
func strict(o *interpolation.Options) {
	var unset string
	o.Substitute = func(text string, value template.Mapping) (string, error) {
		unset = ""
		for name, v := range template.ExtractVariables(map[string]any{"": text}, template.DefaultPattern) {
			if _, ok := value(name); !ok && v.DefaultValue == "" && v.PresenceValue == "" {
				unset = name
			}
		}
		return template.SubstituteWithOptions(text, value, template.WithoutLogging)
	}
	o.TypeCastMapping = maps.Clone(o.TypeCastMapping) // it is everybody's
	for _, path := range []tree.Path{"name", "services.*.container_name", "services.*.scale", "services.*.deploy.replicas", "services.*.profiles.[]"} {
		cast := o.TypeCastMapping[path]
		o.TypeCastMapping[path] = func(text string) (any, error) {
			switch {
			case unset != "":
				return nil, fmt.Errorf("the variable %s is not set in .env", unset)
			case cast == nil:
				return text, nil
			}
			return cast(text)
		}
	}
}

// containersOf answers the names of the containers of a loaded model.
func containersOf(model map[string]any, profiles string) (names []string, err error) {
	services, _ := model["services"].(map[string]any)
	if len(services) == 0 {
		return nil, errors.New("it names no services")
	}
	project, _ := model["name"].(string)
	enabled := strings.FieldsFunc(profiles, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, _ := services[name].(map[string]any)
		if !wanted(service, enabled) {
			continue
		}
		n, err := replicasOf(service)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		given, _ := service["container_name"].(string)
		if given != "" && n > 0 {
			names = append(names, given)
			continue
		}
		for i := range n {
			names = append(names, fmt.Sprintf("%s-%s-%d", project, name, i+1))
		}
	}
	return names, nil
}

// wanted reports whether a service is started without being asked for.
func wanted(service map[string]any, enabled []string) bool {
	of, _ := service["profiles"].([]any)
	return len(of) == 0 || slices.Contains(enabled, "*") ||
		slices.ContainsFunc(of, func(p any) bool { return slices.Contains(enabled, fmt.Sprint(p)) })
}

func replicasOf(service map[string]any) (int, error) {
	deploy, _ := service["deploy"].(map[string]any)
	n := 1
	for _, said := range []any{service["scale"], deploy["replicas"]} {
		switch said := said.(type) {
		case nil:
		case int:
			n = said
		default:
			return 0, fmt.Errorf("%v replicas are no number", said)
		}
	}
	if n < 0 || n > MaxReplicas {
		return 0, fmt.Errorf("%d replicas are not between 0 and %d", n, MaxReplicas)
	}
	return n, nil
}
