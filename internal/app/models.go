package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reeve/internal/api"
	"reeve/internal/config"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	modelsEvery = time.Hour
	callsKept   = 400 * 24 * time.Hour
	// spareTime lets a provider's own time limits speak before the router's.
	spareTime = 5 * time.Second
)

// keyVariables are where the keys of the providers themselves are looked for.
var keyVariables = map[string]string{
	"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY", "deepseek": "DEEPSEEK_API_KEY",
}

// providerTypes are the ways to speak to models.
var providerTypes = []string{"anthropic", "deepseek", "gemini", "ollama", "openai", "scripted"}

// modelsOf makes the options of the router of the configuration: a mistake
// names the line and the nearest word. A provider whose sealed key cannot be
// opened is not asked.
func modelsOf(c config.Config, sealed notify.Opener) (o llm.Options, err error) {
	m := c.Models
	o = llm.Options{Providers: map[string]llm.Provider{}, Windows: map[string]int64{}, Missing: map[string]string{}, ExamRequired: m.ExamRequired,
		Timeout: time.Duration(m.Timeout) + spareTime, Remedy: remedy,
		Chains: map[ops.ModelUse][]string{ops.UseChat: m.Chat, ops.UsePatrol: m.Patrol, ops.UseInvestigation: m.Investigation, ops.UseProposal: m.Proposal}}
	for _, name := range slices.Sorted(maps.Keys(m.Providers)) {
		if err := addProvider(&o, c, name, sealed); err != nil {
			return o, c.Because("models.providers."+name, err)
		}
	}
	for _, use := range ops.ModelUses {
		for i, model := range o.Chains[use] {
			if err := addModel(&o, c, model, sealed); err != nil {
				return o, c.Because(fmt.Sprintf("models.%s[%d]", use, i), err)
			}
		}
	}
	for _, provider := range slices.Sorted(maps.Keys(keyVariables)) {
		if _, given := os.LookupEnv(keyVariables[provider]); given && o.Providers[provider] == nil {
			if err := addProvider(&o, c, provider, sealed); err != nil {
				return o, err
			}
		}
	}
	u := m.Ceilings
	o.Ceilings = llm.Ceilings{RunTokens: u.RunTokens, RunInput: u.RunInput, DayTokens: u.DayTokens, MonthTokens: u.MonthTokens,
		RunMicroUSD: micro(u.RunUSD), DayMicroUSD: micro(u.DayUSD), MonthMicroUSD: micro(u.MonthUSD)}
	o.Prices, err = pricesOf(m.Prices)
	return o, err
}

func micro(usd float64) int64 { return int64(math.Round(usd * 1e6)) }

// pricesOf puts the prices that a person set before those that are built in.
func pricesOf(set []config.Price) (llm.Prices, error) {
	prices, err := llm.BuiltInPrices()
	if err != nil {
		return nil, err
	}
	var own llm.Prices
	for _, p := range set {
		own = append(own, llm.Price{Model: p.Model, Input: p.Input, Output: p.Output, Cached: p.Cached, CacheWrite: p.CacheWrite, Source: "reeve.yaml",
			Window: prices.Of(p.Model, 0).Window})
	}
	return append(own, prices...), nil
}

// addModel checks the name of a model and opens its provider.
func addModel(o *llm.Options, c config.Config, model string, sealed notify.Opener) error {
	provider, bare, ok := strings.Cut(model, ":")
	if !ok || provider == "" || bare == "" {
		return ops.Errorf(ops.Invalid, "the model %q is not named as provider:model, such as ollama:qwen3", model)
	}
	if o.Providers[provider] != nil {
		return nil
	}
	if !slices.Contains(providerTypes, provider) {
		known := slices.Concat(providerTypes, slices.Collect(maps.Keys(c.Models.Providers)))
		hint := "; declare it under models.providers, or name one of " + strings.Join(providerTypes, ", ")
		if near := config.Nearest(provider, known); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return ops.Errorf(ops.Invalid, "there is no provider %q%s", provider, hint)
	}
	return addProvider(o, c, provider, sealed)
}

