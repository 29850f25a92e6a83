package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// A StatusAnswer is what the screen shows of the server's status.
type StatusAnswer struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Now       time.Time `json:"now"`
	Host      string    `json:"host"`
	Hosts     []HostRow `json:"hosts"`
	Counts    struct {
		Resources int              `json:"resources"`
		ByKind    map[string]int64 `json:"resources_by_kind"`
		Findings  int64            `json:"findings_open"`
		Critical  int64            `json:"findings_critical"`
		Incidents int64            `json:"incidents_open"`
	} `json:"counts"`
	Loops []struct {
		Name     string `json:"name"`
		Failures int    `json:"failures"`
		Err      string `json:"error"`
	} `json:"loops"`
	Stores []struct {
		Name   string `json:"name"`
		State  string `json:"state"`
		Detail string `json:"detail"`
		Size   int64  `json:"size_bytes"`
	} `json:"stores"`
	Collectors []collectorRow `json:"collectors"`
	Channels   []ChannelRow   `json:"channels"`
	Coverage   map[string]any `json:"coverage"`
	Patrol     struct {
		State    string    `json:"state"`
		Running  bool      `json:"running"`
		Queued   int       `json:"queued"`
		Failures int       `json:"failures"`
		NextAt   time.Time `json:"next_at"`
		LastAt   time.Time `json:"last_at"`
		Summary  string    `json:"last_summary"`
	} `json:"patrol"`
}

type collectorRow struct {
	Host   string    `json:"host"`
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Err    string    `json:"error"`
	Gaps   []ops.Gap `json:"gaps"`
	TookMS float64   `json:"took_ms"`
}

// StatusFindings is how many findings the screen of the status lists.
const StatusFindings = 10

// Status begins the screen of the status: the server, where it answers, and
// what it watches.
func Status(p *term.Page, st StatusAnswer, server string) {
	p.Line("%s on %s, up %s, %s", p.Paint(term.Bold, "Reeve "+term.Safe(st.Version)), term.Safe(st.Host), term.Age(st.Now, st.StartedAt), server)
	p.Paragraph("", watchedText(st.Counts.Resources, st.Counts.ByKind))
	p.Heading("Hosts")
	Hosts(p, st.Hosts, st.Now)
}

// watchedText counts what is watched by kind, the parts of Reeve apart.
func watchedText(all int, byKind map[string]int64) string {
	parts := byKind[string(ops.KindComponent)]
	return fmt.Sprintf("watching %s (%s) and %d parts of Reeve itself", term.Plural(all-int(parts), "resource"), kindsText(byKind), parts)
}

// kindsText counts by kind, the parts of Reeve left out.
func kindsText(byKind map[string]int64) string {
	var kinds []string
	for _, k := range ops.Kinds {
		if n := byKind[string(k.Kind)]; n > 0 && k.Kind != ops.KindComponent {
			kinds = append(kinds, term.Plural(int(n), string(k.Kind)))
		}
	}
	return strings.Join(kinds, ", ")
}

// Wrong shows on the screen of the status what is wrong; names are the resources
// of the findings, by ID.
func Wrong(p *term.Page, st StatusAnswer, findings []ops.Finding, names map[string]ops.Resource) {
	if st.Counts.Findings == 0 {
		p.Heading("Findings")
		p.Line("%s", p.Paint(term.Green, "nothing is wrong"))
		return
	}
	p.Heading(fmt.Sprintf("Findings: %d open, %d critical, in %s", st.Counts.Findings, st.Counts.Critical, term.Plural(int(st.Counts.Incidents), "incident")))
	Findings(p, findings[:min(len(findings), StatusFindings)], names, st.Now)
	if more := st.Counts.Findings - StatusFindings; more > 0 {
		p.Line("and %d more: `reeve findings`", more)
	}
}

