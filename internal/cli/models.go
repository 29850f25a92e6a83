package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/dial"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// progressEvery is how often a running exam is looked at.
const progressEvery = 500 * time.Millisecond

type modelRow struct {
	Model  string         `json:"model"`
	Uses   []ops.ModelUse `json:"uses"`
	State  string         `json:"state"`
	Window int64          `json:"window_tokens"`
	From   string         `json:"window_from"`
	Price  struct {
		Input  *float64 `json:"input"`
		Output *float64 `json:"output"`
	} `json:"price"`
	Exam     *examRow                `json:"exam"`
	Outdated bool                    `json:"exam_outdated"`
	Err      string                  `json:"error"`
	Remedy   string                  `json:"remedy"`
	Barred   map[ops.ModelUse]string `json:"barred"`
}

type examRow struct {
	Grade  string     `json:"grade"`
	At     time.Time  `json:"at"`
	Tasks  []taskRow  `json:"tasks"`
	TookMS int64      `json:"took_ms"`
	Tokens ops.Tokens `json:"tokens"`
	Cost   *int64     `json:"cost_micro_usd"`
}

type taskRow struct {
	Name   string   `json:"name"`
	Passed int      `json:"passed"`
	Of     int      `json:"of"`
	Wrong  []string `json:"wrong"`
}

type modelTest struct {
	Model  string         `json:"model"`
	Exam   *examRow       `json:"exam"`
	Uses   []ops.ModelUse `json:"may"`
	Err    string         `json:"error"`
	Remedy string         `json:"remedy"`
}

func (s *session) modelsVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "models", Aliases: []string{"model"}, Short: "List the language models that are set, examine them, or list their calls", Args: cobra.ArbitraryArgs,
		Example: "  reeve models\n  reeve models test\n  reeve models test ollama:qwen3:8b\n  reeve models calls --outcome failed",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			return s.listModels(c.Context())
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "test [MODEL]", Short: "Take a model, or all that are set, through the exam that decides what they may do", Args: takes(0, 1, "a model as provider:model"),
		Long: `Asks a model some twenty short questions: does it answer, keep to a schema, answer
from facts alone, say so when they do not tell, use tools, and leave instructions
alone that stand in a log. The grade decides what it may be used for: none,
explain, patrol or investigate. It costs some ten thousand tokens.`,
		Example: "  reeve models test\n  reeve models test anthropic:claude-haiku-5-5",
		RunE: func(c *cobra.Command, args []string) error {
			return s.testModels(c.Context(), cmp.Or(append(args, "")...))
		},
	}, s.modelCallsVerb())
	return c
}

func (s *session) listModels(ctx context.Context) error {
	var l struct {
		Items []modelRow              `json:"items"`
		Why   map[ops.ModelUse]string `json:"unavailable"`
	}
	text, err := s.server.Fetch(ctx, "/api/v1/models", &l)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	if len(l.Items) == 0 {
		s.page.Line("no models: patrols and investigations do without. Name some under models.patrol, models.investigation and models.chat in reeve.yaml")
		return nil
	}
	t := s.page.Table("!MODEL", "USES", "!STATE", "!GRADE", ">WINDOW", ">IN $/M", ">OUT $/M")
	for _, m := range l.Items {
		uses := make([]string, len(m.Uses))
		for i, u := range m.Uses {
			uses[i] = string(u)
		}
		grade := "not examined"
		if m.Exam != nil {
			grade = m.Exam.Grade
		}
		if m.Outdated {
			grade += " (outdated)"
		}
		window := fmt.Sprint(m.Window)
		if m.From == "guess" {
			window += "?"
		}
		t.Add(term.Of(m.Model), term.Of(strings.Join(uses, ", ")), term.Painted(m.State, term.StateStyle(m.State)), term.Of(grade), term.Of(window), term.Of(priceText(m.Price.Input)), term.Of(priceText(m.Price.Output)))
		if m.Err != "" {
			t.Note(m.Err + ". " + m.Remedy)
		}
	}
	t.Print()
	for _, use := range ops.ModelUses {
		if why := l.Why[use]; why != "" && slices.ContainsFunc(l.Items, func(m modelRow) bool { return slices.Contains(m.Uses, use) }) {
			s.page.Line("%s", term.Safe(fmt.Sprintf("no model for %s: %s", use, why)))
		}
	}
	return nil
}

