package patrol

import (
	"context"
	"slices"
	"time"

	"reeve/internal/ops"
)

// An Overview says how patrols are doing.
type Overview struct {
	Enabled  bool      `json:"enabled" doc:"Whether the estate is looked over by the clock."`
	EveryMS  int64     `json:"every_ms" doc:"How often; 0 for never by itself."`
	Events   []string  `json:"events" doc:"What else asks for a patrol."`
	NextAt   time.Time `json:"next_at,omitzero" doc:"When the next one is due by the clock."`
	Running  *ops.Run  `json:"running,omitempty"`
	Queue    []ops.Run `json:"queue" doc:"What waits, in the order in which it goes on."`
	Last     *ops.Run  `json:"last,omitempty" doc:"The last that was done or failed."`
	Failures int64     `json:"failures" doc:"How many failed in a row."`
	Model    string    `json:"model,omitempty" doc:"The model that is asked first."`
	ModelWhy string    `json:"model_why,omitempty" doc:"Why none is asked."`
	Estimate *Estimate `json:"estimate,omitempty" doc:"Of the next patrol of everything; none without a model."`
}

// An Estimate is what a patrol will take.
type Estimate struct {
	InputTokens  int64  `json:"input_tokens"`
	OutputTokens int64  `json:"output_tokens"`
	Cost         *int64 `json:"cost_micro_usd" doc:"Millionths of a US dollar, at most; null when the price is unknown."`
	From         string `json:"from,omitempty" doc:"The patrol that it is taken from; empty for a usual one."`
}

// failuresShown is how many failed runs in a row are looked for.
const failuresShown = 10

// Status answers how patrols are doing now.
func (p *Patrol) Status(ctx context.Context) (s Overview, err error) {
	s = Overview{Enabled: p.set.Every > 0, EveryMS: p.set.Every.Milliseconds(), Events: names(p.set.Events)}
	if next := p.nextAt.Load(); next > 0 {
		s.NextAt = time.UnixMilli(next).UTC()
	}
	running, err := p.store.RunningRuns(ctx)
	if err != nil {
		return s, err
	}
	if len(running) > 0 {
		s.Running = &running[0].Run
	}
	if s.Queue, err = p.store.QueuedRuns(ctx); err != nil {
		return s, err
	}
	slices.SortFunc(s.Queue, func(a, b ops.Run) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	if s.Last, s.Failures, _, err = p.outcome(ctx); err != nil {
		return s, err
	}
	if s.Model, s.ModelWhy = p.router.Available(ops.UsePatrol); s.Model != "" {
		s.Estimate, err = p.estimate(ctx)
	}
	return s, err
}

// outcome answers the last run that was done or failed, how many failed in a
// row, and why the last did.
func (p *Patrol) outcome(ctx context.Context) (last *ops.Run, failures int64, why string, err error) {
	done, err := p.store.LastEnded(ctx, []string{string(ops.RunDone)}, 1)
	if err != nil {
		return nil, 0, "", err
	}
	failed, err := p.store.LastEnded(ctx, []string{string(ops.RunFailed)}, failuresShown)
	if err != nil {
		return nil, 0, "", err
	}
	if len(done) > 0 {
		last = &done[0]
	}
	for i, r := range failed {
		if len(done) > 0 && !r.EndedAt.After(done[0].EndedAt) {
			break
		}
		if failures++; i == 0 {
			last, why = &failed[0], r.Err
		}
	}
	return last, failures, why, nil
}

// Failing answers how many runs failed in a row, and why the last did.
func (p *Patrol) Failing(ctx context.Context) (failures int64, why string, err error) {
	_, failures, why, err = p.outcome(ctx)
	return failures, why, err
}

// estimate answers what a patrol of everything will take, after the last one
// that asked a model.
func (p *Patrol) estimate(ctx context.Context) (*Estimate, error) {
	e := Estimate{InputTokens: usualInput, OutputTokens: usualOutput}
	full, err := p.store.RunsOfScope(ctx, ops.RunScope{}, 20)
	if err != nil {
		return nil, err
	}
	for _, r := range full {
		if r.Tokens.Input > 0 {
			e.InputTokens, e.OutputTokens, e.From = r.Tokens.Input, r.Tokens.Output, r.ID
			break
		}
	}
	e.Cost = p.router.Estimate(ops.UsePatrol, e.InputTokens, e.OutputTokens)
	return &e, nil
}
