package collectors

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "systemd",
	Doc: "Services, mounts, timers and sockets of systemd that are failed, active or enabled: state, result and restarts. " +
		"Option skip: units not to report, such as a.service,b.timer.",
	Every:       30 * time.Second,
	Timeout:     20 * time.Second,
	Cost:        collect.Moderate,
	Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "unit_active", Unit: "bool", Doc: "Whether the unit is active."},
		{Name: "unit_restarts_total", Unit: "count", Doc: "Restarts of a service by systemd itself."},
		{Name: "units_failed_count", Unit: "count", Doc: "Units of the host that are failed."},
	},
	Kinds: []ops.Kind{ops.KindUnit},
	Open:  func(env collect.Env) collect.Collector { return &systemdUnits{env: env} },
})

// systemdMaxUnits bounds what is reported; the worst come first.
const systemdMaxUnits = 500

// systemdProperties are what is asked of each unit.
const systemdProperties = "Id,LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,StateChangeTimestampMonotonic"

type systemdUnits struct {
	env collect.Env
	// plain is set once systemctl has answered with a table instead of JSON:
	// it is older than 246.
	plain bool
	// states are those of the last pass; nil before the first, which cannot
	// tell what failed just now from what had failed before.
	states map[string]string
}

func (s *systemdUnits) Collect(ctx context.Context, out *collect.Batch) error {
	if _, err := os.Stat(s.env.RootPath("run", "systemd", "system")); err != nil {
		return collect.ErrAbsent
	}
	if !tools(s.env, out, "systemctl", "systemd units", "install systemctl where the agent runs") {
		return nil
	}
	listed, err := s.list(ctx)
	if err != nil {
		return err
	}
	skip := collect.Words(s.env.Option("skip"))
	listed = slices.DeleteFunc(listed, func(u systemdUnit) bool { return slices.Contains(skip, u.Name) })
	cut := len(listed) > systemdMaxUnits
	listed = listed[:min(len(listed), systemdMaxUnits)]
	if err := s.show(ctx, listed); err != nil {
		return err
	}
	s.report(out, listed)
	if !cut {
		out.Whole(ops.KindUnit)
	}
	return nil
}

// list answers the loaded units of the types that matter, the worst first.
func (s *systemdUnits) list(ctx context.Context) ([]systemdUnit, error) {
	if !s.plain {
		b, err := s.ask(ctx, "list-units", "--all", "--output=json")
		if err != nil {
			return nil, err
		}
		if b = bytes.TrimSpace(b); len(b) == 0 || b[0] == '[' {
			return parseUnitList(b)
		}
		s.plain = true
	}
	b, err := s.ask(ctx, "list-units", "--all", "--plain", "--no-legend", "--full")
	if err != nil {
		return nil, err
	}
	return sortUnits(parseUnitTable(b)), nil
}

// ask runs systemctl and answers what it printed.
func (s *systemdUnits) ask(ctx context.Context, args ...string) ([]byte, error) {
	answer, err := s.env.Run(ctx, "systemctl", args...)
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("exit status %d: %s", answer.Exit, redact.Line(string(answer.Stderr), 300))
	}
	if err != nil {
		return nil, fmt.Errorf("systemctl %s: %w", args[0], err)
	}
	return answer.Stdout, nil
}

// show fills in what the list does not say.
func (s *systemdUnits) show(ctx context.Context, units []systemdUnit) error {
	if len(units) == 0 {
		return nil
	}
	args := []string{"show", "--property=" + systemdProperties, "--"}
	for _, u := range units {
		args = append(args, u.Name)
	}
	b, err := s.ask(ctx, args...)
	if err != nil {
		return err
	}
	shown := parseUnitShow(b)
	for i := range units {
		units[i].fill(shown[units[i].Name])
	}
	return nil
}

func (s *systemdUnits) report(out *collect.Batch, units []systemdUnit) {
	states := make(map[string]string, len(units))
	failed := 0
	for _, u := range units {
		if !u.matters() {
			continue
		}
		states[u.Name] = u.Active
		if u.Active == "failed" {
			failed++
			if was, known := s.states[u.Name]; s.states != nil && (!known || was != "failed") {
				out.Happen(u.failure(out))
			}
		}
		reportUnit(out, u)
	}
	s.states = states
	out.Add(out.HostRef(), "units_failed_count", float64(failed))
}