// Parts ends the screen of the status with how the parts of Reeve are doing:
// what is well in a line, what is not one by one.
func Parts(p *term.Page, st StatusAnswer) {
	p.Heading("Reeve itself")
	t := p.Table("!PART", "!STATE", "DETAIL")
	t.FoldLast()
	failing := 0
	for _, l := range st.Loops {
		if l.Failures > 0 {
			failing++
			t.Add(term.Of("loop "+l.Name), term.Painted("failing", term.Red), term.Of(fmt.Sprintf("%s in a row: %s", term.Plural(l.Failures, "failure"), l.Err)))
		}
	}
	t.Add(term.Of("loops"), okUnless(failing), term.Of(fmt.Sprintf("%d of %d run well", len(st.Loops)-failing, len(st.Loops))))
	for _, x := range st.Stores {
		detail := term.Bytes(float64(x.Size))
		if x.Detail != "" {
			detail += ", " + x.Detail
		}
		t.Add(term.Of(x.Name), term.Painted(x.State, term.StateStyle(x.State)), term.Of(detail))
	}
	t.Add(term.Of("patrols"), term.Painted(st.Patrol.State, term.StateStyle(st.Patrol.State)), term.Of(st.patrolText()))
	collectors(t, st.Collectors)
	for _, c := range st.Channels {
		t.Add(term.Of("channel "+c.Name), term.Painted(c.State, term.StateStyle(c.State)), term.Of(c.detail()))
	}
	if len(st.Channels) == 0 {
		t.Add(term.Of("channels"), term.Painted("none", term.Yellow), term.Of("nobody is told of findings; declare channels in reeve.yaml (`reeve channel-types`)"))
	}
	t.Add(term.Of("coverage"), term.Of(""), term.Of(coverageText(st.Coverage)))
	t.Print()
}

// patrolText says what the last patrol came to, and when the next is.
func (st StatusAnswer) patrolText() string {
	x, text := st.Patrol, "none was made yet"
	if !x.LastAt.IsZero() {
		text = term.Age(st.Now, x.LastAt) + " ago: " + x.Summary
	}
	if x.Failures > 0 {
		text = term.Plural(x.Failures, "failure") + " in a row; " + text
	}
	if x.Running {
		text += "; one goes on"
	}
	if x.Queued > 0 {
		text += fmt.Sprintf("; %d waiting", x.Queued)
	}
	if !x.NextAt.IsZero() {
		text += "; the next in " + term.Span(x.NextAt.Sub(st.Now))
	}
	return text
}

func okUnless(failing int) term.Cell {
	if failing > 0 {
		return term.Painted("failing", term.Red)
	}
	return term.Painted("ok", term.Green)
}

func collectors(t *term.Table, all []collectorRow) {
	well := 0
	for _, c := range all {
		why := c.Err
		for _, g := range c.Gaps {
			why = strings.TrimPrefix(why+"; "+gapText(g), "; ")
		}
		if c.State == "ok" && why == "" {
			well++
			continue
		}
		t.Add(term.Of("collector "+c.Name), term.Painted(c.State, term.StateStyle(c.State)), term.Of(c.Host+": "+why))
	}
	t.Add(term.Of("collectors"), term.Of(""), term.Of(fmt.Sprintf("%d of %d see everything", well, len(all))))
}

func gapText(g ops.Gap) string {
	text := cmp.Or(g.What, g.Why)
	if g.What != "" && g.Why != "" {
		text += ": " + g.Why
	}
	if g.Remedy == "" {
		return text
	}
	return text + "; " + g.Remedy
}

// coverageText says how much is seen; -o json has all of it.
func coverageText(facts map[string]any) string {
	var parts []string
	for _, f := range []struct {
		key, text string
		quiet     bool // not worth a word when it is none
	}{{"metrics_series", "series", false}, {"samples_per_s", "samples/s", false}, {"resources_judged", "resources judged", false},
		{"holding", "conditions about to open or clear", true}, {"verdicts_unknown", "verdicts unknown", true}, {"samples_dropped", "samples dropped", true}} {
		v, known := facts[f.key]
		text := fmt.Sprint(v)
		if n, ok := v.(float64); ok {
			text = term.Number(n)
		}
		if known && !(f.quiet && text == "0") {
			parts = append(parts, text+" "+f.text)
		}
	}
	return strings.Join(parts, ", ")
}
