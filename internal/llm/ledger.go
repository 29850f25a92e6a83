package llm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"reeve/internal/ops"
)

// Ceilings are what may be spent; 0 is none. The tokens hold also for models
// without a known price.
type Ceilings struct {
	RunTokens, DayTokens, MonthTokens int64
	// RunInput bounds the input of one patrol run, summed over its requests.
	RunInput int64
	// The same in millionths of a US dollar.
	RunMicroUSD, DayMicroUSD, MonthMicroUSD int64
}

// Day and Month are the spans of the ceilings: they roll.
const (
	Day   = 24 * time.Hour
	Month = 30 * Day
)

// An Account is what was spent and stored: ceilings survive a restart because
// they are computed from it before each call.
type Account struct {
	// Spent answers what was spent since a time, and for a run when runID is
	// not "".
	Spent func(ctx context.Context, runID string, since time.Time) (ops.Spend, error)
	// Course answers what was spent since a time in steps, the oldest first.
	Course func(ctx context.Context, since time.Time, step time.Duration) ([]ops.SpendAt, error)
}

// A CeilingState says how much of a ceiling is left.
type CeilingState struct {
	Name   string `json:"name" doc:"As in the configuration: run_tokens, run_input_tokens, day_tokens, month_tokens, run_usd, day_usd, month_usd."`
	Unit   string `json:"unit" enum:"tokens,micro_usd"`
	SpanMS int64  `json:"span_ms" doc:"Over which it counts; 0 for one run."`
	Limit  int64  `json:"limit"`
	Spent  int64  `json:"spent"`
	Flight int64  `json:"in_flight" doc:"What calls under way may take."`
	Left   int64  `json:"left"`
}

// A ceiling is one rule of Ceilings.
type ceiling struct {
	name  string
	span  time.Duration // 0 for one run
	limit int64
	unit  string
	of    func(ops.Spend) int64
}

func inTokens(s ops.Spend) int64 { return s.Input + s.Output }
func ofInput(s ops.Spend) int64  { return s.Input }
func inMoney(s ops.Spend) int64  { return s.MicroUSD }

// all answers the ceilings that are set, the widest span first.
func (c Ceilings) all() []ceiling {
	rules := []ceiling{
		{"month_tokens", Month, c.MonthTokens, "tokens", inTokens}, {"month_usd", Month, c.MonthMicroUSD, "micro_usd", inMoney},
		{"day_tokens", Day, c.DayTokens, "tokens", inTokens}, {"day_usd", Day, c.DayMicroUSD, "micro_usd", inMoney},
		{"run_tokens", 0, c.RunTokens, "tokens", inTokens}, {"run_input_tokens", 0, c.RunInput, "tokens", ofInput}, {"run_usd", 0, c.RunMicroUSD, "micro_usd", inMoney},
	}
	set := rules[:0]
	for _, r := range rules {
		if r.limit > 0 {
			set = append(set, r)
		}
	}
	return set
}

// applies reports whether a ceiling is about a job.
func (c ceiling) applies(j Job) bool {
	if c.name == "run_input_tokens" {
		return j.RunID != "" && j.Use == ops.UsePatrol
	}
	return c.span > 0 || j.RunID != ""
}

// A ledger keeps the ceilings: what is stored, plus what is under way.
type ledger struct {
	ceilings Ceilings
	account  Account
	now      func() time.Time

	mu     sync.Mutex
	next   int64
	flight map[int64]reservation
}

// A reservation is what a call may take, or, when its row could not be
// stored, what it took.
type reservation struct {
	runID string
	spend ops.Spend
	at    time.Time
	kept  bool // its call is over
}

// reserve takes room for a call below every ceiling, or answers a Budget
// error and nothing may be sent. It holds the lock while it reads, so that
// two calls never take the same room.
func (l *ledger) reserve(ctx context.Context, j Job, want ops.Spend) (id int64, err *Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(ctx, j, want); err != nil {
		return 0, err
	}
	l.next++
	l.flight[l.next] = reservation{runID: j.RunID, spend: want, at: l.now()}
	return l.next, nil
}

// release gives the room back once what was spent is stored.
func (l *ledger) release(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flight, id)
}

// keep counts what a call took although it could not be stored.
func (l *ledger) keep(id int64, took ops.Spend) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.flight[id]; ok {
		r.spend, r.kept = took, true
		l.flight[id] = r
	}
}

// allow is reserve without taking.
func (l *ledger) allow(ctx context.Context, j Job, want ops.Spend) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.check(ctx, j, want)
}

