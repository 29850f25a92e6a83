package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"reeve/internal/detectors"
)

// realParts are the conditions that are proven on real parts of the machine,
// or on parts of Reeve itself, with the test that does.
var realParts = map[string]func(*testing.T){
	"fs_full": TestFullDiskIsToldAndTakenBack, "fs_full_soon": TestFullSoon,
	"fs_inodes_full": TestLiveMachine, "fs_read_only": TestLiveMachine, "host_memory_high": TestLiveMachine,
	"host_cpu_high": TestLiveMachine, "zombies": TestLiveMachine, "oom_kill": TestLiveMachine,
	"kernel_io_error": TestLiveMachine, "hung_task": TestLiveMachine, "hardware_error": TestLiveMachine, "check_failing": TestLiveMachine,
	"heartbeat_missing": TestLiveMachine, "certificate_expiring": TestExpiringCertificate,
	"container_unhealthy": TestContainers, "container_oom_killed": TestContainers, "container_exited_badly": TestContainers,
	"container_restart_loop": TestContainers, "container_memory_near_limit": TestContainers,
	"service_degraded": TestContainers, "service_down": TestContainers, "log_errors_surging": TestContainers,
	"memory_pressure": TestContainers,
	"data_missing":    TestStuckCollector, "store_degraded": TestMetricsStoreDown, "loop_failing": TestMetricsStoreDown,
	"channel_failing": TestChannelFailing, "model_failing": TestModelFailing,
	"lost": TestWorkloads, "drift": TestWorkloads, "unowned": TestWorkloads, "stopped_unexpectedly": TestWorkloads,
	"operation_overdue": TestWorkloads, "protocol": TestWorkloads,
}

// otherHosts are the conditions that need more machines than this one, with
// the file that proves them on real processes in network namespaces.
var otherHosts = map[string]string{
	"host_unreachable": "../fleet", "control_path_lost": "../../internal/fleet", "monitor_blind": "../fleet", "clock_skew": "../fleet",
	"server_away":       "../fleet",
	"identity_conflict": "../fleet", "agent_outdated": "../upgrade",
}

// TestEveryConditionIsProven: a detector that nobody has seen to find
// anything in the real program may not be wired at all.
func TestEveryConditionIsProven(t *testing.T) {
	proven := map[string]bool{}
	for condition := range realParts {
		proven[condition] = true
	}
	for _, rows := range [][]row{serverRows, {zombieRow(1)}, nasRows, diskRows, hostRows, packageRows, gpuRows, amdRows} {
		for _, r := range rows {
			proven[r.condition] = true
		}
	}
	for condition, folder := range otherHosts {
		proven[condition] = awaited(t, folder, condition)
	}
	for _, d := range detectors.All() {
		if !proven[d.Name] {
			t.Errorf("no test of this package proves that %s is found: add a row to a recorded machine, or break a real part", d.Name)
		}
		delete(proven, d.Name)
	}
	for condition := range proven {
		t.Errorf("there is no condition %s", condition)
	}
}

// awaited reports whether the tests of a folder await a condition.
func awaited(t *testing.T, folder, condition string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(`"`+condition)) {
			return true
		}
	}
	return false
}
