package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

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
// left out, since they are started on request. A variable that .env does not
// set is refused where a name or a number depends on it: the shell that
// composed is not known. The file is trusted as whoever composes with it
// trusts it: it may include others.
func ComposeContainers(path string) ([]string, error) {
	silence()
	env, err := dotEnv(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	files, err := composeFiles(path, env)
	if err != nil {
		return nil, err
	}
	var names []string
	// Only loaders of files from elsewhere look at the context, and there are none.
	model, err := loader.LoadModelWithContext(context.Background(), files, func(o *loader.Options) {
		named := env[consts.ComposeProjectName]
		o.SetProjectName(cmp.Or(named, loader.NormalizeProjectName(filepath.Base(files.WorkingDir))), named != "")
		// What else is wrong with the file is told to whoever composes.
		o.SkipValidation, o.SkipResolveEnvironment, o.SkipResolveLabels = true, true, true
		strict(o.Interpolate)
	})
	if err == nil {
		names, err = containersOf(model, env)
	}
	if err != nil {
		return nil, ops.Errorf(ops.Invalid, "the compose file %s cannot be understood: %v", path, err)
	}
	return names, nil
}

// silence keeps the library from writing to the terminal: of a variable that is
// not set it tells the name, which in a .env may be a part of a password.
var silence = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// The names that compose looks for, in its order.
var (
	composeNames  = []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}
	overrideNames = []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"}
)

// composeFiles answers the files that compose lays over each other: those of
// COMPOSE_FILE instead of one of a default name, else with the override beside it.
func composeFiles(path string, env types.Mapping) (x types.ConfigDetails, err error) {
	x = types.ConfigDetails{WorkingDir: filepath.Dir(path), Environment: env}
	paths, beside := []string{path}, slices.Contains(composeNames, filepath.Base(path))
	if given := env[consts.ComposeFilePath]; beside && given != "" {
		paths, beside = strings.Split(given, cmp.Or(env[consts.ComposePathSeparator], string(os.PathListSeparator))), false
		for i, p := range paths {
			if !filepath.IsAbs(p) {
				paths[i] = filepath.Join(x.WorkingDir, p)
			}
		}
		x.WorkingDir = filepath.Dir(paths[0])
	}
	if beside {
		for _, name := range overrideNames {
			over := filepath.Join(x.WorkingDir, name)
			if _, err := os.Lstat(over); err == nil {
				paths = append(paths, over)
				break
			}
		}
	}
	for _, p := range paths {
		if err := readable(p); err != nil {
			return x, ops.Errorf(ops.Invalid, "the compose file %s cannot be read: %v", p, plain(err))
		}
		x.ConfigFiles = append(x.ConfigFiles, types.ConfigFile{Filename: p})
	}
	return x, nil
}

// readable refuses what is not a file of a reasonable size, before somebody
// reads all of it.
func readable(path string) error {
	switch info, err := os.Stat(path); {
	case err != nil:
		return err
	case !info.Mode().IsRegular(): // a pipe would keep who opens it waiting
		return errors.New("it is not a regular file")
	case info.Size() > maxComposeBytes:
		return fmt.Errorf("it is larger than %d MiB", maxComposeBytes>>20)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
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
		return nil, ops.Errorf(ops.Invalid, "%s cannot be read, and may name the project: let the user that Reeve runs as read it, or declare the containers by their names", path)
	case err != nil:
		return nil, ops.Errorf(ops.Invalid, "%s cannot be read: %v", path, plain(err))
	}
	env, err := dotenv.GetEnvFromFile(nil, []string{path})
	if err != nil {
		return nil, ops.Errorf(ops.Invalid, "%s cannot be understood: %v", path, err)
	}
	return env, nil
}

// unset stands for what a variable that is not set would say where no name
// and no number of containers depends on it: as a path, a port, or a size it
// can be read.
const unset = "0"

// strict lets names and numbers of containers depend only on variables that are
// set. A value is substituted, then cast, before the next one is.
func strict(o *interpolation.Options) {
	var missing string
	o.Substitute = func(text string, value template.Mapping) (string, error) {
		missing = ""
		needed := map[string]bool{}
		for name, v := range template.ExtractVariables(map[string]any{"": text}, template.DefaultPattern) {
			_, known := value(name)
			otherwise := v.DefaultValue != "" || v.PresenceValue != "" || optional(text, name)
			if needed[name] = !known && !otherwise; needed[name] {
				missing = name
			}
		}
		return template.SubstituteWithOptions(text, func(name string) (string, bool) {
			if needed[name] {
				return unset, true
			}
			return value(name)
		}, template.WithoutLogging)
	}
	// Nothing else is of interest as a number.
	o.TypeCastMapping = map[tree.Path]interpolation.Cast{}
	for path, cast := range map[tree.Path]interpolation.Cast{
		"name": asText, "services.*.container_name": asText, "services.*.profiles.[]": asText,
		"services.*.scale": asNumber, "services.*.deploy.replicas": asNumber,
	} {
		o.TypeCastMapping[path] = func(text string) (any, error) {
			if missing != "" {
				return nil, fmt.Errorf("the variable %s is not set in .env", missing)
			}
			return cast(text)
		}
	}
}

// optional reports whether a text says what holds when a variable is not set,
// if only that nothing does.
func optional(text, name string) bool {
	return slices.ContainsFunc([]string{"-", ":-", "+", ":+"}, func(op string) bool { return strings.Contains(text, "${"+name+op) })
}

func asText(text string) (any, error) { return text, nil }

func asNumber(text string) (any, error) { return strconv.Atoi(text) }

// containersOf answers the names of the containers of a loaded model.
func containersOf(model map[string]any, env types.Mapping) (names []string, err error) {
	services, _ := model["services"].(map[string]any)
	if len(services) == 0 {
		return nil, errors.New("it names no services")
	}
	project, _ := model["name"].(string)
	if project == "" {
		return nil, errors.New("neither it nor its folder names the project: give it a name")
	}
	between := "-"
	if old, err := strconv.ParseBool(env["COMPOSE_COMPATIBILITY"]); err == nil && old {
		between = "_"
	}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, _ := services[name].(map[string]any)
		if !started(service, env[consts.ComposeProfiles]) {
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
			names = append(names, fmt.Sprint(project, between, name, between, i+1))
		}
	}
	return names, nil
}

// started reports whether a service is a container that is started without
// being asked for.
func started(service map[string]any, profiles string) bool {
	if _, elsewhere := service["provider"]; elsewhere {
		return false
	}
	of, _ := service["profiles"].([]any)
	if len(of) == 0 {
		return true
	}
	for enabled := range strings.SplitSeq(profiles, ",") {
		enabled = strings.TrimSpace(enabled)
		if enabled == "*" || slices.Contains(of, any(enabled)) {
			return true
		}
	}
	return false
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
