package config_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"reeve/internal/config"
	"reeve/internal/ops"
)

// composed answers the containers of a compose file in a folder of a name,
// with other files.
func composed(t *testing.T, folder, text string, more ...string) ([]string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	more = append(more, "compose.yaml", text)
	for i := 0; i < len(more); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, more[i]), []byte(more[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.ComposeContainers(filepath.Join(dir, "compose.yaml"))
}

func TestComposeFileNamesItsContainers(t *testing.T) {
	const all = `
services:
  web: {image: nginx, deploy: {replicas: 2}}
  db: {image: postgres, container_name: the-db}
  worker: {image: w, scale: 0}
  idle: {image: w, container_name: none, scale: 0}
  debug: {image: d, profiles: [debug]}
`
	for name, x := range map[string]struct {
		text string
		more []string
		want []string
	}{
		"all":      {all, nil, []string{"the-db", "myshop-web-1", "myshop-web-2"}},
		"named":    {"name: other\nservices: {a: {image: x}}", nil, []string{"other-a-1"}},
		"override": {all, []string{"compose.override.yaml", "services: {web: {deploy: {replicas: 1}}, db: {image: y}, mail: {image: z}}"}, []string{"the-db", "myshop-mail-1", "myshop-web-1"}},
		"project":  {"name: other\nservices: {a: {image: x}}", []string{".env", "COMPOSE_PROJECT_NAME=mine\n"}, []string{"mine-a-1"}},
		"profiles": {all, []string{".env", "COMPOSE_PROFILES=debug,other\n"}, []string{"the-db", "myshop-debug-1", "myshop-web-1", "myshop-web-2"}},
		"variables": {"services: {a: {image: x, scale: \"${N}\"}, b: {image: \"${TAG}\", container_name: \"${X:-front}\"}, c: {image: x, deploy: {replicas: \"${R:-2}\"}}}",
			[]string{".env", "N=2\n"}, []string{"myshop-a-1", "myshop-a-2", "front", "myshop-c-1", "myshop-c-2"}},
		"include":  {"include: [other.yaml]\nservices: {a: {image: x}}", []string{"other.yaml", "services: {b: {image: x, scale: 2}}"}, []string{"myshop-a-1", "myshop-b-1", "myshop-b-2"}},
		"extends":  {"services: {a: {extends: {file: base.yaml, service: b}}}", []string{"base.yaml", "services: {b: {image: x, scale: 2}}"}, []string{"myshop-a-1", "myshop-a-2"}},
		"reset":    {all, []string{"compose.override.yaml", "services: {db: {container_name: !reset null}, web: !reset null}"}, []string{"myshop-db-1"}},
		"required": {"services: {a: {image: \"x:${TAG:?}\", container_name: \"a${TAG:?}\"}}", []string{".env", "TAG=1\n"}, []string{"a1"}},
		"shell": {"services: {a: {image: \"x:${TAG:?}\", volumes: [\"${DATA}:/data\"], ports: [\"${PORT}:80\"], cpus: \"${CPUS}\", read_only: \"${RO}\", environment: {P: \"${PW:?}\"}}}",
			nil, []string{"myshop-a-1"}},
		"optional":       {"services: {a: {image: x, container_name: \"a${SUFFIX:-}\"}, b: {image: x, container_name: \"b${SUFFIX:+-x}\"}}", nil, []string{"a", "b"}},
		"odd":            {"version: '3'\nservices: {a: {image: x, nonsense: 1}}", nil, []string{"myshop-a-1"}},
		"other override": {all, []string{"compose.override.yml", "services: {web: {scale: 1, deploy: {replicas: 1}}}"}, []string{"the-db", "myshop-web-1"}},
		"files":          {all, []string{".env", "COMPOSE_FILE=a.yaml:b.yaml\n", "a.yaml", "services: {a: {image: x}}", "b.yaml", "services: {b: {image: x}}", "compose.override.yaml", "services: {c: {image: x}}"}, []string{"myshop-a-1", "myshop-b-1"}},
		"compatible":     {all, []string{".env", "COMPOSE_COMPATIBILITY=true\n"}, []string{"the-db", "myshop_web_1", "myshop_web_2"}},
		"provider":       {"services: {a: {image: x}, b: {provider: {type: cloud}}}", nil, []string{"myshop-a-1"}},
	} {
		if got, err := composed(t, "My Shop", x.text, x.more...); err != nil || !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, x.want)
		}
	}
	for _, x := range [][2]string{
		{"", "empty"}, {"[]", "mapping"}, {"services: {}", "no services"}, {"services: {a: {image: x, deploy: {replicas: 100000}}}", "between 0 and"}, {"a: [", "compose.yaml"},
		{"services: {a: {image: x, deploy: {replicas: -1}}}", "service"}, {"services: {a: {image: x, scale: \"${N}\"}}", "variable N is not set in .env"},
		{"services: {a: {image: x, container_name: \"a-${X}\"}}", "variable X is not set in .env"}, {"name: ${P}\nservices: {a: {image: x}}", "variable P is not set in .env"},
		{"services: {a: {image: x, scale: many}}", "scale"}, {"include: [none.yaml]\nservices: {a: {image: x}}", "none.yaml"},
		{"services: {a: {extends: {service: b}}}", "b"}, {"services: {a: {image: x, container_name: \"x${TAG:?}\"}}", "TAG"}, {strings.Repeat("#", 1<<20+1), "larger than 1 MiB"},
	} {
		got, err := composed(t, "x", x[0])
		if ops.KindOf(err) != ops.Invalid || !strings.Contains(err.Error(), x[1]) {
			t.Errorf("%.80q: %v, %v, want %q", x[0], got, err, x[1])
		}
	}
	if got, err := composed(t, "-_", "services: {web: {image: x}}"); err == nil {
		t.Errorf("a project without a name: %v", got)
	}
}

