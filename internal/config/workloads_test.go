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
	got, err := config.ComposeContainers([]byte(text), "My Shop")
	if want := []string{"the-db", "myshop-web-1", "myshop-web-2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := config.ComposeContainers([]byte("name: Other\nservices: {a: {image: x}}"), "shop"); err != nil || !slices.Equal(got, []string{"other-a-1"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "[]", "services: {}", "services: {a: {deploy: {replicas: 100000}}}", "a: ["} {
		if got, err := config.ComposeContainers([]byte(wrong), "x"); err == nil {
			t.Errorf("%q: %v", wrong, got)
		}
	}
}

func FuzzComposeContainers(f *testing.F) {
	f.Add([]byte("services: {a: {image: x, deploy: {replicas: 2}}}"), "shop")
	f.Fuzz(func(t *testing.T, text []byte, folder string) {
		config.ComposeContainers(text, folder)
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
	all, err := (config.Workload{Compose: path, Driver: "docker", Host: "web1"}).Expanded()
	if err != nil || len(all) != 1 || all[0].Name != "shop-web-1" || all[0].Host != "web1" {
		t.Errorf("%+v, %v", all, err)
	}
}
