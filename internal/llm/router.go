package llm

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/ops"
)

// DefaultWindow is the context window that is assumed of a model of which
// nothing is known.
const DefaultWindow = 32 << 10

const (
	defaultMaxOutput = 4096
	recordTimeout    = 10 * time.Second
	// shortWait is the longest time that a call waits for a model that asks
	// for patience; for a longer one the next model is asked.
	shortWait = 5 * time.Second
)

// A Job says what a request is for.
type Job struct {
	Use        ops.ModelUse
	RunID      string // the patrol run or investigation; ceilings of a run count by it
	ResourceID string // the resource it is about, where it is about one
	// Models are asked instead of those set for the use: a replay, an exam.
	Models []string
	// Need is the grade that a model must have; "" for what the use needs. A
	// job without tools needs GradeExplain only.
	Need Grade
}

func (j Job) need() Grade {
	if j.Need == "" {
		return Needs(j.Use)
	}
	return j.Need
}

// An Answer is a reply with how it came about. Attempts are filled in also
// when there is an error.
type Answer struct {
	Reply
	// JSON is the structured reply where the request has a schema and the
	// model called no tool: it fits the schema.
	JSON     []byte
	Model    string // provider:model that answered
	Attempts []ops.ModelCall
}

// Tokens of all attempts.
func (a Answer) Spent() (t ops.Tokens) {
	for _, c := range a.Attempts {
		t = t.Plus(c.Tokens)
	}
	return t
}

// Options are what a Router needs.
type Options struct {
	Providers map[string]Provider // by the name before the colon
	// Chains are the models of each use as provider:model, in the order in
	// which they are asked.
	Chains  map[ops.ModelUse][]string
	Windows map[string]int64 // by provider, where a person set it
	// Missing says of providers what a person must set before they can be
	// asked.
	Missing map[string]string
	Prices  Prices
	Ceilings
	Account
	Timeout      time.Duration // of one call; 0 for 5 minutes
	ExamRequired bool          // for investigations
	// Exam answers the last exam of a model.
	Exam func(model string) (Exam, bool)
	// Record stores an attempt.
	Record func(context.Context, ops.ModelCall) error
	// Last are the newest stored calls of models, so that what is known of
	// them survives a restart.
	Last []ops.ModelCall
	// Remedy says how a person mends what keeps a provider from answering.
	Remedy func(provider string, c Class) string
}

// A Router asks models in order until one answers, keeps the ceilings, and
// records every attempt. It gives no reply any power.
type Router struct {
	log    *slog.Logger
	o      Options
	ledger *ledger
	now    func() time.Time

	mu     sync.Mutex
	models map[string]*model
	// refused are providers that want a person: a wrong key, no credit.
	refused map[string]trouble
	tallies map[[2]string]ops.Spend // by model and outcome
}

// A model is what is known of one provider:model.
type model struct {
	breaker  breaker
	learnt   int64  // window, from an error about the context length
	shown    int64  // window, as the provider describes it
	digest   string // of its weights, as the provider says
	answered string // how the provider called what answered last
	lastOK   time.Time
	trouble  trouble
}

// A trouble is what went wrong last, since when.
type trouble struct {
	class Class
	err   string
	since time.Time
	at    time.Time
}

// New makes a Router.
func New(log *slog.Logger, o Options) *Router {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Minute
	}
	r := &Router{log: log, o: o, now: time.Now, models: map[string]*model{}, refused: map[string]trouble{}, tallies: map[[2]string]ops.Spend{}}
	r.ledger = &ledger{ceilings: o.Ceilings, account: o.Account, now: func() time.Time { return r.now() }, flight: map[int64]reservation{}}
	for _, c := range o.Last {
		r.remember(c)
	}
	for provider, what := range o.Missing {
		r.refused[provider] = trouble{class: Auth, err: what, since: r.now(), at: r.now()}
	}
	return r
}

