package cli

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
)

// A statusAnswer is what the screen shows of the server's status.
type statusAnswer struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Now       time.Time `json:"now"`
	Host      string    `json:"host"`
	Hosts     []hostRow `json:"hosts"`
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
	Channels   []channelRow   `json:"channels"`
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

type hostRow struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	ObservedAt time.Time `json:"observed_at"`
	Reachable  string    `json:"reachability"`
	CPU        *float64  `json:"cpu_busy_ratio"`
	Memory     *float64  `json:"memory_used_ratio"`
	Disk       *float64  `json:"fs_worst_used_ratio"`
	Findings   int       `json:"findings"`
}

type collectorRow struct {
	Host   string    `json:"host"`
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Err    string    `json:"error"`
	Gaps   []ops.Gap `json:"gaps"`
	TookMS float64   `json:"took_ms"`
}

func (s *session) statusVerb() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "One screen: what is watched, what is wrong, how Reeve itself is doing",
		Example: "  reeve status\n  reeve status -o json | jq .counts", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var st statusAnswer
			text, err := s.fetch(c.Context(), "/api/v1/status", &st)
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.document(text)
			}
			wrong, err := s.listed(c.Context(), "/api/v1/findings", url.Values{"state": {"active"}}, statusFindings+1)
			if err != nil {
				return err
			}
			findings, err := read[ops.Finding](wrong)
			if err != nil {
				return err
			}
			names, err := s.resourceNames(c.Context(), concerned(findings))
			if err != nil {
				return err
			}
			s.showStatus(st)
			s.showWrong(st, findings, names)
			s.showParts(st)
			return nil
		},
	}
}

// statusFindings is how many findings the screen lists.
const statusFindings = 10

func (s *session) showStatus(st statusAnswer) {
	p := s.page
	p.line("%s on %s, up %s, %s", p.paint(bold, "Reeve "+safe(st.Version)), safe(st.Host), age(st.Now, st.StartedAt), s.client.ServerName())
	p.paragraph("", watchedText(st.Counts.Resources, st.Counts.ByKind))
	p.heading("Hosts")
	s.hostTable(st.Hosts, st.Now)
}

// watchedText counts what is watched by kind, the parts of Reeve apart.
func watchedText(all int, byKind map[string]int64) string {
	parts := byKind[string(ops.KindComponent)]
	var kinds []string
	for _, k := range ops.Kinds {
		if n := byKind[string(k.Kind)]; n > 0 && k.Kind != ops.KindComponent {
			kinds = append(kinds, plural(int(n), string(k.Kind)))
		}
	}
	return fmt.Sprintf("watching %s (%s) and %d parts of Reeve itself", plural(all-int(parts), "resource"), strings.Join(kinds, ", "), parts)
}

func (s *session) hostTable(hosts []hostRow, now time.Time) {
	t := s.page.table("HOST", "!STATE", ">CPU", ">MEMORY", ">FULLEST DISK", ">FINDINGS", ">SEEN AGO")
	for _, h := range hosts {
		wrong := of(fmt.Sprint(h.Findings))
		if h.Findings > 0 {
			wrong.style = yellow
		}
		t.add(of(h.Name), cell{h.Reachable, stateStyle(h.Reachable)}, of(ratio(h.CPU)), of(ratio(h.Memory)), of(ratio(h.Disk)), wrong, of(age(now, h.ObservedAt)))
	}
	t.print()
}

func (s *session) showWrong(st statusAnswer, findings []ops.Finding, names map[string]ops.Resource) {
	p := s.page
	if st.Counts.Findings == 0 {
		p.heading("Findings")
		p.line("%s", p.paint(green, "nothing is wrong"))
		return
	}
	p.heading(fmt.Sprintf("Findings: %d open, %d critical, in %s", st.Counts.Findings, st.Counts.Critical, plural(int(st.Counts.Incidents), "incident")))
	s.findingTable(findings[:min(len(findings), statusFindings)], names, st.Now)
	if more := st.Counts.Findings - statusFindings; more > 0 {
		p.line("and %d more: `reeve findings`", more)
	}
}

// showParts shows how the parts of Reeve are doing: what is well in a line,
// what is not one by one.
func (s *session) showParts(st statusAnswer) {
	p := s.page
	p.heading("Reeve itself")
	t := p.table("!PART", "!STATE", "DETAIL")
	t.folds = true
	failing := 0
	for _, l := range st.Loops {
		if l.Failures > 0 {
			failing++
			t.add(of("loop "+l.Name), cell{"failing", red}, of(fmt.Sprintf("%s in a row: %s", plural(l.Failures, "failure"), l.Err)))
		}
	}
	t.add(of("loops"), okUnless(failing), of(fmt.Sprintf("%d of %d run well", len(st.Loops)-failing, len(st.Loops))))
	for _, x := range st.Stores {
		detail := bytesText(float64(x.Size))
		if x.Detail != "" {
			detail += ", " + x.Detail
		}
		t.add(of(x.Name), cell{x.State, stateStyle(x.State)}, of(detail))
	}
	t.add(of("patrols"), cell{st.Patrol.State, stateStyle(st.Patrol.State)}, of(st.patrolText()))
	showCollectors(t, st.Collectors)
	for _, c := range st.Channels {
		t.add(of("channel "+c.Name), cell{c.State, stateStyle(c.State)}, of(c.detail()))
	}
	if len(st.Channels) == 0 {
		t.add(of("channels"), cell{"none", yellow}, of("nobody is told of findings; declare channels in reeve.yaml (`reeve channel-types`)"))
	}
	t.add(of("coverage"), of(""), of(coverageText(st.Coverage)))
	t.print()
}

// patrolText says what the last patrol came to, and when the next is.
func (st statusAnswer) patrolText() string {
	x, text := st.Patrol, "none was made yet"
	if !x.LastAt.IsZero() {
		text = age(st.Now, x.LastAt) + " ago: " + x.Summary
	}
	if x.Failures > 0 {
		text = plural(x.Failures, "failure") + " in a row; " + text
	}
	if x.Running {
		text += "; one goes on"
	}
	if x.Queued > 0 {
		text += fmt.Sprintf("; %d waiting", x.Queued)
	}
	if !x.NextAt.IsZero() {
		text += "; the next in " + span(x.NextAt.Sub(st.Now))
	}
	return text
}

func okUnless(failing int) cell {
	if failing > 0 {
		return cell{"failing", red}
	}
	return cell{"ok", green}
}

func showCollectors(t *table, all []collectorRow) {
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
		t.add(of("collector "+c.Name), cell{c.State, stateStyle(c.State)}, of(c.Host+": "+why))
	}
	t.add(of("collectors"), of(""), of(fmt.Sprintf("%d of %d see everything", well, len(all))))
}

func gapText(g ops.Gap) string {
	text := first(g.What, g.Why)
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
			text = number(n)
		}
		if known && !(f.quiet && text == "0") {
			parts = append(parts, text+" "+f.text)
		}
	}
	return strings.Join(parts, ", ")
}

func (s *session) hostsVerb() *cobra.Command {
	return &cobra.Command{
		Use: "hosts", Short: "List the hosts with their newest readings", Example: "  reeve hosts", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var l list
			text, err := s.fetch(c.Context(), "/api/v1/hosts", &l)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			hosts, err := read[hostRow](l)
			if err != nil {
				return err
			}
			s.hostTable(hosts, time.Now())
			return nil
		},
	}
}
