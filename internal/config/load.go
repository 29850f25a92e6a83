package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"reeve/internal/ops"
)

// Sources are where settings come from beside the built-in defaults.
type Sources struct {
	File  string            // "" looks for reeve.yaml in the usual places
	Env   []string          // NAME=VALUE
	Flags map[string]string // dotted keys
}

// clientEnv are variables of the command line client and of Load itself.
var clientEnv = []string{"REEVE_URL", "REEVE_TOKEN", "REEVE_CONFIG"}

const maxFileBytes = 4 << 20

// Load reads the configuration. File says which file was read, "" for none.
func Load(s Sources) (c Config, file string, err error) {
	k := koanf.New(".")
	file, text, err := readFile(s)
	if err != nil {
		return c, file, err
	}
	tree, err := parse(file, text)
	if err != nil {
		return c, file, err
	}
	if err := k.Load(confmap.Provider(tree, ""), nil); err != nil {
		return c, file, ops.Because(ops.Invalid, err, "%s cannot be read", file)
	}
	env, err := fromEnv(s.Env)
	if err != nil {
		return c, file, err
	}
	flags := map[string]any{}
	for key, value := range s.Flags {
		flags[key] = split(key, value)
	}
	where := placesOf(file, text)
	for _, more := range []map[string]any{env, flags} {
		for key := range more {
			where.elsewhere[key] = true
		}
		if err := k.Load(confmap.Provider(more, "."), nil); err != nil {
			return c, file, err
		}
	}
	c = Default()
	c.places = where
	if err := k.Unmarshal("", &c); err != nil {
		if wrong := where.decodeErrors(err); len(wrong) > 0 {
			return c, file, ops.Errorf(ops.Invalid, "%s", strings.Join(wrong, "; "))
		}
		return c, file, ops.Errorf(ops.Invalid, "the configuration %s does not fit: %s", file, oneLine(err))
	}
	return c, file, c.complete()
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}

// parse reads the text of a configuration file and refuses unknown keys.
func parse(file string, text []byte) (map[string]any, error) {
	tree, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		return nil, syntaxError(file, text, err)
	}
	if wrong := unknownKeys(tree, reflect.TypeFor[Config](), ""); len(wrong) > 0 {
		where := placesOf(file, text)
		for i, w := range wrong {
			key, _, _ := strings.Cut(w, " is not a setting")
			wrong[i] = where.prefix(key) + w
		}
		return nil, ops.Errorf(ops.Invalid, "%s", strings.Join(wrong, "; "))
	}
	return tree, nil
}

// readFile finds and reads the file. One that was named must be there.
func readFile(s Sources) (path string, text []byte, err error) {
	named := s.File
	for _, e := range s.Env {
		if v, ok := strings.CutPrefix(e, "REEVE_CONFIG="); ok && named == "" {
			named = v
		}
	}
	for _, path := range candidates(named) {
		info, err := os.Stat(path)
		if err == nil && info.Size() > maxFileBytes {
			return path, nil, ops.Errorf(ops.Invalid, "%s is larger than %d MiB; it is no configuration", path, maxFileBytes>>20)
		}
		text, err := os.ReadFile(path)
		if err == nil {
			return path, text, nil
		}
		if named != "" || !errors.Is(err, fs.ErrNotExist) {
			return path, nil, ops.Because(ops.Invalid, err, "the configuration file %s cannot be read", path)
		}
	}
	return "", nil, nil
}

func candidates(named string) []string {
	if named != "" {
		return []string{named}
	}
	paths := []string{"reeve.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "reeve", "reeve.yaml"))
	}
	return append(paths, "/etc/reeve/reeve.yaml")
}

// fromEnv reads REEVE_* variables; one that is no setting is an error.
func fromEnv(env []string) (map[string]any, error) {
	byName := map[string]string{}
	var names []string
	for _, key := range leaves(reflect.TypeFor[Config](), "") {
		byName[EnvName(key)] = key
		names = append(names, EnvName(key))
	}
	values := map[string]any{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "REEVE_") || slices.Contains(clientEnv, name) {
			continue
		}
		key, ok := byName[name]
		if !ok {
			return nil, ops.Errorf(ops.Invalid, "the environment variable %s is not a setting%s", name, meant(name, names))
		}
		values[key] = split(key, value)
	}
	return values, nil
}

// meant answers the hint for a variable that is no setting.
func meant(name string, names []string) string {
	if near := Nearest(name, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; unset it, or see docs/generated/config.md for those that are"
}

// split makes a list of a comma-separated text where the setting is a list.
func split(key, value string) any {
	t := reflect.TypeFor[Config]()
	for part := range strings.SplitSeq(key, ".") {
		if t.Kind() != reflect.Struct {
			return value
		}
		next, ok := fieldsOf(t)[part]
		if !ok {
			return value
		}
		t = next
	}
	if t.Kind() == reflect.Slice {
		return strings.Split(value, ",")
	}
	return value
}

// complete fills what depends on the machine.
func (c *Config) complete() error {
	if c.Data == "" {
		c.Data = defaultData()
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return ops.Because(ops.Invalid, err, "the data folder %s cannot be used", c.Data)
	}
	c.Data = abs
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, "reeve.db")
	}
	if c.TLSCert != "" != (c.TLSKey != "") {
		key := "tls_cert"
		if c.TLSCert == "" {
			key = "tls_key"
		}
		return c.Because(key, ops.Errorf(ops.Invalid, "tls_cert and tls_key go together; only one of them is set"))
	}
	return nil
}

func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/reeve"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "reeve")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "reeve")
	}
	return "data"
}
