package collectors

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reeve/internal/collect"
)

const smartArgs = "smartctl --json=c -n standby,7 -a "

func smartScan(devices string) collect.Output {
	return collect.Output{Stdout: []byte(`{"smartctl":{"exit_status":0},"devices":[` + devices + `]}`)}
}

func TestMissingSmartctlIsAGapOnlyWhereItWouldHelp(t *testing.T) {
	root := t.TempDir()
	block := filepath.Join(root, "sys", "block")
	if err := os.MkdirAll(filepath.Join(block, "vda"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := pass(t, open(t, "smart", rootEnv(root)), clock0); err != collect.ErrAbsent {
		t.Errorf("a virtual disk has no SMART, got %v", err)
	}
	if err := os.Mkdir(filepath.Join(block, "sda"), 0o755); err != nil {
		t.Fatal(err)
	}
	obs := mustPass(t, open(t, "smart", rootEnv(root)), clock0)
	want := `gap "SMART" "smartctl is not installed" "apt install smartmontools"` + "\n"
	if got := seenText(obs); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestMissingPermissionIsOneGap(t *testing.T) {
	denied := collect.Output{Exit: 2, Stdout: []byte(`{"smartctl":{"messages":[{"string":` +
		`"Smartctl open device: /dev/sda failed: Permission denied","severity":"error"}],"exit_status":2}}`)}
	env := answers(rootEnv(t.TempDir()), map[string]collect.Output{
		"smartctl --scan --json": smartScan(`{"name":"/dev/sda","type":"scsi"},{"name":"/dev/sdb","type":"scsi"}`),
		smartArgs + "/dev/sda":   denied, smartArgs + "/dev/sdb": denied,
	})
	obs := mustPass(t, open(t, "smart", env), clock0)
	want := `gap "SMART" "the agent may not open the disks" "run the agent as root or give it CAP_SYS_RAWIO, and CAP_SYS_ADMIN for NVMe disks"` + "\n"
	if got := seenText(obs); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// TestSleepingDiskIsNotTouched: a disk that the kernel suspended is not even
// opened, and one of the option skip neither.
func TestSleepingDiskIsNotTouched(t *testing.T) {
	root := t.TempDir()
	power := filepath.Join(root, "sys", "block", "sda", "device", "power")
	if err := os.MkdirAll(power, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(power, "runtime_status"), []byte("suspended\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := answers(rootEnv(root), map[string]collect.Output{
		"smartctl --scan --json": smartScan(`{"name":"/dev/sda","type":"scsi"},{"name":"/dev/sdb","type":"scsi"}`),
	})
	env.Option = func(name string) string { return map[string]string{"skip": " sdb ,sdz"}[name] }
	obs := mustPass(t, open(t, "smart", env), clock0)
	want := `see disk linux/disk:sda "sda" standby="true"` + "\n"
	if got := seenText(obs); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// TestOneBrokenDiskDoesNotHideOthers, and what cannot speak SMART is left out.
func TestOneBrokenDiskDoesNotHideOthers(t *testing.T) {
	env := answers(rootEnv(t.TempDir()), map[string]collect.Output{
		"smartctl --scan --json": smartScan(`{"name":"/dev/sda","type":"scsi"},{"name":"/dev/sdb","type":"scsi"},` +
			`{"name":"/dev/sdc","type":"scsi"},{"name":"/dev/sdd","type":"usbjmicron"},{"name":"-x","type":""},{"name":"/dev/sdx","type":"-d"}`),
		smartArgs + "/dev/sda": {Stdout: []byte("{")},
		smartArgs + "/dev/sdb": {Stdout: []byte(`{"smart_support":{"available":false},"model_name":"QEMU HARDDISK"}`)},
		smartArgs + "/dev/sdc": {Exit: 8, Stdout: []byte(`{"smart_status":{"passed":true},"temperature":{"current":"warm"},"power_on_time":{"hours":5}}`)},
		smartArgs + "-d usbjmicron /dev/sdd": {Exit: 1, Stdout: []byte(`{"smartctl":{"messages":[{"string":` +
			`"/dev/sdd: Unknown USB bridge [0x152d:0x0583 (0x209)]"}]}}`)},
	})
	obs, err := pass(t, open(t, "smart", env), clock0)
	if err == nil {
		t.Error("the broken answer of sda is no error")
	}
	want := `gap "SMART of sdd" "smartctl cannot read it: /dev/sdd: Unknown USB bridge [0x152d:0x0583 (0x209)]" ` +
		`"skip it with the option skip of the collector smart, or give the bridge's type to smartctl's drive database"
sample linux/disk:sdc disk_power_on_hours 5
sample linux/disk:sdc disk_smart_passed 0
see disk linux/disk:sdc "sdc" smart_passed="false" smart_reason="the disk reports that it is failing" standby="false"
`
	if got := seenText(obs); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestSmartctlThatDoesNotRunIsAnError(t *testing.T) {
	env := answers(rootEnv(t.TempDir()), map[string]collect.Output{"smartctl --scan --json": {}})
	broken := errors.New("out of memory")
	env.Run = func(context.Context, string, ...string) (collect.Output, error) { return collect.Output{}, broken }
	if _, err := pass(t, open(t, "smart", env), clock0); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestNVMeWarningsAreNamed(t *testing.T) {
	r, err := parseSmart[smartReport]([]byte(`{"smart_status":{"passed":false},"nvme_smart_health_information_log":{"critical_warning":9}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.reason(false), "spare blocks are below their threshold; media is read-only"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
}

// TestWearIsReadWhereTheMakerPutIt: the same number of an attribute means
// something else on a rotating disk.
func TestWearIsReadWhereTheMakerPutIt(t *testing.T) {
	for _, c := range []struct {
		json string
		want float64
	}{
		{`{"rotation_rate":0,"ata_smart_attributes":{"table":[{"id":231,"name":"SSD_Life_Left","value":91}]}}`, 0.09},
		{`{"rotation_rate":0,"ata_smart_attributes":{"table":[{"id":202,"name":"Percent_Lifetime_Remain","value":40}]}}`, 0.6},
		{`{"rotation_rate":0,"ata_smart_attributes":{"table":[{"id":233,"name":"Media_Wearout_Indicator","value":99}]}}`, 0.01},
		{`{"rotation_rate":0,"ata_smart_attributes":{"table":[{"id":173,"name":"Ave_Block-Erase_Count","value":75}]}}`, 0.25},
		{`{"rotation_rate":0,"endurance_used":{"current_percent":7},"spare_available":{"current_percent":90}}`, 0.07},
		{`{"scsi_percentage_used_endurance_indicator":3}`, 0.03},
		{`{"rotation_rate":7200,"ata_smart_attributes":{"table":[{"id":202,"name":"Data_Address_Mark_Errs","value":100}]}}`, -1},
		{`{"rotation_rate":0,"ata_smart_attributes":{"table":[{"id":231,"name":"Temperature_Celsius","value":60}]}}`, -1},
	} {
		r, err := parseSmart[smartReport]([]byte(c.json))
		if err != nil {
			t.Fatal(err)
		}
		got := -1.0
		if i := slices.IndexFunc(r.values(), func(v smartValue) bool { return v.metric == "disk_wear_ratio" }); i >= 0 {
			got = r.values()[i].value
		}
		if got != c.want {
			t.Errorf("%s: wear %g, want %g", c.json, got, c.want)
		}
	}
}

// TestFailingDiskStaysFailingInItsSleep: what it said awake stands.
func TestFailingDiskStaysFailingInItsSleep(t *testing.T) {
	recorded := map[string]collect.Output{
		"smartctl --scan --json": smartScan(`{"name":"/dev/sda","type":"scsi"}`),
		smartArgs + "/dev/sda":   {Exit: 8, Stdout: []byte(`{"smart_status":{"passed":false}}`)},
	}
	c := open(t, "smart", answers(rootEnv(t.TempDir()), recorded))
	mustPass(t, c, clock0)
	recorded[smartArgs+"/dev/sda"] = collect.Output{Exit: smartStandby, Stdout: []byte("{}")}
	obs := mustPass(t, c, clock0)
	want := `see disk linux/disk:sda "sda" smart_passed="false" smart_reason="the disk reports that it is failing" standby="true"` + "\n"
	if got := seenText(obs); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// TestDisksAreListedAnewWhenTheyMayBeOthers, and not in every pass.
func TestDisksAreListedAnewWhenTheyMayBeOthers(t *testing.T) {
	env := rootEnv(t.TempDir())
	scans := 0
	env = answers(env, map[string]collect.Output{"smartctl --scan --json": smartScan("")})
	run := env.Run
	env.Run = func(ctx context.Context, tool string, args ...string) (collect.Output, error) {
		scans++
		return run(ctx, tool, args...)
	}
	c := open(t, "smart", env)
	for i, s := range []struct {
		at    time.Duration
		disk  string
		scans int
	}{{0, "sda", 1}, {15 * time.Second, "", 1}, {30 * time.Second, "sdb", 2}, {9 * time.Minute, "", 2}, {11 * time.Minute, "", 3}} {
		if s.disk != "" {
			if err := os.MkdirAll(env.SysPath("block", s.disk), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := pass(t, c, clock0.Add(s.at)); err != collect.ErrAbsent || scans != s.scans {
			t.Errorf("pass %d: %d scans, want %d (%v)", i, scans, s.scans, err)
		}
	}
}