func (l *ledger) check(ctx context.Context, j Job, want ops.Spend) *Error {
	states, err := l.states(ctx, j)
	if err != nil && ctx.Err() != nil {
		return &Error{Class: Cancelled, Provider: "reeve", Message: "the call was cancelled", Err: ctx.Err()}
	}
	if err != nil {
		return &Error{Class: Budget, Provider: "reeve", Message: "what was spent cannot be read, so nothing is sent", Err: err}
	}
	for i, c := range l.rules(j) {
		s := states[i]
		if need := c.of(want); need > 0 && s.Spent+s.Flight+need > s.Limit {
			return l.refuse(ctx, c, s, need)
		}
	}
	return nil
}

func (l *ledger) rules(j Job) []ceiling {
	var rules []ceiling
	for _, c := range l.ceilings.all() {
		if c.applies(j) {
			rules = append(rules, c)
		}
	}
	return rules
}

// states answers how the ceilings that apply to a job stand. Call it with the
// lock held.
func (l *ledger) states(ctx context.Context, j Job) ([]CeilingState, error) {
	now := l.now()
	spent := map[time.Duration]ops.Spend{}
	var all []CeilingState
	for _, c := range l.rules(j) {
		s, known := spent[c.span]
		if !known {
			runID, since := "", now.Add(-c.span)
			if c.span == 0 {
				runID, since = j.RunID, time.Time{}
			}
			var err error
			if s, err = l.account.Spent(ctx, runID, since); err != nil {
				return nil, err
			}
			spent[c.span] = s
		}
		st := CeilingState{Name: c.name, Unit: c.unit, SpanMS: c.span.Milliseconds(), Limit: c.limit, Spent: c.of(s)}
		for _, r := range l.flight {
			if (c.span > 0 && now.Sub(r.at) < c.span) || (c.span == 0 && r.runID == j.RunID) {
				st.Flight += c.of(r.spend)
			}
		}
		st.Left = max(0, st.Limit-st.Spent-st.Flight)
		all = append(all, st)
	}
	return all, nil
}

// refuse says which ceiling stands in the way, what was spent, and when there
// is room again.
func (l *ledger) refuse(ctx context.Context, c ceiling, s CeilingState, need int64) *Error {
	e := &Error{Class: Budget, Provider: "reeve", Code: c.name}
	e.Message = fmt.Sprintf("the ceiling %s of %s would be passed: %s spent%s, %s under way, this call may take %s",
		c.name, amount(c.unit, c.limit), amount(c.unit, s.Spent), over(c.span), amount(c.unit, s.Flight), amount(c.unit, need))
	switch {
	case need > c.limit:
		e.Message += "; it never fits: raise models.ceilings." + c.name
	case c.span == 0:
		e.Message += "; a run of its own has the whole ceiling, or raise models.ceilings." + c.name
	default:
		at, err := l.frees(ctx, c, s.Spent+s.Flight+need-c.limit)
		if err != nil || at.IsZero() {
			e.Message += "; there is room when what is under way has ended, or raise models.ceilings." + c.name
			break
		}
		e.RetryAfter = max(0, at.Sub(l.now()))
		e.Message += fmt.Sprintf("; there is room at %s, or raise models.ceilings.%s", at.UTC().Format("2006-01-02 15:04 MST"), c.name)
	}
	return e
}

// frees answers when enough of what was spent is older than the span; the
// zero time when that is not the way to room.
func (l *ledger) frees(ctx context.Context, c ceiling, excess int64) (time.Time, error) {
	step := c.span / 720
	course, err := l.account.Course(ctx, l.now().Add(-c.span), step)
	if err != nil {
		return time.Time{}, err
	}
	for _, s := range course {
		if excess -= c.of(s.Spend); excess <= 0 {
			return s.From.Add(step + c.span), nil
		}
	}
	return time.Time{}, nil
}

func over(span time.Duration) string {
	switch span {
	case Day:
		return " in 24 hours"
	case Month:
		return " in 30 days"
	}
	return " in this run"
}

// amount writes tokens or money for a person.
func amount(unit string, n int64) string {
	if unit == "micro_usd" {
		return Dollars(n)
	}
	return fmt.Sprintf("%d tokens", n)
}

// Dollars writes millionths of a US dollar for a person.
func Dollars(micro int64) string {
	if micro != 0 && micro < 10_000 && micro > -10_000 {
		return fmt.Sprintf("$%.6f", float64(micro)/1e6)
	}
	return fmt.Sprintf("$%.2f", float64(micro)/1e6)
}
