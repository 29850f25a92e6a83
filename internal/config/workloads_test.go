package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reeve/internal/config"
)

func TestComposeFileNamesItsContainers(t *testing.T) {
	const text = `
services:
  web: {image: nginx, deploy: {replicas: 2}}
  db: {image: postgres, container_name: the-db}
  worker: {image: w, scale: 0}
  debug: {image: d, profiles: [debug]}
`
	got, err := config.ComposeContainers("My Shop", []byte(text))
	if want := []string{"the-db", "myshop-web-1", "myshop-web-2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := config.ComposeContainers("shop", []byte("name: Other\nservices: {a: {image: x}}")); err != nil || !slices.Equal(got, []string{"other-a-1"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "[]", "services: {}", "services: {a: {deploy: {replicas: 100000}}}", "a: [",
		"services: {a: {deploy: {replicas: -1}}}", "services: {a: {deploy: {replicas: \"${N:-2}\"}}}", "services: {a: {container_name: \"${X:-front}\"}}",
		"name: ${P:-shop}\nservices: {a: {image: x}}", "include: [other.yaml]\nservices: {a: {image: x}}", "services: {a: {extends: {service: b}}}",
		"services: {a: {image: x}}\n---\nservices: {b: {image: x}}"} {
		if got, err := config.ComposeContainers("x", []byte(wrong)); err == nil {
			t.Errorf("%q: %v", wrong, got)
		}
	}
}

// TestComposeFilesLieOverEachOther, a service without replicas makes nothing
// whatever its name, and a project needs a name.
func TestComposeFilesLieOverEachOther(t *testing.T) {
	got, err := config.ComposeContainers("shop", []byte("services: {web: {image: x, scale: 2}, db: {container_name: the-db}, off: {container_name: none, scale: 0}}"),
		[]byte("services: {web: {deploy: {replicas: 3}}, db: {image: y}, mail: {image: z}, old: {profiles: [old]}}"))
	if want := []string{"the-db", "shop-mail-1", "shop-web-1", "shop-web-2", "shop-web-3"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := config.ComposeContainers(".", []byte("services: {web: {image: x}}")); err == nil {
		t.Errorf("a project without a name: %v", got)
	}
}

func FuzzComposeContainers(f *testing.F) {
	f.Add([]byte("services: {a: {image: x, deploy: {replicas: 2}}}"), "shop")
	f.Fuzz(func(t *testing.T, text []byte, folder string) {
		config.ComposeContainers(folder, text, text)
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
