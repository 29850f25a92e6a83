package llm

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// admit gives leave for one call to a model, or says until when there is
// none. An exam is asked for by a person and always has leave.
func (r *Router) admit(name string, j Job) (ticket, *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, now := &r.get(name).breaker, r.now()
	t, ok := b.admit(now)
	if ok {
		return t, nil
	}
	if j.Use == ops.UseExam {
		return ticket{forced: true}, nil
	}
	return t, &Error{Class: Transient, Provider: name, Code: "not_asked", RetryAfter: max(0, b.until.Sub(now)), Message: "it failed too often and is not asked now"}
}

// settle takes the leave back and remembers what the call proved, and who
// answered.
func (r *Router) settle(name string, t ticket, answered string, err *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var class Class
	var text string
	var after time.Duration
	if err != nil {
		class, after, text = err.Class, err.RetryAfter, redact.Line(err.Error(), 300)
	}
	if err != nil && err.Code == unfit {
		class = "" // What it says is of no use here, but it is there and answers.
	}
	r.get(name).breaker.settle(now, t, verdictOf(class), after, jitter())
	r.note(name, class, text, now)
	if answered != "" {
		r.get(name).answered = answered
	}
}

// note remembers how a model is. Call it with the lock held.
func (r *Router) note(name string, class Class, text string, at time.Time) {
	provider, _, _ := strings.Cut(name, ":")
	m := r.get(name)
	switch class {
	case Cancelled, Budget:
		return
	case Auth, Credit:
		r.refused[provider] = r.refused[provider].again(class, text, at)
		return
	case "", Refusal, ContextLength:
		delete(r.refused, provider)
		m.lastOK, m.trouble = at, trouble{}
		return
	}
	m.trouble = m.trouble.again(class, text, at)
}

// again answers a trouble that was seen once more.
func (t trouble) again(class Class, text string, at time.Time) trouble {
	if t.class != class {
		t.since = at
	}
	t.class, t.err, t.at = class, text, at
	return t
}

// remember takes in a stored call.
func (r *Router) remember(c ops.ModelCall) {
	class := Class(c.Outcome)
	if c.Outcome == "ok" {
		class = ""
	}
	r.note(c.Model, class, c.Err, c.At)
}

