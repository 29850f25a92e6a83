package api

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// Models is what the API asks of the models.
type Models struct {
	Router *llm.Router
	// Examine takes a model through the exam and stores how it did.
	Examine func(ctx context.Context, model string, why store.Why) (llm.Exam, error)
	// Progress answers the exam under way, "" for none.
	Progress func() (model string, tasks []llm.ExamTask)
}

// usageDays is how far back usage is kept.
const usageDays = 400

func (s *Server) modelRoutes() []rest.Route {
	usage := rest.Reading("GET /api/v1/usage", rest.Read, "What models took, by provider, model, use, resource or day, with the ceilings; format=csv for a table.", s.usage)
	usage.Out = reflect.TypeFor[UsageReport]()
	return []rest.Route{
		rest.Typed("GET /api/v1/models", rest.Read, "Language models that are set, how they are and what they may do. Keys are never told.", s.modelList),
		rest.Typed("GET /api/v1/models/test", rest.Read, "The exam under way, task by task.", s.modelProgress),
		rest.Typed("POST /api/v1/models/test", rest.Operate, "Take a model, or all that are set, through the exam; it costs tokens and takes minutes.", s.testModels).Slow(),
		rest.Typed("GET /api/v1/models/calls", rest.Read, "Calls of models, the newest first, also the ones that failed.", s.modelCalls),
		usage,
		rest.Typed("POST /api/v1/usage/reset", rest.Administer, "Start the counters of usage, and the ceilings of a day and a month, at zero; the calls stay.", s.resetUsage),
	}
}

// A ModelList is the models with the order in which each use asks them.
type ModelList struct {
	Items     []llm.Status              `json:"items"`
	Uses      map[ops.ModelUse][]string `json:"uses" doc:"By use, the models in the order in which they are asked."`
	Available map[ops.ModelUse]string   `json:"available" doc:"By use, the model that would be asked now; absent when none would be."`
	Why       map[ops.ModelUse]string   `json:"unavailable" doc:"By use, why no model would be asked."`
	Providers []string                  `json:"providers" doc:"Providers that can be asked: with a key, an address or scripts."`
}

func (s *Server) modelList(context.Context, rest.NoInput) (ModelList, error) {
	r := s.deps.Models.Router
	l := ModelList{Items: r.Statuses(), Uses: map[ops.ModelUse][]string{}, Available: map[ops.ModelUse]string{}, Why: map[ops.ModelUse]string{}, Providers: r.ProviderNames()}
	for _, use := range ops.ModelUses {
		l.Uses[use] = r.Chain(use)
		if l.Uses[use] == nil {
			l.Uses[use] = []string{}
		}
		if model, why := r.Available(use); model != "" {
			l.Available[use] = model
		} else {
			l.Why[use] = why
		}
	}
	return l, nil
}

// A ModelProgress is an exam under way.
type ModelProgress struct {
	Model string         `json:"model" doc:"Empty when none is being examined."`
	Tasks []llm.ExamTask `json:"tasks" doc:"Those that are done."`
}

func (s *Server) modelProgress(context.Context, rest.NoInput) (ModelProgress, error) {
	model, tasks := s.deps.Models.Progress()
	if tasks == nil {
		tasks = []llm.ExamTask{}
	}
	return ModelProgress{model, tasks}, nil
}

type testInput struct {
	Body struct {
		Model string `json:"model,omitempty" doc:"provider:model; empty for all that are set."`
	} `body:""`
}

// A ModelTest is how one model did.
type ModelTest struct {
	Model  string         `json:"model"`
	Exam   *llm.Exam      `json:"exam" doc:"Null when it could not be examined."`
	Uses   []ops.ModelUse `json:"may" doc:"What it may be used for."`
	Class  llm.Class      `json:"error_class,omitempty"`
	Err    string         `json:"error,omitempty"`
	Remedy string         `json:"remedy,omitempty"`
}

func (s *Server) testModels(ctx context.Context, in testInput) (rest.List[ModelTest], error) {
	models := []string{in.Body.Model}
	if in.Body.Model == "" {
		if models = s.deps.Models.Router.Models(); len(models) == 0 {
			return rest.List[ModelTest]{}, ops.Errorf(ops.Invalid, "no model is set; name one under models.chat, models.patrol or models.investigation")
		}
	}
	var all []ModelTest
	for _, m := range models {
		t, err := s.testModel(ctx, m)
		if err != nil {
			return rest.List[ModelTest]{}, err
		}
		all = append(all, t)
	}
	return rest.ListOf(all, ""), nil
}

// testModel examines one model. What keeps it from answering is part of the
// answer; what is wrong with the request is an error.
func (s *Server) testModel(ctx context.Context, model string) (ModelTest, error) {
	t := ModelTest{Model: model, Uses: []ops.ModelUse{}}
	exam, err := s.deps.Models.Examine(ctx, model, rest.CallerOf(ctx).Why("asked for"))
	if e, ok := errors.AsType[*llm.Error](err); ok {
		t.Class, t.Err, t.Remedy = e.Class, e.Error(), s.deps.Models.Router.Status(model).Remedy
		return t, nil
	}
	if err != nil {
		return t, err
	}
	t.Exam = &exam
	for _, use := range ops.ModelUses {
		if exam.Grade.Allows(llm.Needs(use)) {
			t.Uses = append(t.Uses, use)
		}
	}
	return t, nil
}

