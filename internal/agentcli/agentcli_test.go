package agentcli

import (
	"bytes"
	"strings"
	"testing"
)

// run answers the exit code of a command and what it wrote.
func run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), Program{Version: "v1.0.0", Out: &o, Err: &e}, append(args, "--data", t.TempDir()))
	return code, o.String(), e.String()
}

func TestCheckSaysWhetherOrdersAreTaken(t *testing.T) {
	root := t.TempDir() // of an empty machine
	if _, out, errs := run(t, "check", "--root", root); !strings.Contains(out, "orders       none are taken") {
		t.Errorf("%s%s", out, errs)
	}
	if _, out, errs := run(t, "check", "--root", root, "-o", "json"); !strings.Contains(out, `"orders": {`) {
		t.Errorf("%s%s", out, errs)
	}
}

// What pflag finds in backquotes it takes for the name of the value.
func TestAWrongLineNamesItsHelp(t *testing.T) {
	for _, line := range [][]string{{"run", "--wat"}, {"run", "what"}} {
		if code, _, errs := run(t, line...); code != exitWrongUse || !strings.Contains(errs, "See `reeve-agent run --help`.") {
			t.Errorf("%v ends with %d: %s", line, code, errs)
		}
	}
	// What the line says is clear, and cannot be done.
	if code, _, errs := run(t, "--data", t.TempDir(), "run"); code != exitFailed || strings.Contains(errs, "See `") {
		t.Errorf("ends with %d: %s", code, errs)
	}
}

func TestHelpOfFlagsNamesTheirValues(t *testing.T) {
	for _, verb := range []string{"run", "check", "perform"} {
		if _, out, _ := run(t, verb, "--help"); !strings.Contains(out, "--socket string") {
			t.Errorf("%s: %s", verb, out)
		}
	}
}

func TestAnAlarmThatWouldReachNobodyIsRefused(t *testing.T) {
	for _, wrong := range [][]string{
		{"--alarm", "notaurl"}, {"--alarm", "ftp://x"}, {"--alarm", "http://"}, {"--alarm", "http://:80/x"},
		{"--alarm", "https://ntfy.sh/x", "--alarm-after", "-1s"}, {"--alarm-after", "0"},
	} {
		if code, _, errs := run(t, append([]string{"run"}, wrong...)...); code != exitWrongUse || !strings.Contains(errs, wrong[len(wrong)-2]) {
			t.Errorf("%v: %d %s", wrong, code, errs)
		}
	}
	// Nothing is wrong with it but that this agent has not joined.
	if code, _, errs := run(t, "run", "--alarm", "https://ntfy.sh/x", "--alarm-after", "1m"); code == exitWrongUse {
		t.Errorf("%d %s", code, errs)
	}
}
