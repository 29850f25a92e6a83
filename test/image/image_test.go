// Package image tries what the container images hold besides the programs.
package image

import (
	"bufio"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inImage tells the program of the tests that it is the one in an image.
const inImage = "TEST_IN_IMAGE"

func TestMain(m *testing.M) {
	if os.Getenv(inImage) == "" {
		os.Exit(m.Run())
	}
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		os.Exit(1)
	}
	os.Exit(0)
}

// TestImagesCanCheckHTTPS runs a program that sees nothing but what an image is
// made of. It is built without C, as all of Reeve is.
func TestImagesCanCheckHTTPS(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"agent", "server"} {
		dist, root := t.TempDir(), t.TempDir()
		if out, err := exec.Command("../../scripts/authorities", filepath.Join(dist, "ca-certificates.crt")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		program := ""
		for _, c := range copies(t, "../../packaging/Containerfile."+name) {
			from := filepath.Join(dist, c.from)
			if c.from == "${PROGRAM}" {
				from, program = self, c.to
			}
			copyFile(t, from, filepath.Join(root, c.to))
		}
		cmd := exec.Command(program)
		cmd.Path, cmd.Dir, cmd.Env = program, "/", []string{inImage + "=yes"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("a program in the image of the %s knows no certificate authority: %v %s", name, err, out)
		}
	}
}

// A fileCopy is a line COPY.
type fileCopy struct{ from, to string }

func copies(t *testing.T, path string) (all []fileCopy) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 && words[0] == "COPY" {
			all = append(all, fileCopy{words[1], words[2]})
		}
	}
	return all
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}