func priceText(usd *float64) string {
	if usd == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.2f", *usd)
}

// testModels asks for the exam and tells how it goes on while it waits.
func (s *session) testModels(ctx context.Context, model string) error {
	c, err := s.server.Connect()
	if err != nil {
		return err
	}
	type outcome struct {
		text json.RawMessage
		err  error
	}
	done := make(chan outcome, 1)
	go func() { // It ends with the request, which ends with ctx.
		text, err := c.Whole(ctx, http.MethodPost, "/api/v1/models/test", map[string]string{"model": model})
		done <- outcome{text, err}
	}()
	told := map[string]bool{}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case o := <-done:
			if o.err != nil || s.json() {
				return s.documentOr(o.text, o.err)
			}
			return s.showTests(o.text, told)
		case <-tick.C:
			if !s.json() {
				s.showProgress(ctx, told)
			}
		}
	}
}

// showProgress prints the tasks that were done since the last look. What
// cannot be told is told at the end.
func (s *session) showProgress(ctx context.Context, told map[string]bool) {
	var p struct {
		Model string    `json:"model"`
		Tasks []taskRow `json:"tasks"`
	}
	if s.server.Get(ctx, "/api/v1/models/test", &p) == nil {
		s.showTasks(p.Model, p.Tasks, told)
	}
}

func (s *session) showTasks(model string, tasks []taskRow, told map[string]bool) {
	for _, t := range tasks {
		if key := model + " " + t.Name; !told[key] {
			told[key] = true
			s.page.Line("%s  %-16s %d of %d", term.Safe(model), term.Safe(t.Name), t.Passed, t.Of)
			for _, wrong := range t.Wrong {
				s.page.Paragraph("    ", term.Safe(wrong))
			}
		}
	}
}

func (s *session) showTests(text json.RawMessage, told map[string]bool) error {
	var l client.List
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("the answer cannot be understood (%s)", dial.LastReason(err))
	}
	tests, err := client.Read[modelTest](l)
	if err != nil {
		return err
	}
	failed := 0
	for _, t := range tests {
		if t.Exam == nil {
			failed++
			s.page.Line("%s  %s", term.Safe(t.Model), s.page.Paint(term.Bold, "could not be examined"))
			s.page.Paragraph("    ", term.Safe(t.Err))
			s.page.Paragraph("    ", term.Safe(t.Remedy))
			continue
		}
		s.showTasks(t.Model, t.Exam.Tasks, told)
		may := "nothing"
		if len(t.Uses) > 0 {
			may = fmt.Sprint(t.Uses)
		}
		if t.Exam.Grade == "none" {
			failed++
		}
		s.page.Line("%s  grade %s: may be used for %s (%d tokens, %s, %s)", term.Safe(t.Model), s.page.Paint(term.Bold, term.Safe(t.Exam.Grade)), strings.Trim(may, "[]"),
			t.Exam.Tokens.Total(), term.Dollars(t.Exam.Cost), term.SpanMS(t.Exam.TookMS))
	}
	if failed > 0 {
		return fmt.Errorf("%s of %d did not pass", term.Plural(failed, "model"), len(tests))
	}
	return nil
}

