package collectors

import (
	"errors"
	"testing"

	"reeve/internal/collect"
)

func TestSensorsOfAServer(t *testing.T) {
	obs := onTree(t, "server", "temperature")
	near(t, obs, "host", "temperature_celsius", 58, "sensor", "coretemp/Package id 0")
	near(t, obs, "host", "temperature_critical_celsius", 100, "sensor", "coretemp/Package id 0")
	// Two chips of one name are told apart by what they are part of.
	near(t, obs, "host", "temperature_celsius", 44.85, "sensor", "nvme-nvme0/Composite")
	near(t, obs, "host", "temperature_celsius", 39.85, "sensor", "nvme-nvme1/Composite")
	near(t, obs, "host", "temperature_critical_celsius", 84.85, "sensor", "nvme-nvme0/Composite")
	near(t, obs, "host", "fan_rpm", 1204, "fan", "nct6775/CPU fan")
	near(t, obs, "host", "fan_rpm", 0, "fan", "nct6775/fan1")
	near(t, obs, "host", "temperature_celsius", 27.8, "sensor", "acpitz/temp1")
	for _, sensor := range []string{
		"nct6775/AUXTIN0", "nct6775/AUXTIN1", // inputs that nothing is connected to
		"zone/acpitz",     // the same as the chip
		"drivetemp/temp1", // reading it can keep a disk awake
	} {
		if v, ok := find(obs, "host", "temperature_celsius", "sensor", sensor); ok {
			t.Errorf("%s is %v", sensor, v)
		}
	}
	// 65 261 degrees is what NVMe disks say for no limit.
	if v, ok := find(obs, "host", "temperature_critical_celsius", "sensor", "nvme-nvme0/Sensor 2"); ok {
		t.Errorf("critical at %v", v)
	}
}

func TestThermalZone(t *testing.T) {
	obs := onTree(t, "raspberry", "temperature")
	near(t, obs, "host", "temperature_celsius", 62.322, "sensor", "zone/cpu-thermal")
	near(t, obs, "host", "temperature_critical_celsius", 110, "sensor", "zone/cpu-thermal")
}

func TestMachineWithoutSensors(t *testing.T) {
	if _, err := pass(t, open(t, "temperature", treeEnv(t, "old-kernel")), clock0); !errors.Is(err, collect.ErrAbsent) {
		t.Errorf("%v", err)
	}
}

func TestSensorsThatRepeat(t *testing.T) {
	root := t.TempDir()
	for _, n := range []string{"0", "1", "2"} {
		replace(t, root+"/sys/class/thermal/thermal_zone"+n+"/type", "soc-thermal\n")
		replace(t, root+"/sys/class/thermal/thermal_zone"+n+"/temp", "4"+n+"000\n")
	}
	obs := mustPass(t, open(t, "temperature", rootEnv(root)), clock0)
	near(t, obs, "host", "temperature_celsius", 40, "sensor", "zone/soc-thermal")
	near(t, obs, "host", "temperature_celsius", 42, "sensor", "zone/soc-thermal-3")
}

func FuzzParseInt(f *testing.F) {
	f.Add([]byte("-62000\n"))
	f.Add([]byte("9223372036854775808"))
	f.Add([]byte("--1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, ok := parseInt(b); !ok && n != 0 {
			t.Fatal("no number has a value")
		}
	})
}
