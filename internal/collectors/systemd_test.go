package collectors

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// fakeUnits answers systemctl for units of the given states.
func fakeUnits(t *testing.T, states map[string]string) collect.Env {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "run", "systemd", "system"), 0o755); err != nil {
		t.Fatal(err)
	}
	env := answers(rootEnv(root), map[string]collect.Output{"systemctl x": {}})
	env.Run = func(_ context.Context, _ string, args ...string) (collect.Output, error) {
		var rows, blocks []string
		for name, state := range states {
			rows = append(rows, fmt.Sprintf(`{"unit":%q,"load":"loaded","active":%q,"sub":"x"}`, name, state))
		}
		if args[0] == "list-units" {
			return collect.Output{Stdout: []byte("[" + strings.Join(rows, ",") + "]")}, nil
		}
		for _, name := range args[3:] {
			blocks = append(blocks, fmt.Sprintf("Result=exit-code\nId=%s\nActiveState=%s\nStateChangeTimestampMonotonic=77\n", name, states[name]))
		}
		return collect.Output{Stdout: []byte(strings.Join(blocks, "\n"))}, nil
	}
	return env
}

// TestUnitFailsOnce: what had failed before the agent came is a state; what
// fails while it looks is an event as well, and once.
func TestUnitFailsOnce(t *testing.T) {
	states := map[string]string{"old.service": "failed", "new.service": "active"}
	c := open(t, "systemd", fakeUnits(t, states))
	if obs := mustPass(t, c, clock0); len(obs.Events) != 0 {
		t.Errorf("first pass: %s", seenText(obs))
	}
	states["new.service"] = "failed"
	obs := mustPass(t, c, clock0.Add(time.Minute))
	if len(obs.Events) != 1 {
		t.Fatalf("second pass: %s", seenText(obs))
	}
	e := obs.Events[0]
	if e.Type != ops.EventUnitFailed || e.Resource.Key != "new.service" || e.Facts["result"] != "exit-code" || e.SourceID != ":new.service:77" {
		t.Errorf("%+v", e)
	}
	if value(t, obs, "host", "units_failed_count") != 2 {
		t.Error("the failed units are not counted")
	}
	if obs := mustPass(t, c, clock0.Add(2*time.Minute)); len(obs.Events) != 0 {
		t.Errorf("third pass: %s", seenText(obs))
	}
}

// TestUnitsAreBounded: the failed ones are never cut off, and a list that was
// cut is not said to be whole.
func TestUnitsAreBounded(t *testing.T) {
	states := map[string]string{"zz.service": "failed"}
	for i := range systemdMaxUnits + 50 {
		states[fmt.Sprintf("a%d.service", i)] = "active"
	}
	obs := mustPass(t, open(t, "systemd", fakeUnits(t, states)), clock0)
	if len(obs.Sightings) != systemdMaxUnits || len(obs.Complete) != 0 {
		t.Errorf("%d units, whole %v", len(obs.Sightings), obs.Complete)
	}
	seen(t, obs, "zz.service")
}

func TestSkippedUnits(t *testing.T) {
	env := fakeUnits(t, map[string]string{"a.service": "failed", "b.service": "active"})
	env.Option = func(string) string { return "a.service" }
	obs := mustPass(t, open(t, "systemd", env), clock0)
	if len(obs.Sightings) != 1 || value(t, obs, "host", "units_failed_count") != 0 {
		t.Errorf("%s", seenText(obs))
	}
}

func TestUnreachableSystemdIsAnError(t *testing.T) {
	env := fakeUnits(t, nil)
	env.Run = func(context.Context, string, ...string) (collect.Output, error) {
		return collect.Output{Exit: 1, Stderr: []byte("Failed to connect to bus: Host is down\n")}, nil
	}
	if _, err := pass(t, open(t, "systemd", env), clock0); err == nil || !strings.Contains(err.Error(), "Host is down") {
		t.Errorf("got %v", err)
	}
}

// TestOldSystemctlAnswersWithATable: the one of RHEL 8 knows no JSON.
func TestOldSystemctlAnswersWithATable(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "run", "systemd", "system"), 0o755); err != nil {
		t.Fatal(err)
	}
	table := "-.mount loaded active mounted Root Mount\nbad.service loaded failed failed A bad one\nold.service not-found inactive dead old.service\n"
	env := answers(rootEnv(root), map[string]collect.Output{
		"systemctl list-units --all --output=json":                                   {Stdout: []byte("UNIT LOAD ACTIVE SUB DESCRIPTION\n" + table)},
		"systemctl list-units --all --plain --no-legend --full":                      {Stdout: []byte(table)},
		"systemctl show --property=" + systemdProperties + " -- bad.service -.mount": {Stdout: []byte("Id=bad.service\nResult=signal\nNRestarts=2\n\nId=-.mount\n")},
	})
	c := open(t, "systemd", env)
	for range 2 {
		obs := mustPass(t, c, clock0)
		if len(obs.Sightings) != 2 || seen(t, obs, "bad.service").Observed["result"] != "signal" || value(t, obs, "bad.service", "unit_restarts_total") != 2 {
			t.Errorf("%s", seenText(obs))
		}
	}
	if !c.(*systemdUnits).plain {
		t.Error("JSON is asked for in vain every pass")
	}
}