// addProvider opens a provider: with what a person set of it, or with nothing
// but the key in its variable.
func addProvider(o *llm.Options, c config.Config, name string, sealed notify.Opener) error {
	p := c.Models.Providers[name]
	kind := p.Type
	if kind == "" {
		if kind = llm.TypeOf(name); name == "scripted" {
			kind = name
		}
	}
	if !slices.Contains(providerTypes, kind) {
		return ops.Errorf(ops.Invalid, "the provider %s has the type %q; did you mean %s?", name, kind, first(config.Nearest(kind, providerTypes), strings.Join(providerTypes, ", ")))
	}
	if p.Window > 0 {
		o.Windows[name] = p.Window
	}
	if kind == "scripted" {
		scripts, err := llm.OpenScripts(name, p.Scripts)
		if err == nil {
			o.Providers[name] = scripts
		}
		return err
	}
	key, err := keyOfProvider(p, kind, sealed)
	switch {
	case ops.KindOf(err) == ops.Unavailable:
		o.Missing[name], _ = ops.Shown(err)
	case err != nil:
		return err
	case key == "" && p.URL == "" && keyVariables[kind] != "":
		o.Missing[name] = "no key is set: set models.providers." + name + ".key, or the variable " + keyVariables[kind]
	}
	opened, err := llm.OpenProvider(name, llm.ProviderOptions{Type: kind, URL: p.URL, Key: key, Window: p.Window,
		Timeout: time.Duration(c.Models.Timeout), IdleTimeout: time.Duration(c.Models.IdleTimeout)})
	if err == nil {
		o.Providers[name] = opened
	}
	return err
}

// keyOfProvider reads the key. The variable of a provider is meant for the
// provider itself and never sent to another address.
func keyOfProvider(p config.Provider, kind string, sealed notify.Opener) (string, error) {
	if p.Key == "" {
		if p.URL == "" && keyVariables[kind] != "" {
			return strings.TrimSpace(os.Getenv(keyVariables[kind])), nil
		}
		return "", nil
	}
	secret, err := notify.ReadSecret(p.Key, sealed)
	return strings.TrimSpace(secret.Reveal()), err
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// remedy says how a person mends what keeps a provider from answering.
func remedy(provider string, c llm.Class) string {
	again := "; then try it: `reeve models test`"
	switch c {
	case llm.Auth:
		return "set a key that works as models.providers." + provider + ".key (sealed:NAME, file:PATH and env:NAME keep it out of the file) and start Reeve again" + again
	case llm.Credit:
		return "add credit to the account at " + provider + ", or name another model first" + again
	case llm.Invalid:
		return "compare the name of the model with those that " + provider + " has, and models.providers." + provider + ".url with its address" + again
	case llm.RateLimit:
		return "wait, ask " + provider + " for higher limits, or name a second model to fall back to"
	case llm.Protocol:
		return "see whether models.providers." + provider + ".type is how that server speaks" + again
	}
	return "see whether " + provider + " is up and can be reached from this host" + again
}

// openModels builds the router with what the store knows.
func (s *Server) openModels(ctx context.Context) error {
	o, err := modelsOf(s.config, s.sealed)
	if err != nil {
		return err
	}
	stored, err := s.store.Exams(ctx)
	if err != nil {
		return err
	}
	s.exams = &exams{all: map[string]llm.Exam{}}
	for _, e := range stored {
		var exam llm.Exam
		if err := json.Unmarshal([]byte(e.Result), &exam); err != nil {
			return fmt.Errorf("read the exam of %s: %w", e.Model, err)
		}
		s.exams.all[e.Model] = exam
	}
	var names []string
	for _, chain := range o.Chains {
		names = append(names, chain...)
	}
	slices.Sort(names)
	if o.Last, err = s.store.LastModelCalls(ctx, slices.Compact(names)); err != nil {
		return err
	}
	o.Exam = s.exams.get
	o.Account = llm.Account{Spent: s.modelSpend, Course: s.modelCourse}
	o.Record = func(ctx context.Context, c ops.ModelCall) error {
		return s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.AddModelCall(ctx, c) })
	}
	s.router = llm.New(s.log, o)
	return nil
}

// modelSpend answers what counts towards a ceiling: of a day and a month what
// was spent since the counters were reset, of a run all.
func (s *Server) modelSpend(ctx context.Context, runID string, since time.Time) (ops.Spend, error) {
	if runID != "" {
		return s.store.ModelSpend(ctx, runID, since)
	}
	reset, err := s.store.UsageReset(ctx)
	if err != nil {
		return ops.Spend{}, err
	}
	return s.store.ModelSpend(ctx, "", later(since, reset))
}

func (s *Server) modelCourse(ctx context.Context, since time.Time, step time.Duration) ([]ops.SpendAt, error) {
	reset, err := s.store.UsageReset(ctx)
	if err != nil {
		return nil, err
	}
	return s.store.ModelSpendCourse(ctx, later(since, reset), step)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// modelLoops are the background passes about models.
func (s *Server) modelLoops() []*loop.Loop {
	return []*loop.Loop{{Name: "models", Doc: "Asks local models whether they are the ones that were examined, and examines again those that are not; deletes calls after 400 days.",
		Every: modelsEvery, Timeout: 30 * time.Minute, Pass: s.modelsPass}}
}

func (s *Server) modelsPass(ctx context.Context) error {
	err := s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		_, err := tx.PruneModelCalls(ctx, tx.Now().Add(-callsKept))
		return err
	})
	if err != nil {
		return err
	}
	s.router.Look(ctx, s.localProviders())
	for _, model := range s.router.Outdated() {
		if _, err := s.examine(ctx, model, store.Why{Actor: "models", Reason: "another model answers under this name"}); err != nil {
			s.log.Warn("model not examined again", "model", model, "err", err)
		}
	}
	return nil
}

