package upgrade

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingKeepsTheAgentFromItsStart: what the service asks before a start
// says what is wrong, and never answers that it failed.
func TestNothingKeepsTheAgentFromItsStart(t *testing.T) {
	const trial = `{"id": "one", "version": "v1.1.0", "previous": "v1.0.0", "starts": 1}`
	for name, x := range map[string]struct {
		trial string
		harm  func(bin string) error
		says  string
	}{
		"damaged trial":   {"{", func(string) error { return nil }, "reeve-agent rollback"},
		"trial of others": {trial, func(bin string) error { return os.Chmod(bin+".upgrade", 0o666) }, "not believed"},
		"no room to count": {trial, func(bin string) error {
			return os.MkdirAll(filepath.Join(bin+".upgrade.tmp", "in the way"), 0o755)
		}, "cannot be written"},
		"nothing to put in its place": {strings.Replace(trial, `"starts": 1`, `"starts": 3`, 1), func(bin string) error {
			os.Remove(bin)
			return os.MkdirAll(filepath.Join(bin, "in the way"), 0o755)
		}, "cannot be replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t: t, dir: t.TempDir()}
			h.bin = filepath.Join(h.dir, "reeve-agent")
			copyFile(t, built(t, "v1.0.0"), h.bin+".previous")
			h.write("reeve-agent", []byte("the new one"))
			h.write("reeve-agent.upgrade", []byte(x.trial))
			if err := x.harm(h.bin); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(h.bin+".previous", "rollback", "--if-needed", "--data", h.dir).CombinedOutput()
			if err != nil || !strings.Contains(string(out), x.says) || !strings.Contains(string(out), "started all the same") {
				t.Errorf("%v: %s", err, out)
			}
			if !h.there(".previous") {
				t.Error("the program before is gone")
			}
		})
	}
}
