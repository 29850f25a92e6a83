// Package turn leads a model through a job: ask, make the calls that it wants,
// hand back what they answered, and ask again, until it is done or a limit is
// reached. It is an explicit loop and knows nothing of what the job is.
//
// What a model says is hostile: unknown tools, broken arguments, megabytes and
// the same call over and over are told to it as failed results, are recorded,
// and end with the limits. What tools answer is data: it is fenced.
package turn

import (
	"context"
	"time"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/tool"
)

// A Job is what a model is to do, and with what.
type Job struct {
	// Ask sends one request: a router that is bound to a use and a run.
	Ask    func(ctx context.Context, r llm.Request, see func(llm.Event)) (llm.Reply, error)
	Tools  tool.Toolbox
	System string
	Seed   []llm.Message // what is told first; the last is of the user
	Limits Limits
	Veil   *Veil       // hides names from the model; nil: none is hidden
	See    func(Event) // what happens, as it happens; may be nil
}

func (l Limits) filled() Limits {
	l.Turns, l.Calls = or(l.Turns, 8), or(l.Calls, 24)
	l.Input, l.Tokens, l.MaxOutput = or(l.Input, 20_000), or(l.Tokens, 60_000), or(l.MaxOutput, 1_500)
	l.Time = or(l.Time, 5*time.Minute)
	return l
}

func or[N int | int64 | time.Duration](n, instead N) N {
	if n <= 0 {
		return instead
	}
	return n
}

// Limits end a job; a zero field takes the default.
type Limits struct {
	Turns     int           // requests; default 8
	Calls     int           // of tools; default 24
	Input     int64         // tokens of the prompts, summed over all requests; default 20,000
	Tokens    int64         // input and output together; default 60,000
	Time      time.Duration // default 5 min
	MaxOutput int64         // tokens of one reply; default 1,500
}

// An Event is something that happens in a job.
type Event struct {
	Kind   EventKind
	Turn   int // from 1
	Text   string
	Call   *llm.ToolCall // of call and result
	Result *tool.Result  // of result
	Took   time.Duration // of result
}

// An EventKind says what happens.
type EventKind string

// The kinds of events.
const (
	SeeTurn     EventKind = "turn"     // a request is sent
	SeeText     EventKind = "text"     // a part of the reply
	SeeThinking EventKind = "thinking" // a part of the reasoning
	SeeCall     EventKind = "call"     // a tool is called
	SeeResult   EventKind = "result"   // it answered
	SeeCompact  EventKind = "compact"  // old results were shortened
	SeeStop     EventKind = "stop"     // the job ends; Text says why
)

// A Stop says why a job ended.
type Stop string

// The stops.
const (
	StopDone   Stop = "done"         // the model called no more tools
	StopTurns  Stop = "turn_limit"   // it still wanted tools in the last turn, which has none
	StopCalls  Stop = "call_limit"   // likewise, all calls being made
	StopInput  Stop = "input_limit"  // the next request would have passed the limit
	StopTokens Stop = "token_limit"  // likewise
	StopTime   Stop = "time_limit"   // it took too long
	StopLength Stop = "reply_length" // the reply did not fit into MaxOutput
	StopFailed Stop = "failed"       // the model could not be asked: the error says why
)

// A Result is how a job went. It is answered with what there is also when an
// error is answered.
type Result struct {
	Text           string // of the last reply
	Turns          int
	Tokens         ops.Tokens // as the provider counted, our estimate where it did not
	EstimatedInput int64      // our estimate of all prompts
	Bytes          int64      // of all prompts, as we made them
	Model          string     // that answered last
	Calls          []ops.RunToolCall
	Messages       []llm.Message // the transcript, with the seed: results whole and not fenced, names shown
	Stopped        Stop
}