type callsInput struct {
	Model   string `query:"model" doc:"provider:model."`
	Use     string `query:"use" enum:"patrol,investigation,chat,proposal,exam"`
	Run     string `query:"run" doc:"Of a patrol run or an investigation."`
	Outcome string `query:"outcome" enum:"ok,failed,auth,credit,rate_limit,context_length,transient,refusal,protocol,invalid,cancelled" doc:"failed is all but ok."`
	Limit   int    `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor  string `query:"cursor"`
}

func (s *Server) modelCalls(ctx context.Context, q callsInput) (rest.List[ops.ModelCall], error) {
	f := store.ModelCallFilter{Model: q.Model, Use: q.Use, RunID: q.Run, Outcome: q.Outcome, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.ModelCall]{}, err
	}
	items, next, err := s.store.ModelCalls(ctx, f)
	return rest.ListOf(items, cursorOf("", next)), err
}

type usageInput struct {
	By     string `query:"by" enum:"provider,model,use,resource,day" doc:"Default model."`
	Days   int    `query:"days" doc:"How far back, at most 400; default 30."`
	Format string `query:"format" enum:"json,csv" doc:"Default json."`
}

// A UsageRow is what one model, provider, use, resource or day took.
type UsageRow struct {
	ops.Usage
	Name string `json:"name,omitempty" doc:"Of the resource."`
}

// A UsageReport is what models took.
type UsageReport struct {
	By       string             `json:"by"`
	Since    time.Time          `json:"since" doc:"What was before is not counted: it is longer ago, or from before the counters were reset."`
	ResetAt  time.Time          `json:"reset_at,omitzero" doc:"When the counters were reset last."`
	Items    []UsageRow         `json:"items"`
	Total    ops.Spend          `json:"total"`
	Ceilings []llm.CeilingState `json:"ceilings" doc:"Of a day and a month, with what is left."`
}

func (s *Server) usage(w http.ResponseWriter, r *http.Request, q usageInput) error {
	report, err := s.usageReport(r.Context(), q)
	if err != nil {
		return err
	}
	if q.Format != "csv" {
		return rest.Reply(w, r, report)
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="reeve-usage-`+report.By+`.csv"`)
	h.Set("Cache-Control", "no-store")
	return writeUsage(csv.NewWriter(w), report)
}

func (s *Server) usageReport(ctx context.Context, q usageInput) (UsageReport, error) {
	if q.Days > usageDays {
		return UsageReport{}, rest.Invalid("days", "calls are kept for %d days", usageDays)
	}
	if q.Days == 0 {
		q.Days = 30
	}
	if q.By == "" {
		q.By = "model"
	}
	u := UsageReport{By: q.By, Since: s.now().UTC().AddDate(0, 0, -q.Days), Items: []UsageRow{}}
	var err error
	if u.ResetAt, err = s.store.UsageReset(ctx); err != nil {
		return u, err
	}
	if u.ResetAt.After(u.Since) {
		u.Since = u.ResetAt
	}
	rows, err := s.store.ModelUsage(ctx, q.By, u.Since)
	if err != nil {
		return u, err
	}
	place, err := s.estate.look(ctx)
	if err != nil {
		return u, err
	}
	for _, row := range rows {
		named := UsageRow{Usage: row}
		if r := place.byID[row.Key]; q.By == "resource" && r != nil {
			named.Name = r.Name
		}
		u.Items, u.Total = append(u.Items, named), u.Total.Plus(row.Spend)
	}
	u.Ceilings, err = s.deps.Models.Router.Budget(ctx, llm.Job{})
	if u.Ceilings == nil {
		u.Ceilings = []llm.CeilingState{}
	}
	return u, err
}

// writeUsage writes the report as a table for spreadsheets.
func writeUsage(w *csv.Writer, u UsageReport) error {
	rows := [][]string{{u.By, "name", "calls", "failed", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "unpriced_tokens", "cost_usd", "latency_ms"}}
	for _, x := range u.Items {
		numbers := []int64{x.Calls, x.Failed, x.Input, x.Cached, x.Output, x.Reasoning, x.Unpriced}
		row := []string{inert(x.Key), inert(x.Name)}
		for _, n := range numbers {
			row = append(row, strconv.FormatInt(n, 10))
		}
		rows = append(rows, append(row, fmt.Sprintf("%.6f", float64(x.MicroUSD)/1e6), strconv.FormatInt(x.LatencyMS, 10)))
	}
	return w.WriteAll(rows)
}

// inert keeps a spreadsheet from taking a name from the estate for a formula.
func inert(text string) string {
	if text != "" && slices.Contains([]string{"=", "+", "-", "@", "\t", "\r"}, text[:1]) {
		return "'" + text
	}
	return text
}

type resetInput struct {
	Body struct {
		Reason string `json:"reason" doc:"Why; it stands in the audit."`
	} `body:""`
}

func (s *Server) resetUsage(ctx context.Context, in resetInput) (rest.None, error) {
	if strings.TrimSpace(in.Body.Reason) == "" {
		return rest.None{}, rest.Invalid("reason", "say why: it stands in the audit")
	}
	if err := checkReason(in.Body.Reason); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, s.store.Tx(ctx, s.now(), func(tx *store.Tx) error { return tx.ResetUsage(ctx, rest.CallerOf(ctx).Why(in.Body.Reason)) })
}
