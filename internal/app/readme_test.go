package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/config"
)

// TestReadmeConfigurationIsGood checks the example of the README as `reeve
// config check` would.
func TestReadmeConfigurationIsGood(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```yaml\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the README shows no configuration")
	}
	dir := t.TempDir()
	secret, file := filepath.Join(dir, "smtp"), filepath.Join(dir, "reeve.yaml")
	example = strings.ReplaceAll(example, "/etc/reeve/smtp", secret)
	for path, text := range map[string]string{secret: "hush", file: example} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckConfig(c); err != nil {
		t.Fatal(err)
	}
}