// Models answers every model that is set for a use, by name.
func (r *Router) Models() []string {
	seen := map[string]bool{}
	for _, chain := range r.o.Chains {
		for _, name := range chain {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Chain answers the models of a use in order.
func (r *Router) Chain(use ops.ModelUse) []string { return slices.Clone(r.o.Chains[use]) }

// Available answers the model that would be asked first for a use; "" with
// the reason when there is none.
func (r *Router) Available(use ops.ModelUse) (model, why string) {
	return r.AvailableFor(Job{Use: use})
}

// AvailableFor is Available for a job that names its models or its need.
func (r *Router) AvailableFor(j Job) (model, why string) {
	names, err := r.chain(j)
	if err != nil {
		return "", err.Message
	}
	var reasons []string
	for _, name := range names {
		if why := r.barred(name, j); why != "" {
			reasons = append(reasons, name+": "+why)
			continue
		}
		if err := r.ledger.allow(context.Background(), j, r.want(name, 1, 1)); err != nil {
			reasons = append(reasons, name+": "+err.Message)
			continue
		}
		return name, ""
	}
	return "", strings.Join(reasons, "; ")
}

// Allow answers nil when a run or a call that takes so many tokens stays
// below every ceiling, else an *Error of the class Budget that says which one
// it would pass, what was spent, and when there is room again. It takes
// nothing: Ask checks again.
func (r *Router) Allow(ctx context.Context, j Job, in, out int64) error {
	name, _ := r.first(j)
	if err := r.ledger.allow(ctx, j, r.want(name, in, out)); err != nil {
		return err
	}
	return nil
}

// Budget answers how the ceilings that apply to a job stand.
func (r *Router) Budget(ctx context.Context, j Job) ([]CeilingState, error) {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	return r.ledger.states(ctx, j)
}

// Estimate answers what so many tokens cost at most with the first model that
// may be asked for a use, in millionths of a US dollar; nil when unknown.
func (r *Router) Estimate(use ops.ModelUse, in, out int64) *int64 {
	name, ok := r.first(Job{Use: use})
	if !ok {
		return nil
	}
	return r.o.Prices.Most(name, in, out)
}

// Window answers the context window in tokens of the first model that may be
// asked for a use.
func (r *Router) Window(use ops.ModelUse) int64 {
	name, ok := r.first(Job{Use: use})
	if !ok {
		return DefaultWindow
	}
	return r.WindowOf(name)
}

// WindowOf answers the context window of a model.
func (r *Router) WindowOf(name string) int64 { n, _ := r.window(name); return n }

// window answers the window of a model and where that is from: what a person
// set, what the provider shows, the table, a guess; what an error taught is
// true when it is less, or when the rest was a guess.
func (r *Router) window(name string) (tokens int64, from string) {
	provider, _, _ := strings.Cut(name, ":")
	r.mu.Lock()
	m := r.get(name)
	learnt, shown := m.learnt, m.shown
	r.mu.Unlock()
	switch {
	case r.o.Windows[provider] > 0:
		tokens, from = r.o.Windows[provider], "configuration"
	case shown > 0:
		tokens, from = shown, "provider"
	case r.o.Prices.Of(name, 0).Window > 0:
		tokens, from = r.o.Prices.Of(name, 0).Window, "table"
	default:
		tokens, from = DefaultWindow, "guess"
	}
	if learnt > 0 && (learnt < tokens || from == "guess") {
		return learnt, "error"
	}
	return tokens, from
}

// first answers the first model of a job that may be asked, else the first of
// all.
func (r *Router) first(j Job) (name string, ok bool) {
	names, err := r.chain(j)
	if err != nil {
		return "", false
	}
	for _, name := range names {
		if r.barred(name, j) == "" {
			return name, true
		}
	}
	return names[0], true
}

// chain answers the models of a job.
func (r *Router) chain(j Job) ([]string, *Error) {
	names := j.Models
	if len(names) == 0 {
		names = r.o.Chains[j.Use]
	}
	if len(names) == 0 {
		return nil, &Error{Class: Invalid, Provider: "reeve", Message: fmt.Sprintf("no model is set for %s; name one under models.%s", j.Use, j.Use)}
	}
	return names, nil
}

// barred answers why a model may not be asked now, "" when it may.
func (r *Router) barred(name string, j Job) string {
	provider, bare, _ := strings.Cut(name, ":")
	if r.o.Providers[provider] == nil || bare == "" {
		return "there is no provider " + provider + " with a key or an address; set models.providers." + provider
	}
	if what := r.o.Missing[provider]; what != "" {
		return what
	}
	if j.Use == ops.UseExam {
		return "" // How it does is what the exam is to find out.
	}
	if why := r.forbids(name, j.need()); why != "" {
		return why
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, now := &r.get(name).breaker, r.now()
	switch b.state(now) {
	case BreakerOpen:
		return "it failed too often and is asked again at " + b.until.UTC().Format("15:04:05 MST")
	case BreakerHalfOpen:
		if b.probing {
			return "it failed too often and is being tried just now"
		}
	}
	return ""
}

// forbids answers why a model's exam keeps it from what needs a grade.
func (r *Router) forbids(name string, need Grade) string {
	exam, ok := r.exam(name)
	switch {
	case !ok && need == GradeInvestigate && r.o.ExamRequired:
		return "it may not investigate before it passed `reeve models test " + name + "`"
	case ok && !exam.Grade.Allows(need):
		return fmt.Sprintf("its exam gave it the grade %s, and this needs %s", exam.Grade, need)
	}
	return ""
}

// want answers what a call may take at most.
func (r *Router) want(name string, in, out int64) ops.Spend {
	return ops.SpendOf(ops.Tokens{Input: in, Output: out}, r.o.Prices.Most(name, in, out))
}

// get answers what is known of a model. Call it with the lock held.
func (r *Router) get(name string) *model {
	if r.models[name] == nil {
		r.models[name] = &model{}
	}
	return r.models[name]
}

func jitter() float64 { return rand.Float64() }
