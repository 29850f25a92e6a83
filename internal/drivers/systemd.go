package drivers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"reeve/internal/collect"
	"reeve/internal/command"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/workload"
)

var _ = all.Add(Definition{
	Name: "systemd", Doc: "Services of systemd that are loaded.",
	Operations:  []workload.Operation{workload.Start, workload.Stop, workload.Restart},
	Permissions: "root to command",
	Means: map[string]workload.State{"active": workload.Running, "inactive": workload.Stopped, "failed": workload.Stopped,
		"maintenance": workload.Stopped},
	Transit: []string{"activating", "deactivating", "reloading", "refreshing"},
	Own:     ownUnit.MatchString,
	Open:    func(env collect.Env) Driver { return unitDriver{env} },
})

// unitName is what may be commanded: services alone, by names that systemd
// itself makes.
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,240}\.service$`)

// ownUnit are the services of the agent itself.
var ownUnit = regexp.MustCompile(`^reeve(-agent(-perform)?)?\.service$`)

type unitDriver struct{ env collect.Env }

// List answers the services that are loaded.
func (d unitDriver) List(ctx context.Context) ([]Workload, error) {
	if _, err := os.Stat(d.env.RootPath("run", "systemd", "system")); err != nil {
		return nil, collect.ErrAbsent
	}
	text, err := d.ask(ctx, "list-units", "--all", "--type=service", "--plain", "--no-legend", "--full")
	if err != nil {
		return nil, err
	}
	return parseServices(text), nil
}

// parseServices reads the table of systemctl: unit, load, active, sub, what
// it is. What is not found is only named by others.
func parseServices(text []byte) []Workload {
	var found []Workload
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 4 || !unitName.MatchString(f[0]) || f[1] == "not-found" {
			continue
		}
		found = append(found, Workload{Name: f[0], Label: f[2], Generation: 1})
	}
	return found
}

func (d unitDriver) ask(ctx context.Context, args ...string) ([]byte, error) {
	answer, err := d.env.Run(ctx, "systemctl", args...)
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("exit status %d: %s", answer.Exit, redact.Line(string(answer.Stderr), 300))
	}
	if err != nil {
		return nil, fmt.Errorf("systemctl %s: %w", args[0], err)
	}
	return answer.Stdout, nil
}

// Do starts, stops or restarts a service. The deadline of the order bounds it:
// systemd goes on with its job after that, so that its outcome is not known.
func (d unitDriver) Do(ctx context.Context, op workload.Operation, t Target) (string, error) {
	if !unitName.MatchString(t.Name) {
		return "", ops.Errorf(ops.Invalid, "%q is not the name of a service", redact.Line(t.Name, 100))
	}
	if command.ReadOnly {
		return "", ops.Errorf(ops.Forbidden, "this build of the agent cannot change anything")
	}
	switch op {
	case workload.Start, workload.Stop, workload.Restart:
		_, err := d.ask(ctx, string(op), "--", t.Name)
		return "", err
	}
	return "", ops.Errorf(ops.Invalid, "a service cannot %s", op)
}
