package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tokens"
)

// Ask asks the models of a job in order until one answers. A structured reply
// is checked against its schema; a model whose reply does not fit is told
// what is wrong, once. see gets the parts as they arrive, beginning with the
// name of the model; it may be nil. The error is an *Error whose message says
// of every model why it did not answer; of the class Budget when a ceiling
// stood in the way, and then nothing was sent.
func (r *Router) Ask(ctx context.Context, j Job, req Request, see func(Event)) (Answer, error) {
	if req.MaxOutput <= 0 {
		req.MaxOutput = defaultMaxOutput
	}
	if see == nil {
		see = func(Event) {}
	}
	names, err := r.chain(j)
	if err != nil {
		return Answer{}, err
	}
	a := &asking{r: r, job: j, req: req, see: see, input: EstimateRequest(req)}
	for i, name := range names {
		err = a.ask(ctx, name, i == len(names)-1)
		if err == nil {
			return a.answer, nil
		}
		a.failed = append(a.failed, failure{name, err})
		if err.Class == Cancelled {
			break
		}
	}
	return a.answer, a.failure()
}

// An asking is one Ask under way.
type asking struct {
	r      *Router
	job    Job
	req    Request
	see    func(Event)
	input  int64 // estimated tokens
	window int64 // a window that proved too small
	answer Answer
	failed []failure
}

// A failure is why one model did not answer.
type failure struct {
	model string
	err   *Error
}

// failure sums up why no model answered: the class of the ceiling when there
// was one, else of the last model that was asked, else of the last one.
func (a *asking) failure() *Error {
	last := a.failed[len(a.failed)-1].err
	var texts []string
	for _, f := range a.failed {
		texts = append(texts, f.model+": "+strings.TrimPrefix(f.err.Error(), f.err.Provider+": "))
		if f.err.Status != 0 && last.Class != Cancelled && last.Status == 0 {
			last = f.err
		}
	}
	for _, f := range a.failed {
		if f.err.Class == Budget && len(a.answer.Attempts) == 0 {
			last = f.err
		}
	}
	if len(a.failed) == 1 {
		return last
	}
	sum := *last
	sum.Provider, sum.Message, sum.Err = "reeve", "no model answered: "+strings.Join(texts, "; "), last
	return &sum
}

// ask asks one model: once, again when its reply did not fit the schema, and
// again when it asked for a little patience.
func (a *asking) ask(ctx context.Context, name string, last bool) *Error {
	if why := a.r.barred(name, a.job); why != "" {
		class := Invalid
		if provider, _, _ := strings.Cut(name, ":"); a.r.o.Missing[provider] != "" {
			class = Auth
		}
		return &Error{Class: class, Provider: name, Code: "not_asked", Message: why}
	}
	if window, from := a.r.window(name); from != "guess" && (window <= a.window || a.input+a.req.MaxOutput > window) {
		return &Error{Class: ContextLength, Provider: name, Code: "not_asked", Window: window,
			Message: fmt.Sprintf("about %d tokens and %d for the reply do not fit its window of %d", a.input, a.req.MaxOutput, window)}
	}
	req := forModel(a.req, name)
	repaired, waited := false, false
	for {
		reply, structured, err := a.attempt(ctx, name, req)
		if err == nil {
			a.answer.Reply, a.answer.JSON, a.answer.Model = reply, structured, name
			return nil
		}
		switch wait := a.patience(name, err, last); {
		case err.Code == unfit && !repaired:
			repaired = true
			req = repair(req, reply, err.Message)
		case wait > 0 && !waited:
			waited = true
			if !pause(ctx, wait) {
				return &Error{Class: Cancelled, Provider: name, Err: ctx.Err()}
			}
		default:
			return err
		}
	}
}

