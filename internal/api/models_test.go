package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// models are two: one that answers everything with a word, one whose key is
// refused.
func (w *world) models() api.Models {
	r := llm.New(quiet(), llm.Options{
		Providers: map[string]llm.Provider{
			"acme": llm.Scripted(func(llm.Request) (llm.Reply, error) { return llm.Reply{Message: llm.Say(llm.Assistant, "ready")}, nil }),
			"shut": llm.Scripted(func(llm.Request) (llm.Reply, error) {
				return llm.Reply{}, &llm.Error{Class: llm.Auth, Provider: "shut", Status: 401}
			}),
		},
		Chains:   map[ops.ModelUse][]string{ops.UsePatrol: {"acme:large", "shut:x"}, ops.UseInvestigation: {"shut:x"}},
		Ceilings: llm.Ceilings{DayTokens: 1_000_000, MonthMicroUSD: 50_000_000}, ExamRequired: true,
		Account: llm.Account{Course: w.db.ModelSpendCourse, Spent: w.db.ModelSpend},
		Exam:    func(string) (llm.Exam, bool) { return llm.Exam{}, false },
		Remedy:  func(provider string, c llm.Class) string { return "mend " + provider },
		Record: func(ctx context.Context, c ops.ModelCall) error {
			return w.db.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.AddModelCall(ctx, c) })
		},
	})
	return api.Models{Router: r, Progress: func() (string, []llm.ExamTask) { return "", nil },
		Examine: func(ctx context.Context, model string, why store.Why) (llm.Exam, error) {
			return r.Examine(ctx, model, func(llm.ExamTask) {})
		}}
}

func TestModelsAreListedWithWhatKeepsThemAway(t *testing.T) {
	c := newWorld(t).admin()
	var tests rest.List[api.ModelTest]
	c.want(200, "POST", "/api/v1/models/test", map[string]string{}, &tests)
	if len(tests.Items) != 2 || tests.Items[0].Exam == nil || tests.Items[1].Exam != nil || tests.Items[1].Class != llm.Auth || tests.Items[1].Remedy != "mend shut" {
		t.Fatalf("%+v", tests)
	}
	var l api.ModelList
	c.want(200, "GET", "/api/v1/models", nil, &l)
	if len(l.Items) != 2 || l.Available[ops.UsePatrol] != "acme:large" || !strings.Contains(l.Why[ops.UseInvestigation], "reeve models test shut:x") ||
		!strings.Contains(l.Why[ops.UseChat], "models.chat") || l.Items[1].State != llm.StateFailing {
		t.Errorf("%+v", l)
	}
	var calls rest.List[ops.ModelCall]
	c.want(200, "GET", "/api/v1/models/calls?outcome=failed&model=shut:x&limit=1", nil, &calls)
	if len(calls.Items) != 1 || calls.Items[0].Outcome != "auth" || calls.Items[0].Use != ops.UseExam {
		t.Errorf("%+v", calls)
	}
}

func TestUsageIsToldAsJSONAndAsATable(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	cost := int64(1234)
	w.tx(func(tx *store.Tx) error {
		return tx.AddModelCall(t.Context(), ops.ModelCall{ID: ops.NewID(ops.CallID), At: time.Now(), Model: "acme:=HYPERLINK", Use: ops.UsePatrol, ResourceID: w.fs.ID,
			Tokens: ops.Tokens{Input: 100, Output: 20}, CostMicroUSD: &cost, Outcome: "ok"})
	})
	var u api.UsageReport
	c.want(200, "GET", "/api/v1/usage?by=resource", nil, &u)
	if len(u.Items) != 1 || u.Items[0].Name != w.fs.Name || u.Total.MicroUSD != 1234 || len(u.Ceilings) != 2 || u.Ceilings[1].Left != 999_880 {
		t.Errorf("%+v", u)
	}
	status, header, body := c.do("GET", "/api/v1/usage?by=provider&format=csv", nil)
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") ||
		string(body) != "provider,name,calls,failed,input_tokens,cached_tokens,output_tokens,reasoning_tokens,unpriced_tokens,cost_usd,latency_ms\nacme,,1,0,100,0,20,0,0,0.001234,0\n" {
		t.Errorf("%d %v %s", status, header, body)
	}
	c.want(422, "GET", "/api/v1/usage?days=401", nil, nil)
	c.want(422, "GET", "/api/v1/usage?by=colour", nil, nil)
	c.want(422, "POST", "/api/v1/usage/reset", map[string]string{"reason": " "}, nil)
	c.want(204, "POST", "/api/v1/usage/reset", map[string]string{"reason": "new month"}, nil)
	c.want(200, "GET", "/api/v1/usage", nil, &u)
	if len(u.Items) != 0 || u.ResetAt.IsZero() {
		t.Errorf("%+v", u)
	}
	all, err := w.db.Transitions(t.Context(), store.TransitionFilter{Object: "settings", Newest: true})
	if err != nil || all[0].Reason != "new month" || all[0].Actor != "user:admin" {
		t.Errorf("%+v %v", all, err)
	}
}
