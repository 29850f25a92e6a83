package show

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reeve/internal/term"
)

// A Thing is something that this build can do, as the catalogues of the API
// describe it; each catalogue fills some of the fields.
type Thing struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Doc         string   `json:"doc"`
	Kinds       []string `json:"kinds"`
	Permissions string   `json:"permissions"`
	Cost        string   `json:"cost"`
	EveryMS     int64    `json:"every_ms"`
	WindowMS    int64    `json:"window_ms"`
	HoldMS      int64    `json:"hold_ms"`
	ClearMS     int64    `json:"clear_ms"`
	Causes      []string `json:"causes"`
	Checks      []string `json:"checks"`
	Thresholds  []struct {
		Name    string  `json:"name"`
		Default float64 `json:"default"`
		Unit    string  `json:"unit"`
		Doc     string  `json:"doc"`
	} `json:"thresholds"`
	Metrics  json.RawMessage `json:"metrics"` // names, or with unit and doc
	Effect   string          `json:"effect"`
	Profiles []string        `json:"profiles"`
	Core     []string        `json:"core"`
	Settings fieldSet        `json:"settings"`
	Input    fieldSet        `json:"input"`
}

// A fieldSet is what is read of the schema of an object.
type fieldSet struct {
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// Manual prints all that a catalogue says of a thing.
func Manual(p *term.Page, x Thing) {
	p.Line("%s", p.Paint(term.Bold, term.Safe(cmp.Or(x.Title, x.Name))))
	p.Paragraph("  ", x.Doc)
	p.Line("")
	rows := [][2]string{{"name", x.Name}, {"kinds", strings.Join(x.Kinds, ", ")}, {"cost", x.Cost}, {"needs", x.Permissions}, {"metrics", metricNames(x.Metrics)},
		{"effect", x.Effect}, {"who", strings.Join(x.Profiles, ", ")}, {"from the first turn", strings.Join(x.Core, ", ")}}
	for _, r := range []struct {
		name string
		ms   int64
	}{{"every", x.EveryMS}, {"looks back", x.WindowMS}, {"opens after", x.HoldMS}, {"clears after", x.ClearMS}} {
		if r.ms > 0 {
			rows = append(rows, [2]string{r.name, term.SpanMS(r.ms)})
		}
	}
	p.Fields(rows)
	if len(x.Thresholds) > 0 {
		p.Heading("Thresholds")
		t := p.Table("!NAME", ">DEFAULT", "UNIT", "WHAT")
		for _, l := range x.Thresholds {
			t.Add(term.Of(l.Name), term.Of(term.Number(l.Default)), term.Of(l.Unit), term.Of(l.Doc))
		}
		t.Print()
	}
	fieldTable(p, "Settings", x.Settings)
	fieldTable(p, "Arguments", x.Input)
	tell(p, story{Causes: x.Causes, Checks: x.Checks})
}

// metricNames reads the metrics of a detector, which are names, or of a
// collector, which are described.
func metricNames(text json.RawMessage) string {
	var names []string
	if json.Unmarshal(text, &names) == nil {
		return strings.Join(names, ", ")
	}
	var all []struct{ Name string }
	if json.Unmarshal(text, &all) != nil {
		return ""
	}
	names = names[:0]
	for _, m := range all {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

func fieldTable(p *term.Page, heading string, x fieldSet) {
	if len(x.Properties) == 0 {
		return
	}
	p.Heading(heading)
	t := p.Table("!NAME", "!NEEDED", "WHAT")
	for _, name := range slices.Sorted(maps.Keys(x.Properties)) {
		var field struct {
			Description string `json:"description"`
			Enum        []any  `json:"enum"`
		}
		if err := json.Unmarshal(x.Properties[name], &field); err != nil {
			continue // A property that is not described still has its name in -o json.
		}
		needed := "no"
		if slices.Contains(x.Required, name) {
			needed = "yes"
		}
		if field.Description == "" && len(field.Enum) > 0 {
			field.Description = strings.Trim(fmt.Sprint(field.Enum), "[]")
		}
		t.Add(term.Of(name), term.Of(needed), term.Of(field.Description))
	}
	t.Print()
}