// patience answers how long to wait before the same model is asked again, 0
// for not at all.
func (a *asking) patience(name string, err *Error, last bool) time.Duration {
	if err.Class != Transient && err.Class != RateLimit {
		return 0
	}
	wait := err.RetryAfter
	if wait == 0 && err.Class == Transient && last && err.Code != "timeout" && err.Code != "silent" {
		wait = time.Second
	}
	if wait == 0 {
		return 0
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	if until := a.r.get(name).breaker.until; !until.IsZero() {
		wait = max(wait, until.Sub(a.r.now())+time.Millisecond)
	}
	if wait > shortWait+shortWait/5+time.Millisecond {
		return 0
	}
	return wait
}

// pause waits, and reports whether that was not cut short.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// unfit is the code of a reply that does not fit the schema.
const unfit = "does_not_fit"

// attempt sends one request to one model: room below the ceilings first, then
// leave of the breaker, so that nothing can end between that leave and the
// call; then the row.
func (a *asking) attempt(ctx context.Context, name string, req Request) (reply Reply, structured json.RawMessage, err *Error) {
	in := EstimateRequest(req)
	id, err := a.r.ledger.reserve(ctx, a.job, a.r.want(name, in, req.MaxOutput))
	if err != nil {
		return reply, nil, err
	}
	w := &listener{see: a.see}
	began := a.r.now()
	leave, err := a.r.admit(name, a.job)
	if err != nil {
		a.r.ledger.release(id)
		return reply, nil, err
	}
	done := false
	defer func() {
		if !done { // The provider panicked: give everything back on the way up.
			a.r.settle(name, leave, "", &Error{Class: Cancelled})
			a.r.ledger.release(id)
		}
	}()
	a.see(Event{Model: name})
	reply, err = a.r.stream(ctx, name, req, w.event)
	if err == nil && req.Schema != nil && len(reply.Message.Calls()) == 0 {
		structured, err = fit(name, req.Schema, reply)
	}
	done = true
	a.r.settle(name, leave, reply.Model, err)
	if err != nil && err.Class == ContextLength {
		a.window = max(a.window, a.r.learn(name, err.Window, in))
	}
	call := a.call(name, reply, err)
	call.At, call.LatencyMS = began, a.r.now().Sub(began).Milliseconds()
	if reply.Tokens == (ops.Tokens{}) && taken(reply, err, w) {
		call.Tokens, call.Estimated = ops.Tokens{Input: in, Output: w.out}, true
	}
	call.CostMicroUSD = a.r.o.Prices.Cost(name, call.Tokens)
	a.store(ctx, id, call)
	return reply, structured, err
}

// stream makes the call under its timeout. What ended because of that is
// transient, not cancelled.
func (r *Router) stream(ctx context.Context, name string, req Request, see func(Event)) (Reply, *Error) {
	provider, bare, _ := strings.Cut(name, ":")
	req.Model = bare
	callCtx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	reply, err := r.o.Providers[provider].Stream(callCtx, req, see)
	for i, p := range reply.Message.Parts {
		if len(p.Opaque) > 0 {
			reply.Message.Parts[i].Owner = name
		}
	}
	if err == nil {
		return reply, nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Class: Protocol, Provider: provider, Message: "it failed in an unknown way", Err: err}
	}
	switch {
	case ctx.Err() != nil:
		e = &Error{Class: Cancelled, Provider: provider, Message: "the call was cancelled", Err: ctx.Err()}
	case callCtx.Err() != nil:
		e = &Error{Class: Transient, Provider: provider, Code: "timeout", Message: fmt.Sprintf("it took longer than %v", r.o.Timeout), Err: err}
	}
	return reply, e
}

// call makes the row of an attempt.
func (a *asking) call(name string, reply Reply, err *Error) ops.ModelCall {
	c := ops.ModelCall{ID: ops.NewID(ops.CallID), Model: name, Use: a.job.Use, RunID: a.job.RunID, ResourceID: a.job.ResourceID,
		Attempt: int64(len(a.answer.Attempts) + 1), Tokens: reply.Tokens, Estimated: reply.Estimated,
		RequestBytes: reply.RequestBytes, ReplyBytes: reply.ReplyBytes, Outcome: "ok"}
	if err != nil {
		c.Outcome, c.Err = string(err.Class), redact.Line(err.Error(), 300)
	}
	return c
}

// taken reports whether a provider that did not say what it took has to be
// charged by our estimate: when anything came back, or when the request went
// out and was not refused.
func taken(reply Reply, err *Error, w *listener) bool {
	return err == nil || w.began || reply.RequestBytes > 0 && err.Status < 400
}

// store records an attempt. When that fails the room that it took stays
// taken, so that the ceilings hold while the database is away.
func (a *asking) store(ctx context.Context, id int64, c ops.ModelCall) {
	a.answer.Attempts = append(a.answer.Attempts, c)
	a.r.tally(c)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := a.r.o.Record(ctx, c); err != nil {
		a.r.log.Error("model call not recorded", "model", c.Model, "err", err)
		a.r.ledger.keep(id, ops.SpendOf(c.Tokens, c.CostMicroUSD))
		return
	}
	a.r.ledger.release(id)
}

// listener counts what comes of a reply on its way to whom it concerns.
type listener struct {
	see   func(Event)
	began bool
	out   int64
}

func (w *listener) event(e Event) {
	w.began = true
	w.out += tokens.Estimate(e.Text) + tokens.Estimate(e.Thinking) + tokens.Estimate(e.Call)
	w.see(e)
}
