package collectors

import (
	"os"
	"path/filepath"
	"testing"

	"reeve/internal/collect"
)

const vgsCommand = "vgs --reportformat json --units b --nosuffix -o " + lvmFields

func TestLVMGapsAndAbsence(t *testing.T) {
	root := t.TempDir()
	if _, err := pass(t, open(t, "lvm", rootEnv(root)), clock0); err != collect.ErrAbsent {
		t.Errorf("without LVM: %v", err)
	}
	none := answers(rootEnv(root), map[string]collect.Output{vgsCommand: {Stdout: []byte(`{"report":[{"vg":[]}]}`)}})
	if _, err := pass(t, open(t, "lvm", none), clock0); err != collect.ErrAbsent {
		t.Errorf("without a group: %v", err)
	}
	dm := filepath.Join(root, "sys", "block", "dm-0", "dm")
	if err := os.MkdirAll(dm, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dm, "uuid"), []byte("LVM-x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	obs := mustPass(t, open(t, "lvm", rootEnv(root)), clock0)
	if got, want := seenText(obs), `gap "LVM volume groups" "vgs is not installed" "apt install lvm2"`+"\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	denied := answers(rootEnv(root), map[string]collect.Output{vgsCommand: {Exit: 5, Stderr: []byte(
		"  WARNING: Running as a non-root user. Functionality may be unavailable.\n  /run/lock/lvm/P_global:aux: open failed: Permission denied\n")}})
	obs = mustPass(t, open(t, "lvm", denied), clock0)
	if got, want := seenText(obs), `gap "LVM volume groups" "the agent may not read the disks' labels" "run the agent as root"`+"\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	broken := answers(rootEnv(root), map[string]collect.Output{vgsCommand: {Exit: 5, Stderr: []byte("  Internal error")}})
	if _, err := pass(t, open(t, "lvm", broken), clock0); err == nil {
		t.Error("a failing vgs is no error")
	}
}

func TestVgsSizesWithSuffix(t *testing.T) {
	groups, err := parseVgs([]byte(`{"report":[{"vg":[{"vg_name":"a","vg_size":"100B","vg_free":"25B","vg_missing_pv_count":"0","vg_partial":""}]}]}`))
	if err != nil || len(groups) != 1 || groups[0] != (volumeGroup{Name: "a", Size: 100, Free: 25}) {
		t.Errorf("%+v %v", groups, err)
	}
}