// TestAComposeFileBesideWhatCannotBeRead: .env may name the project.
func TestAComposeFileBesideWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{".env", "compose.override.yaml"} {
		path := filepath.Join(dir, file)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte("services: {a: {image: x}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := config.ComposeContainers(filepath.Join(dir, "compose.yaml")); ops.KindOf(err) != ops.Invalid || !strings.Contains(err.Error(), file+" cannot be read: it is not a regular file") {
			t.Errorf("%s is a pipe: %v, %v", file, got, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingOfAComposeFileGoesToTheTerminal: a part of a password looks like a
// variable that is not set. It is tried in a process of its own, in which
// nobody read a compose file before.
func TestNothingOfAComposeFileGoesToTheTerminal(t *testing.T) {
	const alone = "TEST_COMPOSE_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1")
		var said bytes.Buffer
		cmd.Stderr = &said
		if out, err := cmd.Output(); err != nil || said.Len() > 0 {
			t.Errorf("%v: %s\nit says %q", err, out, said.String())
		}
		return
	}
	got, err := composed(t, "shop", "version: '3'\nservices: {a: {image: \"${A:-${B}}${C}\"}}", ".env", "PASSWORD=abc$tail\nHASH=\"$2y$10$Kj3x\"\n")
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzComposeContainers(f *testing.F) {
	f.Add([]byte("services: {a: {image: x, deploy: {replicas: 2}}}"), []byte("A=1"))
	dir := f.TempDir()
	path := filepath.Join(dir, "compose.yaml")
	f.Fuzz(func(t *testing.T, text, env []byte) {
		if bytes.Contains(text, []byte("include")) || bytes.Contains(text, []byte("extends")) {
			return // it may name any file of this machine
		}
		for file, text := range map[string][]byte{path: text, filepath.Join(dir, ".env"): env} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		config.ComposeContainers(path)
	})
}

func TestWindowsSayWhatIsDesiredNow(t *testing.T) {
	for _, x := range []struct{ window, at, want string }{
		{"08:00-20:00", "08:00", "running"}, {"08:00-20:00", "19:59", "running"}, {"08:00-20:00", "20:00", "stopped"}, {"08:00-20:00", "07:59", "stopped"},
		{"22:00-06:00", "23:30", "running"}, {"22:00-06:00", "05:59", "running"}, {"22:00-06:00", "12:00", "stopped"},
	} {
		at, err := time.Parse("15:04", x.at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := (config.Workload{Window: x.window}).At(at); err != nil || got != x.want {
			t.Errorf("%s at %s: %s, %v", x.window, x.at, got, err)
		}
	}
	for _, wrong := range []string{"8-20", "08:00", "08:00-08:00", "25:00-26:00", "morning"} {
		if _, err := (config.Workload{Window: wrong}).At(time.Now()); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestAComposeFileThatIsMissingIsAnError(t *testing.T) {
	dir := t.TempDir()
	if _, err := (config.Workload{Compose: filepath.Join(dir, "compose.yml")}).Expanded(); err == nil {
		t.Error("a missing file is taken")
	}
	path := filepath.Join(dir, "compose.yml")
	if err := os.WriteFile(path, []byte("name: shop\nservices: {web: {image: x}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.WriteFile("compose.override.yml", []byte("services: {web: {scale: 2}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := (config.Workload{Compose: "compose.yml", Driver: "docker", Host: "web1"}).Expanded()
	if err != nil || len(all) != 2 || all[1].Name != "shop-web-2" || all[0].Host != "web1" {
		t.Errorf("%+v, %v", all, err)
	}
}
