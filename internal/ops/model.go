package ops

import "time"

// A ModelUse is a job that a language model is asked for.
type ModelUse string

// The uses. Each may have models of its own.
const (
	UsePatrol        ModelUse = "patrol"
	UseInvestigation ModelUse = "investigation"
	UseChat          ModelUse = "chat"
	UseProposal      ModelUse = "proposal"
	UseExam          ModelUse = "exam"
)

// ModelUses lists the uses that a person sets models for.
var ModelUses = []ModelUse{UseChat, UsePatrol, UseInvestigation, UseProposal}

// Tokens counts what one or several calls of models took.
type Tokens struct {
	Input      int64 `json:"input" doc:"Of the prompt, with what came from the provider's cache and what was written there."`
	Cached     int64 `json:"cached" doc:"Of the input, read from the provider's cache."`
	CacheWrite int64 `json:"cache_write" doc:"Of the input, written to the provider's cache."`
	Output     int64 `json:"output" doc:"Of the reply, with the reasoning."`
	Reasoning  int64 `json:"reasoning" doc:"Of the output, reasoning that is not part of the reply."`
}

// Total answers input and output together.
func (t Tokens) Total() int64 { return t.Input + t.Output }

// Plus answers the sum.
func (t Tokens) Plus(u Tokens) Tokens {
	return Tokens{t.Input + u.Input, t.Cached + u.Cached, t.CacheWrite + u.CacheWrite, t.Output + u.Output, t.Reasoning + u.Reasoning}
}

// A ModelCall is one attempt at one model: every one is a row, also the ones
// that failed.
type ModelCall struct {
	ID           string    `json:"id"`
	At           time.Time `json:"at"`
	Model        string    `json:"model" doc:"provider:model."`
	Use          ModelUse  `json:"use" enum:"patrol,investigation,chat,proposal,exam"`
	RunID        string    `json:"run_id,omitempty" doc:"The patrol run or the investigation it was made for."`
	ResourceID   string    `json:"resource_id,omitempty" doc:"The resource it was about, where it was about one."`
	Attempt      int64     `json:"attempt" doc:"Of the same request: 1, then repairs and other models."`
	LatencyMS    int64     `json:"latency_ms"`
	Tokens       Tokens    `json:"tokens"`
	Estimated    bool      `json:"estimated" doc:"The provider did not say what it took: the tokens are our estimate."`
	CostMicroUSD *int64    `json:"cost_micro_usd" doc:"Millionths of a US dollar; null when the price is unknown."`
	RequestBytes int64     `json:"request_bytes"`
	ReplyBytes   int64     `json:"reply_bytes"`
	Outcome      string    `json:"outcome" doc:"ok, or the class of what went wrong: auth, credit, rate_limit, context_length, transient, refusal, protocol, invalid, cancelled."`
	Err          string    `json:"error,omitempty"`
}

// CallCancelled is the outcome of a call that its caller ended: it says nothing
// of the model.
const CallCancelled = "cancelled"

// A Spend is what calls of models took together.
type Spend struct {
	Calls    int64 `json:"calls"`
	Input    int64 `json:"input_tokens"`
	Output   int64 `json:"output_tokens"`
	MicroUSD int64 `json:"cost_micro_usd" doc:"Millionths of a US dollar, of the calls whose price is known."`
	Unpriced int64 `json:"unpriced_tokens" doc:"Tokens whose price is unknown: they are not in the cost."`
}

// Plus answers the sum.
func (s Spend) Plus(t Spend) Spend {
	return Spend{s.Calls + t.Calls, s.Input + t.Input, s.Output + t.Output, s.MicroUSD + t.MicroUSD, s.Unpriced + t.Unpriced}
}

// SpendOf answers what one call took.
func SpendOf(t Tokens, cost *int64) Spend {
	s := Spend{Calls: 1, Input: t.Input, Output: t.Output}
	if cost == nil {
		s.Unpriced = t.Total()
		return s
	}
	s.MicroUSD = *cost
	return s
}

// A SpendAt is what was spent in one span of time.
type SpendAt struct {
	From time.Time `json:"from"`
	Spend
}

// A Usage is what was spent on one model, provider, use, resource or day.
type Usage struct {
	Key       string `json:"key" doc:"The model, provider, use, resource or day."`
	Failed    int64  `json:"failed" doc:"Of the calls, those that did not end well."`
	Cached    int64  `json:"cached_tokens" doc:"Of the input, read from the provider's cache."`
	Reasoning int64  `json:"reasoning_tokens" doc:"Of the output, reasoning that is not part of the reply."`
	LatencyMS int64  `json:"latency_ms" doc:"Mean of a call."`
	Spend
}
