package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// Runs lists patrols.
func Runs(p *term.Page, all []ops.Run) {
	if len(all) == 0 {
		p.Line("no patrols")
		return
	}
	now := time.Now()
	t := p.Table("!ID", "!STATE", "!HEALTH", "TRIGGER", "SCOPE", ">AGO", ">TOOK", ">TOKENS", "SUMMARY")
	for _, r := range all {
		took := ""
		if !r.StartedAt.IsZero() && !r.EndedAt.IsZero() {
			took = term.Micros(r.EndedAt.Sub(r.StartedAt).Microseconds())
		}
		health := string(r.Health)
		if r.Quiet {
			health = "quiet"
		}
		t.Add(term.Of(r.ID), term.Painted(string(r.State), term.StateStyle(string(r.State))), term.Painted(health, healthStyle(r.Health)), term.Of(string(r.Trigger)), term.Of(scopeText(r.Asked)),
			term.Of(term.Age(now, r.QueuedAt)), term.Of(took), term.Of(fmt.Sprint(r.Tokens.Total())), term.Of(cmp.Or(r.Err, r.Summary, r.Reason)))
	}
	t.Print()
}

func healthStyle(h ops.RunHealth) term.Style {
	switch h {
	case ops.RunHealthy:
		return term.Green
	case ops.RunIssues, ops.RunInconclusive:
		return term.Yellow
	case ops.RunCritical, ops.RunNotDone:
		return term.Red
	}
	return term.Plain
}

func scopeText(s ops.RunScope) string {
	var parts []string
	if n := len(s.Resources); n > 0 {
		parts = append(parts, term.Plural(n, "resource"))
	}
	for _, k := range s.Kinds {
		parts = append(parts, string(k))
	}
	return cmp.Or(strings.Join(parts, ", "), "everything")
}

// A PatrolAnswer is how patrols are doing.
type PatrolAnswer struct {
	Enabled  bool      `json:"enabled"`
	EveryMS  int64     `json:"every_ms"`
	Events   []string  `json:"events"`
	NextAt   time.Time `json:"next_at"`
	Running  *ops.Run  `json:"running"`
	Queue    []ops.Run `json:"queue"`
	Last     *ops.Run  `json:"last"`
	Failures int64     `json:"failures"`
	Model    string    `json:"model"`
	ModelWhy string    `json:"model_why"`
	Estimate *struct {
		Input  int64  `json:"input_tokens"`
		Output int64  `json:"output_tokens"`
		Cost   *int64 `json:"cost_micro_usd"`
	} `json:"estimate"`
}

// Patrols prints how patrols are doing.
func Patrols(p *term.Page, a PatrolAnswer) {
	next, model := "only when something happens or somebody asks", "none: "+a.ModelWhy
	if a.Enabled {
		next = fmt.Sprintf("%s, every %s", term.Stamp(a.NextAt), term.SpanMS(a.EveryMS))
	}
	if a.Model != "" {
		model = a.Model
		if e := a.Estimate; e != nil {
			model += fmt.Sprintf("; of everything about %d in, %d out, at most %s; nothing while nothing changes", e.Input, e.Output, term.Dollars(e.Cost))
		}
	}
	failures := ""
	if a.Failures > 0 {
		failures = fmt.Sprintf("%d in a row", a.Failures)
	}
	rows := [][2]string{{"next", next}, {"events", strings.Join(a.Events, ", ")}, {"model", model}, {"failed", failures}}
	if r := a.Last; r != nil {
		rows = append(rows, [2]string{"last", fmt.Sprintf("%s, %s ago: %s", r.ID, term.Age(time.Now(), r.EndedAt), cmp.Or(r.Err, r.Summary))})
	}
	p.Fields(rows)
	if a.Running != nil {
		p.Heading("Going on")
		Runs(p, []ops.Run{*a.Running})
	}
	if len(a.Queue) > 0 {
		p.Heading("Waiting")
		Runs(p, a.Queue)
	}
}