func (s *session) modelCallsVerb() *cobra.Command {
	var model, use, run, outcome string
	var limit int
	c := &cobra.Command{
		Use: "calls", Short: "List calls of models, the newest first, also the ones that failed", Args: takes(0, 0, ""),
		Example: "  reeve models calls\n  reeve models calls --outcome failed\n  reeve models calls --run run_06h04g7m2abc",
		RunE: func(c *cobra.Command, _ []string) error {
			q := url.Values{}
			set(q, "model", model)
			set(q, "use", use)
			set(q, "run", run)
			set(q, "outcome", outcome)
			l, err := s.server.Listed(c.Context(), "/api/v1/models/calls", q, limit)
			if err != nil {
				return err
			}
			return s.showCalls(l, q)
		},
	}
	f := c.Flags()
	f.StringVar(&model, "model", "", "only of this model")
	f.StringVar(&use, "use", "", "patrol, investigation, chat, proposal or exam")
	f.StringVar(&run, "run", "", "only of this patrol run or investigation")
	f.StringVar(&outcome, "outcome", "", "ok, failed, or one way to fail: auth, credit, rate_limit, context_length, transient, refusal, protocol, invalid, cancelled")
	f.IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return c
}

func (s *session) showCalls(l client.List, q url.Values) error {
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.ModelCall](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no calls of models%s", suchAs(q))
		return nil
	}
	show.Calls(s.page, all)
	s.more(l)
	return nil
}

func (s *session) costVerb() *cobra.Command {
	var by, file string
	var days int
	c := &cobra.Command{
		Use: "cost", Aliases: []string{"usage"}, Short: "Show what language models took, and what is left below the ceilings", Args: cobra.ArbitraryArgs,
		Example: "  reeve cost\n  reeve cost --by day --days 90\n  reeve cost --by use --csv usage.csv\n  reeve cost reset --reason 'new contract'",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			q := url.Values{"by": {by}, "days": {fmt.Sprint(days)}}
			if file != "" {
				q.Set("format", "csv")
				return s.saveCost(c.Context(), q, file)
			}
			return s.showCost(c.Context(), q)
		},
	}
	c.Flags().StringVar(&by, "by", "model", "provider, model, use, resource or day")
	c.Flags().IntVar(&days, "days", 30, "how far back, at most 400")
	c.Flags().StringVar(&file, "csv", "", "write a table for spreadsheets to this file; - for the standard output")
	must(c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{"provider", "model", "use", "resource", "day"}, cobra.ShellCompDirectiveNoFileComp)))
	var reason string
	reset := &cobra.Command{
		Use: "reset", Short: "Start the counters, and the ceilings of a day and a month, at zero; the calls stay", Args: takes(0, 0, ""),
		Example: "  reeve cost reset --reason 'new contract'",
		RunE: func(c *cobra.Command, _ []string) error {
			if reason == "" {
				return usageError{"`reeve cost reset` needs --reason: it stands in the audit", c.CommandPath()}
			}
			if _, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/usage/reset", map[string]string{"reason": reason}, nil); err != nil {
				return err
			}
			return s.done(map[string]any{"reset": true}, "the counters start at zero; the calls are kept")
		},
	}
	reset.Flags().StringVar(&reason, "reason", "", "why; it stands in the audit")
	c.AddCommand(reset)
	return c
}

func (s *session) showCost(ctx context.Context, q url.Values) error {
	var u show.UsageAnswer
	text, err := s.server.Fetch(ctx, "/api/v1/usage?"+q.Encode(), &u)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Usage(s.page, u)
	return nil
}

// saveCost writes the table as the server sends it.
func (s *session) saveCost(ctx context.Context, q url.Values, file string) error {
	c, err := s.server.Connect()
	if err != nil {
		return err
	}
	text, err := c.Raw(ctx, http.MethodGet, "/api/v1/usage?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	if file == "-" {
		_, err := io.WriteString(s.program.Out, string(text))
		return err
	}
	if err := mustBeFree(file); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("%s cannot be written (%s)", file, dial.LastReason(err))
	}
	return s.done(map[string]any{"file": file}, "%s holds the table", term.Safe(file))
}