// localProviders are those on machines of one's own: only they are asked
// without need.
func (s *Server) localProviders() []string {
	var local []string
	for _, name := range s.router.ProviderNames() {
		p := s.config.Models.Providers[name]
		if p.URL != "" || p.Type == "ollama" || p.Type == "scripted" || name == "ollama" || name == "scripted" {
			local = append(local, name)
		}
	}
	return local
}

// exams are the exams of models as they are stored.
type exams struct {
	mu  sync.Mutex
	all map[string]llm.Exam

	running sync.Mutex // one exam at a time
	model   string     // under way
	tasks   []llm.ExamTask
}

func (e *exams) get(model string) (llm.Exam, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	exam, ok := e.all[model]
	return exam, ok
}

// progress answers the exam under way, "" for none.
func (e *exams) progress() (model string, tasks []llm.ExamTask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.model, slices.Clone(e.tasks)
}

func (e *exams) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// examine takes a model through the exam and stores how it did.
func (s *Server) examine(ctx context.Context, model string, why store.Why) (llm.Exam, error) {
	provider, bare, _ := strings.Cut(model, ":")
	if names := s.router.ProviderNames(); bare == "" || !slices.Contains(names, provider) {
		hint := ""
		if near := config.Nearest(model, s.router.Models()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return llm.Exam{}, ops.Errorf(ops.NotFound, "there is no model %q%s", model, hint)
	}
	if !s.exams.running.TryLock() {
		return llm.Exam{}, ops.Errorf(ops.Conflict, "a model is being examined; wait until that is done")
	}
	defer s.exams.running.Unlock()
	s.exams.set(func() { s.exams.model, s.exams.tasks = model, nil })
	defer s.exams.set(func() { s.exams.model, s.exams.tasks = "", nil })
	exam, err := s.router.Examine(ctx, model, func(t llm.ExamTask) {
		s.exams.set(func() { s.exams.tasks = append(s.exams.tasks, t) })
	})
	if err != nil {
		return exam, err
	}
	text, err := json.Marshal(exam)
	if err != nil {
		return exam, err
	}
	row := store.StoredExam{Model: model, At: exam.At, Grade: string(exam.Grade), Identity: exam.Identity, Result: string(text)}
	err = s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.SaveExam(ctx, row, why) })
	if err == nil {
		s.exams.set(func() { s.exams.all[model] = exam })
	}
	return exam, err
}

// modelsOfAPI is what the API asks of models.
func (s *Server) modelsOfAPI() api.Models {
	return api.Models{Router: s.router, Examine: s.examine, Progress: s.exams.progress}
}

var (
	modelCalls  = prometheus.NewDesc("reeve_model_calls_total", "Calls of language models since the start.", []string{"model", "outcome"}, nil)
	modelTokens = prometheus.NewDesc("reeve_model_tokens_total", "Tokens of language models since the start.", []string{"model", "outcome", "direction"}, nil)
	modelCost   = prometheus.NewDesc("reeve_model_cost_usd_total", "What language models cost since the start, where the price is known.", []string{"model", "outcome"}, nil)
	modelUp     = prometheus.NewDesc("reeve_model_up", "1 for models that answered the last time, 0 for those that did not.", []string{"model", "state"}, nil)
)

// collectModels sends the metrics about models.
func (s *Server) collectModels(send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
	for _, t := range s.router.Tallies() {
		send(modelCalls, prometheus.CounterValue, float64(t.Calls), t.Model, t.Outcome)
		send(modelTokens, prometheus.CounterValue, float64(t.Input), t.Model, t.Outcome, "in")
		send(modelTokens, prometheus.CounterValue, float64(t.Output), t.Model, t.Outcome, "out")
		send(modelCost, prometheus.CounterValue, float64(t.MicroUSD)/1e6, t.Model, t.Outcome)
	}
	for _, m := range s.router.Statuses() {
		up := 0.0
		if m.State == llm.StateOK {
			up = 1
		}
		send(modelUp, prometheus.GaugeValue, up, m.Model, m.State)
	}
}

// modelSightings reports the providers of models as components.
func (s *Server) modelSightings(host ops.HostIdentity) []ops.Sighting {
	var all []ops.Sighting
	providers := s.router.Providers()
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		p := providers[name]
		c := component(host, "model", name, p.State, p.Err, 0)
		c.Observed["model"] = p.Model
		if p.Class != "" {
			c.Observed["class"], c.Observed["remedy"] = string(p.Class), p.Remedy
			c.Observed["failing_minutes"] = fmt.Sprint(int64(time.Since(p.FailingAt).Minutes()))
		}
		all = append(all, c)
	}
	return all
}
