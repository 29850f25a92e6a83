package collectors

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "temperature",
	Doc: "Temperatures and fans of hwmon chips, and thermal zones that no chip shows. " +
		"The drivetemp chip is left out: reading it can keep a disk awake.",
	// Some chips answer over a slow bus, so this is not read every 10 s.
	Every: 30 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "temperature_celsius", Unit: "celsius", Doc: "A sensor's temperature.", Labels: []string{"sensor"}},
		{Name: "temperature_critical_celsius", Unit: "celsius", Doc: "The temperature that the maker calls critical.", Labels: []string{"sensor"}},
		{Name: "fan_rpm", Unit: "rpm", Doc: "A fan's speed.", Labels: []string{"fan"}},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open:  func(env collect.Env) collect.Collector { return &temperature{env: env} },
})

const (
	sensorMax     = 256
	sensorRefresh = 10 * time.Minute
)

type temperature struct {
	env     collect.Env
	sensors []sensor
	found   time.Time
}

// A sensor is one input and how it is called.
type sensor struct {
	name, path, fault string
	fan               bool
	critical          float64 // in degrees; 0 when the chip does not say
}

// Collect reads the inputs; which there are it looks up now and then.
func (t *temperature) Collect(_ context.Context, out *collect.Batch) error {
	if age := out.Now.Sub(t.found); len(t.sensors) == 0 || age < 0 || age > sensorRefresh {
		t.sensors, t.found = findSensors(t.env), out.Now
	}
	if len(t.sensors) == 0 {
		return collect.ErrAbsent
	}
	for _, s := range t.sensors {
		t.read(s, out)
	}
	return nil
}

// read reports one sensor. One that cannot be read or is not connected is
// left out: chips have inputs that no board uses.
func (t *temperature) read(s sensor, out *collect.Batch) {
	v, ok := readInt(s.path)
	if !ok {
		return
	}
	if s.fan {
		if v >= 0 && v < 1e6 {
			out.Add(out.HostRef(), "fan_rpm", float64(v), "fan", s.name)
		}
		return
	}
	if broken, ok := readInt(s.fault); ok && broken != 0 {
		return
	}
	degrees := float64(v) / 1000
	if !plausible(degrees) {
		return
	}
	out.Add(out.HostRef(), "temperature_celsius", degrees, "sensor", s.name)
	if s.critical > 0 {
		out.Add(out.HostRef(), "temperature_critical_celsius", s.critical, "sensor", s.name)
	}
}

// plausible refuses what open inputs read: the ends of the range of a signed
// byte, and exactly nothing.
func plausible(degrees float64) bool { return degrees > -60 && degrees < 127 && degrees != 0 }

func readInt(path string) (int64, bool) {
	b, err := readSmall(path)
	if err != nil {
		return 0, false
	}
	return parseInt(b)
}

func parseInt(b []byte) (int64, bool) {
	b = bytes.TrimSpace(b)
	digits, negative := bytes.CutPrefix(b, []byte("-"))
	n, ok := parseUint(digits)
	if !ok || n > 1<<62 {
		return 0, false
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}

func findSensors(env collect.Env) []sensor {
	sensors, chips := findChips(env)
	sensors = append(sensors, findZones(env, chips)...)
	return sensors[:min(len(sensors), sensorMax)]
}

// findChips answers the inputs of all hwmon chips and the names of the chips.
// A name that several chips share (two NVMe disks) gets the device with it.
func findChips(env collect.Env) (sensors []sensor, chips []string) {
	dirs, _ := os.ReadDir(env.SysPath("class", "hwmon"))
	names := make([]string, len(dirs))
	for i, d := range dirs {
		names[i], _ = readWord(env.SysPath("class", "hwmon", d.Name(), "name"))
	}
	for i, d := range dirs[:min(len(dirs), sensorMax)] {
		dir, chip := env.SysPath("class", "hwmon", d.Name()), redact.Line(names[i], 64)
		if chip == "" || chip == "drivetemp" {
			continue
		}
		chips = append(chips, chip)
		if slices.Index(names, names[i]) != i || slices.Contains(names[i+1:], names[i]) {
			chip += "-" + deviceOf(dir, d.Name())
		}
		sensors = append(sensors, inputsOf(dir, chip)...)
	}
	return sensors, chips
}

// deviceOf answers what a chip is part of; the number of a chip changes from
// boot to boot and serves only where there is nothing better.
func deviceOf(dir, number string) string {
	link, err := os.Readlink(filepath.Join(dir, "device"))
	if err != nil {
		return number
	}
	return redact.Line(filepath.Base(link), 64)
}

func inputsOf(dir, chip string) []sensor {
	entries, _ := os.ReadDir(dir)
	var sensors []sensor
	for _, e := range entries {
		input, ok := strings.CutSuffix(e.Name(), "_input")
		fan := strings.HasPrefix(input, "fan")
		if !ok || !fan && !strings.HasPrefix(input, "temp") {
			continue
		}
		at := func(what string) string { return filepath.Join(dir, input+"_"+what) }
		name := input
		if label, ok := readWord(at("label")); ok {
			name = redact.Line(label, 64)
		}
		s := sensor{name: chip + "/" + name, path: at("input"), fault: at("fault"), fan: fan}
		if v, ok := readInt(at("crit")); ok && !fan && plausible(float64(v)/1000) && v > 0 {
			s.critical = float64(v) / 1000
		}
		sensors = append(sensors, s)
	}
	return distinct(sensors)
}

// findZones answers the thermal zones that are not a hwmon chip as well.
func findZones(env collect.Env, chips []string) []sensor {
	dirs, _ := os.ReadDir(env.SysPath("class", "thermal"))
	var sensors []sensor
	for _, d := range dirs {
		dir := env.SysPath("class", "thermal", d.Name())
		kind, ok := readWord(filepath.Join(dir, "type"))
		// hwmon takes a zone's name over with every dash replaced.
		twin := slices.Contains(chips, kind) || slices.Contains(chips, strings.ReplaceAll(kind, "-", "_"))
		if !ok || twin || !strings.HasPrefix(d.Name(), "thermal_zone") || len(sensors) >= sensorMax {
			continue
		}
		sensors = append(sensors, sensor{name: "zone/" + redact.Line(kind, 64), path: filepath.Join(dir, "temp"), critical: criticalTrip(dir)})
	}
	return distinct(sensors)
}

// criticalTrip answers the temperature at which the kernel shuts down.
func criticalTrip(dir string) float64 {
	for i := range 16 {
		kind, ok := readWord(filepath.Join(dir, fmt.Sprintf("trip_point_%d_type", i)))
		if !ok {
			return 0
		}
		if v, ok := readInt(filepath.Join(dir, fmt.Sprintf("trip_point_%d_temp", i))); ok && kind == "critical" && v > 0 && plausible(float64(v)/1000) {
			return float64(v) / 1000
		}
	}
	return 0
}

// distinct numbers the names that repeat.
func distinct(sensors []sensor) []sensor {
	count := map[string]int{}
	for i := range sensors {
		s := &sensors[i]
		kind := s.name + "\x00" + strconv.FormatBool(s.fan)
		if count[kind]++; count[kind] > 1 {
			s.name += "-" + strconv.Itoa(count[kind])
		}
	}
	return sensors
}
