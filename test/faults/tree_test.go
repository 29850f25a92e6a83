package faults

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/collectors"
	"reeve/internal/detectors"
	"reeve/internal/ops"
	"reeve/test/program"
)

// recorded is where machines are recorded that we do not have here.
const recorded = "../../internal/collectors/testdata/trees"

// A row proves one condition: a change of a recorded machine that breaks it,
// and what a person is then told.
type row struct {
	condition  string
	resource   string // its name
	severity   ops.Severity
	says       string // part of the summary
	edits      []edit
	flag       string // what the moving parts of the machine begin to do
	thresholds map[string]float64
	// lasting conditions look back over a fixed time, longer than a test, and
	// do not clear within it.
	lasting bool
}

// An edit is a part of a file that differs between a good and a bad machine.
// Without a good part the file is there on a bad machine only.
type edit struct{ file, good, bad string }

// A machine is a copy of a recorded tree that a test changes under the
// program.
type machine struct {
	t   testing.TB
	dir string
}

// newMachine copies a recorded tree; links stay links.
func newMachine(t testing.TB, tree string) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	from := filepath.Join(recorded, tree)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(m.dir, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if d.Type()&fs.ModeSymlink != 0 {
			where, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(where, to)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) path(file string) string { return filepath.Join(m.dir, file) }

func (m *machine) read(file string) string {
	m.t.Helper()
	text, err := os.ReadFile(m.path(file))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// write replaces a file as a whole, so that no collector reads half of it.
func (m *machine) write(file, text string) {
	m.t.Helper()
	if err := replace(m.path(file), text); err != nil {
		m.t.Fatal(err)
	}
}

func replace(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// mend makes the parts of a machine good, spoil makes them bad.
func (m *machine) mend(edits []edit) {
	m.t.Helper()
	for _, e := range edits {
		m.change(e.file, e.bad, e.good)
	}
}

func (m *machine) spoil(edits []edit) {
	m.t.Helper()
	for _, e := range edits {
		m.change(e.file, e.good, e.bad)
	}
}

// change turns one part of a file into another; "" for a part is that the
// file is not there. A file that is changed already stays.
func (m *machine) change(file, from, to string) {
	m.t.Helper()
	switch {
	case to == "":
		if err := os.Remove(m.path(file)); err != nil && !os.IsNotExist(err) {
			m.t.Fatal(err)
		}
	case from == "" || !m.has(file):
		m.write(file, to)
	default:
		text := m.read(file)
		if !strings.Contains(text, from) && !strings.Contains(text, to) {
			m.t.Fatalf("%s of the tree holds neither %q nor %q", file, from, to)
		}
		m.write(file, strings.Replace(text, from, to, 1))
	}
}

func (m *machine) has(file string) bool {
	_, err := os.Stat(m.path(file))
	return err == nil
}

// A setup is a configuration of the program under test. JSON is YAML.
type setup map[string]any

func (s setup) text(t testing.TB) string {
	t.Helper()
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// quick answers a configuration in which nothing has to be waited for: every
// collector runs each second, and what is true now opens or clears now.
func quick(m *machine, rows []row) setup {
	collect, detect := map[string]any{}, map[string]any{}
	for _, c := range collectors.All() {
		collect[c.Name] = map[string]any{"every": "1s"}
	}
	for _, d := range detectors.All() {
		detect[d.Name] = map[string]any{"hold": "0s", "clear": "0s"}
	}
	for _, r := range rows {
		if len(r.thresholds) > 0 {
			detect[r.condition].(map[string]any)["thresholds"] = r.thresholds
		}
	}
	return setup{"agent": map[string]any{"root": m.dir, "proc": m.path("proc"), "sys": m.path("sys")}, "collectors": collect, "detectors": detect}
}

// prove runs rows on one machine: it is well, it breaks, every condition is
// found as the row says and mended at once, every finding resolves.
func prove(t *testing.T, m *machine, p *program.Program, rows []row, move func(flag string, on bool)) {
	t.Helper()
	for _, r := range rows {
		p.Until(30*time.Second, r.condition+" of "+r.resource+" is judged to be well", func() bool { return judgedWell(p, r.resource, r.condition) })
		if f, ok := find(p, "active", r.condition, r.resource); ok {
			t.Fatalf("%s of %s is open on a machine that is well: %s", r.condition, r.resource, f.Summary)
		}
	}
	for _, r := range rows {
		m.spoil(r.edits)
		if r.flag != "" {
			move(r.flag, true)
		}
	}
	for _, r := range rows {
		f := await(p, 60*time.Second, "active", r.condition, r.resource)
		// A severity may rise with the readings that follow.
		p.Until(30*time.Second, string(r.condition)+" of "+r.resource+" is "+string(r.severity), func() bool {
			f, _ = find(p, "active", r.condition, r.resource)
			return f.Severity == r.severity
		})
		if r.says != "" && !strings.Contains(f.Summary, r.says) {
			t.Errorf("%s says %q, without %q", r.condition, f.Summary, r.says)
		}
		m.mend(r.edits)
		if r.flag != "" {
			move(r.flag, false)
		}
	}
	for _, r := range rows {
		if !r.lasting {
			await(p, 90*time.Second, "resolved", r.condition, r.resource)
		}
	}
}

// judgedWell says that the detector looked at the resource and found nothing.
func judgedWell(p *program.Program, resource, condition string) bool {
	var list struct{ Items []ops.Resource }
	if p.Get("/api/v1/resources?limit=500", &list) != nil {
		return false
	}
	d, _ := detectors.Get(condition)
	for _, r := range list.Items {
		if r.Name != resource || !hasKind(d.Kinds, r.Kind) {
			continue
		}
		var x struct {
			Steps []struct{ Step, Answer string }
		}
		if p.Get("/api/v1/explain?resource="+r.ID+"&condition="+condition, &x) != nil {
			return false
		}
		for _, s := range x.Steps {
			if s.Step == "true now" {
				return s.Answer == "no"
			}
		}
	}
	return false
}

func hasKind(kinds []ops.Kind, k ops.Kind) bool {
	for _, x := range kinds {
		if x == k {
			return true
		}
	}
	return false
}

// find answers the finding of a condition on the resource with exactly that
// name.
func find(p *program.Program, state, condition, resource string) (ops.Finding, bool) {
	for _, f := range p.Findings(state + "&condition=" + condition) {
		if f.Condition == condition && nameOf(p, f.ResourceID) == resource {
			return f, true
		}
	}
	return ops.Finding{}, false
}

// nameOf answers the name of a resource, from the list: that needs no metrics.
func nameOf(p *program.Program, id string) string {
	var list struct{ Items []ops.Resource }
	if p.Get("/api/v1/resources?presence=present,absent,removed&q="+id, &list) != nil || len(list.Items) != 1 {
		return ""
	}
	return list.Items[0].Name
}

func await(p *program.Program, within time.Duration, state, condition, resource string) (f ops.Finding) {
	p.Until(within, condition+" of "+resource+" is "+state, func() (ok bool) {
		f, ok = find(p, state, condition, resource)
		return ok
	})
	return f
}
