package collectors

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"reeve/internal/collect"
)

const dnfCheckUpdate = `
kernel.x86_64                  5.14.0-503.19.1.el9_5       baseos
openssl-libs.x86_64            1:3.2.2-6.el9_5.1           baseos
vim-common.x86_64              2:8.2.2637-21.el9           appstream
Obsoleting Packages
grub2-tools.x86_64             1:2.06-80.el9               baseos
    grub2-tools.x86_64         1:2.06-77.el9               @baseos
`

const dnfAdvisories = `RHSA-2025:0059 Important/Sec. kernel-5.14.0-503.19.1.el9_5.x86_64
RHSA-2025:1330 Moderate/Sec.  openssl-libs-1:3.2.2-6.el9_5.1.x86_64
RHSA-2025:1346 Moderate/Sec.  openssl-libs-1:3.2.2-6.el9_5.1.x86_64
FEDORA-2026-1a2b security Important curl-8.9.1-3.fc41.x86_64 2026-02-11 01:02:03
`

func TestOtherPackageManagers(t *testing.T) {
	for _, c := range []struct {
		name     string
		recorded map[string]collect.Output
		want     updateCount
	}{
		{"dnf", map[string]collect.Output{
			"dnf -q -C check-update":               {Exit: dnfUpdates, Stdout: []byte(dnfCheckUpdate)},
			"dnf -q -C updateinfo list --security": {Stdout: []byte(dnfAdvisories)},
		}, updateCount{3, 3}},
		{"dnf without advisories", map[string]collect.Output{
			"dnf -q -C check-update":               {},
			"dnf -q -C updateinfo list --security": {Exit: 1},
		}, updateCount{0, -1}},
		{"apk", map[string]collect.Output{
			"apk version -l <": {Stdout: []byte("Installed:                                Available:\nbusybox-1.36.1-r15                      < 1.36.1-r29 \nmusl-1.2.4-r1 < 1.2.4-r2\n")},
		}, updateCount{2, -1}},
	} {
		env := answers(rootEnv(t.TempDir()), c.recorded)
		got, err := updateSource(env)(t.Context(), env)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v %v, want %+v", c.name, got, err, c.want)
		}
	}
}

// TestPackageManagerIsAskedSeldom: every 6 h, and an hour after a failure; in
// between the last count stands.
func TestPackageManagerIsAskedSeldom(t *testing.T) {
	env := toolEnv(t, "systemdhost")
	run, asked, broken := env.Run, 0, false
	env.Run = func(ctx context.Context, tool string, args ...string) (collect.Output, error) {
		asked++
		if broken {
			return collect.Output{}, errors.New("no memory")
		}
		return run(ctx, tool, args...)
	}
	c := open(t, "updates", env)
	for _, step := range []struct {
		after  time.Duration
		broken bool
		asked  int
		fails  bool
	}{
		{0, false, 1, false}, {time.Hour, false, 1, false}, {6 * time.Hour, true, 2, true},
		{6*time.Hour + 5*time.Minute, true, 2, true}, {7 * time.Hour, false, 3, false}, {12 * time.Hour, false, 3, false},
	} {
		broken = step.broken
		obs, err := pass(t, c, clock0.Add(step.after))
		if asked != step.asked || (err != nil) != step.fails {
			t.Errorf("after %v: asked %d times, want %d; error %v", step.after, asked, step.asked, err)
		}
		if value(t, obs, "host", "updates_pending_count") != 4 {
			t.Errorf("after %v the count is lost", step.after)
		}
	}
}

func TestRebootNeed(t *testing.T) {
	for _, c := range []struct {
		name, running string
		files         map[string]string
		required      string
		reason        string
	}{
		{"nothing", "6.1.0-28-amd64", nil, "false", ""},
		{"newest runs", "6.1.0-30-amd64", map[string]string{"boot/vmlinuz-6.1.0-9-amd64": "", "boot/vmlinuz-6.1.0-30-amd64": ""}, "false", ""},
		{"booted from elsewhere", "6.18.44-fc", map[string]string{"boot/vmlinuz-6.19.0-fc": ""}, "false", ""},
		{"other flavour", "6.1.0-9-amd64", map[string]string{"boot/vmlinuz-6.1.0-9-amd64": "", "boot/vmlinuz-6.1.0-30-cloud-amd64": ""}, "false", ""},
		{"RHEL", "5.14.0-427.13.1.el9_4.x86_64", map[string]string{"boot/vmlinuz-5.14.0-427.13.1.el9_4.x86_64": "", "boot/vmlinuz-5.14.0-503.9.1.el9_5.x86_64": "",
			"boot/vmlinuz-0-rescue-0a1b": ""}, "true", "kernel 5.14.0-503.9.1.el9_5.x86_64 is installed, 5.14.0-427.13.1.el9_4.x86_64 is running"},
		{"without packages", "6.1.0", map[string]string{"var/run/reboot-required": "x"}, "true", "a package asks for it"},
	} {
		root := t.TempDir()
		files := map[string]string{"proc/sys/kernel/osrelease": c.running + "\n"}
		for path, text := range c.files {
			files[path] = text
		}
		for path, text := range files {
			full := filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := rebootNeed(rootEnv(root))
		if got["reboot_required"] != c.required || got["reboot_reason"] != c.reason {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