func reportUnit(out *collect.Batch, u systemdUnit) {
	ref := out.Ref("systemd", u.Name)
	attrs := ops.Attrs{"active_state": u.Active, "sub_state": u.Sub, "load_state": u.Load}
	if u.shown {
		attrs["result"] = u.Result
		attrs["enabled"] = truth(u.enabled())
	}
	if restarts, ok := parseUint([]byte(u.Restarts)); ok {
		attrs["restarts"] = u.Restarts
		out.Add(ref, "unit_restarts_total", float64(restarts))
	}
	out.See(ops.Sighting{Key: ref, Kind: ops.KindUnit, Name: u.Name, Observed: attrs})
	out.Add(ref, "unit_active", bit(u.Active == "active"))
}

// A systemdUnit is a unit as list-units and show describe it.
type systemdUnit struct {
	Name   string `json:"unit"`
	Load   string `json:"load"`
	Active string `json:"active"`
	Sub    string `json:"sub"`

	shown                           bool
	Result, FileState, Restarts, At string
}

func (u systemdUnit) enabled() bool {
	return u.FileState == "enabled" || u.FileState == "enabled-runtime"
}

// matters reports whether the unit is failed, in use or meant to be.
func (u systemdUnit) matters() bool {
	return u.Active != "inactive" || u.enabled()
}

// failure is the event of a unit that has just failed.
func (u systemdUnit) failure(out *collect.Batch) ops.Event {
	return ops.Event{
		Resource: out.Ref("systemd", u.Name), Type: ops.EventUnitFailed, At: out.Now,
		Text:     fmt.Sprintf("%s failed: %s", u.Name, cmp.Or(u.Result, "no result given")),
		Facts:    map[string]string{"result": u.Result},
		SourceID: out.Host.BootID + ":" + u.Name + ":" + cmp.Or(u.At, fmt.Sprint(out.Now.UnixMilli())),
	}
}

// fill takes in what show says of the unit. It is newer than the list.
func (u *systemdUnit) fill(p map[string]string) {
	if p == nil {
		return
	}
	u.shown = true
	u.Load = cmp.Or(p["LoadState"], u.Load)
	u.Active = cmp.Or(p["ActiveState"], u.Active)
	u.Sub = cmp.Or(p["SubState"], u.Sub)
	u.Result, u.FileState, u.Restarts = p["Result"], p["UnitFileState"], p["NRestarts"]
	u.At = p["StateChangeTimestampMonotonic"]
}

var (
	systemdName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,245}\.(service|mount|timer|socket)$`)
	systemdWord = regexp.MustCompile(`^[a-z0-9-]{0,40}$`)
)

// parseUnitList reads systemctl list-units --output=json.
func parseUnitList(b []byte) ([]systemdUnit, error) {
	var rows []systemdUnit
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("parse systemctl list-units: %w", err)
	}
	return sortUnits(rows), nil
}

// parseUnitTable reads systemctl list-units --plain: name, load, active and
// sub state, then a description.
func parseUnitTable(b []byte) []systemdUnit {
	var rows []systemdUnit
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) >= 4 {
			rows = append(rows, systemdUnit{Name: f[0], Load: f[1], Active: f[2], Sub: f[3]})
		}
	}
	return rows
}

// sortUnits leaves out units of other types and those that only other units
// speak of. The order is by state, then by name, so that a bound cuts off
// what matters least.
func sortUnits(rows []systemdUnit) []systemdUnit {
	rows = slices.DeleteFunc(rows, func(u systemdUnit) bool {
		unused := u.Active == "inactive" && u.Load != "loaded"
		return unused || !systemdName.MatchString(u.Name) ||
			!systemdWord.MatchString(u.Load) || !systemdWord.MatchString(u.Active) || !systemdWord.MatchString(u.Sub)
	})
	slices.SortStableFunc(rows, func(a, b systemdUnit) int {
		return cmp.Or(cmp.Compare(systemdRank(a.Active), systemdRank(b.Active)), cmp.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(rows, func(a, b systemdUnit) bool { return a.Name == b.Name })
}

func systemdRank(active string) int {
	switch active {
	case "failed":
		return 0
	case "active":
		return 2
	case "inactive":
		return 3
	}
	return 1 // activating, deactivating, reloading: something goes on
}

// parseUnitShow reads systemctl show: blocks of NAME=VALUE lines, one a unit,
// an empty line between. It answers them by the unit's Id.
func parseUnitShow(b []byte) map[string]map[string]string {
	units := map[string]map[string]string{}
	for block := range bytes.SplitSeq(b, []byte("\n\n")) {
		p := map[string]string{}
		for line := range bytes.Lines(block) {
			name, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
			if ok && len(p) < 32 {
				p[name] = redact.Line(value, 100)
			}
		}
		// Ids are compared with names of the list, so they are taken as they
		// are; nothing else of a block with a strange one is used.
		if systemdName.MatchString(p["Id"]) && len(units) < systemdMaxUnits {
			units[p["Id"]] = p
		}
	}
	return units
}