// learn remembers what an error said of a window and answers it. One that
// does not say how large it is is smaller than what was sent.
func (r *Router) learn(name string, window, sent int64) int64 {
	if window <= 0 {
		window = sent - 1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.get(name).learnt = max(window, 1)
	return window
}

// Look asks providers what their models are: windows, and digests that change
// when a model does. A provider that cannot be asked is left as it is known.
func (r *Router) Look(ctx context.Context, providers []string) {
	for _, provider := range providers {
		lister, ok := r.o.Providers[provider].(Lister)
		if !ok {
			continue
		}
		listings, err := lister.List(ctx)
		if err != nil {
			r.log.Debug("models not listed", "provider", provider, "err", err)
			continue
		}
		r.mu.Lock()
		for _, l := range listings {
			// A tag that nobody wrote is the newest, by the provider's rule.
			for _, name := range []string{l.Name, strings.TrimSuffix(l.Name, ":latest")} {
				r.show(provider+":"+name, l)
			}
		}
		r.mu.Unlock()
	}
}

// show takes in what a provider says of a model. Call it with the lock held.
func (r *Router) show(name string, l Listing) {
	m := r.get(name)
	if m.digest != "" && l.Digest != "" && m.digest != l.Digest {
		m.learnt = 0
	}
	m.shown = l.Window
	if l.Digest != "" {
		m.digest = l.Digest
	}
}

// identity answers what is known to answer as a model: the digest of its
// weights, else how the provider calls what answered. "" when nothing is
// known. Two of different form say nothing about each other.
func (m *model) identity() string {
	switch {
	case m.digest != "":
		return "digest " + m.digest
	case m.answered != "":
		return "answers as " + m.answered
	}
	return ""
}

// exam answers the exam of a model, unless another model answers under its
// name by now.
func (r *Router) exam(name string) (Exam, bool) {
	exam, ok := r.o.Exam(name)
	if !ok {
		return exam, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.get(name).identity()
	form, _, _ := strings.Cut(now, " ")
	return exam, now == "" || now == exam.Identity || !strings.HasPrefix(exam.Identity, form+" ")
}

// Outdated answers the models that were examined and are others now.
func (r *Router) Outdated() []string {
	var all []string
	for _, name := range r.Models() {
		if _, examined := r.o.Exam(name); !examined {
			continue
		}
		if _, valid := r.exam(name); !valid {
			all = append(all, name)
		}
	}
	return all
}

// The states of a model and of a provider.
const (
	StateUnknown     = "unknown"     // never asked
	StateOK          = "ok"          // it answered last time
	StateFailing     = "failing"     // a person must act
	StateUnreachable = "unreachable" // it is down, overloaded or limits us
)

// A Status is how a model is.
type Status struct {
	Model    string         `json:"model" doc:"provider:model."`
	Provider string         `json:"provider"`
	Uses     []ops.ModelUse `json:"uses" doc:"What it is set for."`
	State    string         `json:"state" enum:"unknown,ok,failing,unreachable"`
	Breaker  BreakerState   `json:"breaker" enum:"closed,open,half_open" doc:"Open: it failed too often and is not asked; half_open: one call tries."`
	Until    time.Time      `json:"until,omitzero" doc:"When an open breaker lets a call through."`

	Window     int64  `json:"window_tokens"`
	WindowFrom string `json:"window_from" enum:"configuration,provider,table,error,guess"`
	Price      Price  `json:"price"`
	Exam       *Exam  `json:"exam" doc:"The last one; null before any."`
	Outdated   bool   `json:"exam_outdated" doc:"Another model answers under this name since."`

	LastOK    time.Time `json:"last_ok_at,omitzero"`
	Class     Class     `json:"error_class,omitempty"`
	Err       string    `json:"error,omitempty"`
	FailingAt time.Time `json:"failing_since,omitzero"`
	Remedy    string    `json:"remedy,omitempty" doc:"What a person does about it."`
	// Barred says by use why it would not be asked now.
	Barred map[ops.ModelUse]string `json:"barred" doc:"By use, why it would not be asked now."`
}

// Statuses answers how every model that is set for a use is.
func (r *Router) Statuses() []Status {
	all := []Status{}
	for _, name := range r.Models() {
		all = append(all, r.Status(name))
	}
	return all
}

// Status answers how one model is.
func (r *Router) Status(name string) Status {
	provider, _, _ := strings.Cut(name, ":")
	s := Status{Model: name, Provider: provider, Uses: []ops.ModelUse{}, Price: r.o.Prices.Of(name, 0), Barred: map[ops.ModelUse]string{}}
	s.Window, s.WindowFrom = r.window(name)
	if exam, ok := r.o.Exam(name); ok {
		_, valid := r.exam(name)
		s.Exam, s.Outdated = &exam, !valid
	}
	for _, use := range ops.ModelUses {
		if !slices.Contains(r.o.Chains[use], name) {
			continue
		}
		s.Uses = append(s.Uses, use)
		if why := r.barred(name, Job{Use: use}); why != "" {
			s.Barred[use] = why
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.get(name)
	s.Breaker, s.LastOK = m.breaker.state(r.now()), m.lastOK
	if s.Breaker != BreakerClosed {
		s.Until = m.breaker.until
	}
	t := m.trouble
	if refused, ok := r.refused[provider]; ok {
		t = refused
	}
	s.State = t.state()
	if t.class == "" && m.lastOK.IsZero() {
		s.State = StateUnknown
	}
	s.Class, s.Err, s.FailingAt = t.class, t.err, t.since
	if t.class != "" {
		s.Remedy = r.o.Remedy(provider, t.class)
	}
	return s
}

// state answers what a trouble means for a person.
func (t trouble) state() string {
	switch t.class {
	case "":
		return StateOK
	case Auth, Credit, Invalid:
		return StateFailing
	}
	return StateUnreachable
}

// Providers answers the worst model of every provider that is used, as the
// provider's own state: that is what findings are about.
func (r *Router) Providers() map[string]Status {
	worst := map[string]Status{}
	rank := []string{StateUnknown, StateOK, StateUnreachable, StateFailing}
	for _, s := range r.Statuses() {
		if w, ok := worst[s.Provider]; !ok || slices.Index(rank, s.State) > slices.Index(rank, w.State) {
			worst[s.Provider] = s
		}
	}
	return worst
}

// ProviderNames answers the names of the providers that can be asked.
func (r *Router) ProviderNames() []string { return slices.Sorted(maps.Keys(r.o.Providers)) }

// A Tally is what the calls of a model with one outcome took since the start.
type Tally struct {
	Model, Outcome string
	ops.Spend
}

func (r *Router) tally(c ops.ModelCall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]string{c.Model, c.Outcome}
	r.tallies[key] = r.tallies[key].Plus(ops.SpendOf(c.Tokens, c.CostMicroUSD))
}

// Tallies answers what was spent since the start, by model and outcome.
func (r *Router) Tallies() []Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Tally
	for key, s := range r.tallies {
		all = append(all, Tally{key[0], key[1], s})
	}
	return all
}
