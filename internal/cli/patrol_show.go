package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
)

func (s *session) patrolShowVerb() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Show one patrol in full: what it found and why, and what it took", Args: takes(1, 1, "the ID of a patrol"),
		Example: "  reeve patrol show run_06h04g7m2abc\n  reeve patrol show run_06h04g7m2abc -o json | jq .detail.items",
		RunE:    func(c *cobra.Command, args []string) error { return s.oneRun(c.Context(), args[0]) },
	}
}

func (s *session) oneRun(ctx context.Context, id string) error {
	var r ops.Run
	text, err := s.fetch(ctx, "/api/v1/runs/"+url.PathEscape(id), &r)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	p, d := s.page, r.Detail
	p.line("%s %s", p.paint(healthStyle(r.Health), first(string(r.Health), string(r.State))), p.paint(bold, safe(first(r.Summary, r.Err, r.Reason))))
	looked := int64(0)
	for _, n := range d.Counts {
		looked += n
	}
	took := ""
	if !r.EndedAt.IsZero() && !r.StartedAt.IsZero() {
		took = micros(r.EndedAt.Sub(r.StartedAt).Microseconds())
	}
	s.fields([][2]string{{"id", r.ID}, {"state", string(r.State)}, {"asked by", fmt.Sprintf("%s, %s", r.Actor, r.Trigger)}, {"why", r.Reason},
		{"answers", plural(int(r.Triggers), "trigger")}, {"scope", scopeText(r.Asked)}, {"looked at", plural(int(looked), "resource")},
		{"left out", leftOutText(d.LeftOut)}, {"not collected", strings.Join(d.Incomplete, "; ")}, {"began", stamp(r.StartedAt)}, {"took", took},
		{"model", r.Model}, {"tokens", runTokens(r)}, {"error", r.Err}, {"went into", r.MergedInto}, {"replay of", d.ReplayOf}})
	for _, i := range d.Items {
		s.showItem(i)
	}
	s.showRunParts(d)
	return nil
}

func leftOutText(out map[string]string) string {
	if len(out) == 0 {
		return ""
	}
	id := sortedKeys(out)[0]
	return fmt.Sprintf("%s, the first because it is %s", plural(len(out), "resource"), out[id])
}

func runTokens(r ops.Run) string {
	if r.Tokens.Total() == 0 {
		return "none"
	}
	return fmt.Sprintf("%d in (%d cached), %d out, %s", r.Tokens.Input, r.Tokens.Cached, r.Tokens.Output, dollars(r.Cost))
}

// showItem prints one thing that a run found with all that explains it.
func (s *session) showItem(i ops.RunItem) {
	p := s.page
	p.line("\n%s %s", p.paint(severityStyle(i.Severity), string(i.Severity)), p.paint(bold, safe(i.What)))
	s.fields([][2]string{{"on", i.Place}, {"since", stamp(i.Since) + ", " + age(time.Now(), i.Since) + " ago"}, {"news", i.News},
		{"condition", i.Condition}, {"finding", i.FindingID}, {"before", i.Before}, {"model", i.Model}})
	for _, part := range []struct {
		title string
		lines []string
	}{{"Evidence", i.Evidence}, {"Likely causes", i.Causes}, {"What to check", i.Checks}, {"Affects", i.Affects}} {
		if len(part.lines) > 0 {
			p.line("  %s", p.paint(faint, part.title))
		}
		for _, l := range part.lines {
			p.paragraph("    - ", l)
		}
	}
}

func (s *session) showRunParts(d ops.RunDetail) {
	if x := d.Compared; x != nil {
		for _, part := range []struct {
			title string
			lines []string
		}{{"Only this time", x.New}, {"Not this time", x.Missing}, {"Other verdicts", x.Changed}} {
			if len(part.lines) > 0 {
				s.page.heading(part.title)
			}
			for _, l := range part.lines {
				s.page.paragraph("  - ", l)
			}
		}
		s.page.line("\n%s; %s not recorded before; %d tokens in and %d out for %s, instead of %d and %d for %s", plural(int(x.Same), "judgement")+" the same",
			plural(int(x.NotRecorded), "call"), x.Tokens.Input, x.Tokens.Output, dollars(x.Cost), x.TokensBefore.Input, x.TokensBefore.Output, dollars(x.CostBefore))
	}
	for _, a := range d.Assessments {
		if a.Verdict == ops.AssessResolved {
			s.page.paragraph("\nThe model thinks that this is over; it stays open until its detector does: ", a.FindingID+" "+a.Note)
		}
	}
	if len(d.Rejected) > 0 {
		s.page.heading("Struck, because it could not be proven")
		for _, x := range d.Rejected {
			s.page.paragraph("  - ", x.What+": "+x.Reason)
		}
	}
	if len(d.Tools) > 0 {
		s.page.heading("Tools that the model called")
		t := s.page.table("TOOL", ">TOOK", ">ANSWER", "ARGUMENTS", "ERROR")
		for _, x := range d.Tools {
			t.add(of(x.Tool), of(micros(x.TookUS)), of(bytesText(float64(x.OutputBytes))), of(string(x.Input)), of(x.Err))
		}
		t.print()
	}
	s.page.heading("Stages")
	t := s.page.table("!STAGE", ">TOOK", "WHAT CAME OF IT")
	t.folds = true
	for _, x := range d.Stages {
		t.add(of(x.Name), of(micros(x.TookUS)), of(x.Note))
	}
	t.print()
}

// A patrolAnswer is how patrols are doing.
type patrolAnswer struct {
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

func (s *session) patrolStatusVerb() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "How patrols are doing: what goes on, what waits, the last, the next", Example: "  reeve patrol status", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var a patrolAnswer
			text, err := s.fetch(c.Context(), "/api/v1/patrol", &a)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.showPatrols(a)
			return nil
		},
	}
}

func (s *session) showPatrols(a patrolAnswer) {
	next, model := "only when something happens or somebody asks", "none: "+a.ModelWhy
	if a.Enabled {
		next = fmt.Sprintf("%s, every %s", stamp(a.NextAt), spanMS(a.EveryMS))
	}
	if a.Model != "" {
		model = a.Model
		if e := a.Estimate; e != nil {
			model += fmt.Sprintf("; of everything about %d in, %d out, at most %s; nothing while nothing changes", e.Input, e.Output, dollars(e.Cost))
		}
	}
	failures := ""
	if a.Failures > 0 {
		failures = fmt.Sprintf("%d in a row", a.Failures)
	}
	rows := [][2]string{{"next", next}, {"events", strings.Join(a.Events, ", ")}, {"model", model}, {"failed", failures}}
	if r := a.Last; r != nil {
		rows = append(rows, [2]string{"last", fmt.Sprintf("%s, %s ago: %s", r.ID, age(time.Now(), r.EndedAt), first(r.Err, r.Summary))})
	}
	s.fields(rows)
	if a.Running != nil {
		s.page.heading("Going on")
		s.runTable([]ops.Run{*a.Running})
	}
	if len(a.Queue) > 0 {
		s.page.heading("Waiting")
		s.runTable(a.Queue)
	}
}
