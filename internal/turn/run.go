package turn

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"reeve/internal/llm"
)

// Run does a job. It answers what there is also with an error, which is that
// of the model when it could not be asked (an *llm.Error), or of the context.
func Run(ctx context.Context, j Job) (Result, error) {
	j.Limits = j.Limits.filled()
	within, cancel := context.WithTimeout(ctx, j.Limits.Time)
	defer cancel()
	l := &leading{job: j, calls: map[string]int{}, ids: map[string]bool{}}
	for _, m := range j.Seed {
		l.add(m)
	}
	for {
		req, est, stop := l.request()
		if stop != "" {
			return l.end(stop), nil
		}
		reply, err := l.ask(within, req, est)
		switch {
		case err == nil:
		case ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded):
			return l.end(StopTime), nil
		default:
			return l.end(StopFailed), err
		}
		if stop := l.take(reply); stop != "" {
			return l.end(stop), nil
		}
		l.answer(within)
		if err := ctx.Err(); err != nil {
			return l.end(StopFailed), err
		}
	}
}

// leading is a job that goes on.
type leading struct {
	job      Job
	r        Result
	messages []message
	calls    map[string]int  // how often the same call was made
	ids      map[string]bool // of calls
	made     int             // calls that reached a tool
	last     Stop            // why this turn is the last one; "" for others
	compact  bool            // old results are sent shortened
	pending  []llm.ToolCall  // calls of the last reply
}

// A message knows its turn, so that old results can be told from new ones.
type message struct {
	llm.Message
	turn int
}

func (l *leading) add(m llm.Message) { l.messages = append(l.messages, message{m, l.r.Turns}) }

func (l *leading) see(e Event) {
	if l.job.See != nil {
		e.Turn = l.r.Turns
		l.job.See(e)
	}
}

func (l *leading) end(stop Stop) Result {
	l.r.Stopped = stop
	l.r.Messages = make([]llm.Message, len(l.messages))
	for i, m := range l.messages {
		l.r.Messages[i] = m.Message
	}
	l.see(Event{Kind: SeeStop, Text: string(stop)})
	return l.r
}

// What ends the message before the last turn, and before one after which the
// input is used up: calls are still made then, their answers are not seen.
const (
	lastWords  = "No more tools. Answer now with what you know."
	nearlyLast = "There is room for this turn only: report and conclude now; no answer of a tool will be seen."
)

// request makes the next request and its estimate, or says why there is none:
// one that passes a limit is never sent.
func (l *leading) request() (req llm.Request, est int64, stop Stop) {
	switch {
	case l.r.Turns+1 >= l.job.Limits.Turns:
		l.last = StopTurns
	case l.made >= l.job.Limits.Calls:
		l.last = StopCalls
	}
	if l.last != "" {
		l.tell(lastWords)
	}
	// Every request sends the ones before again: what takes half of what is
	// left has no successor.
	if req, est = l.build(); est > l.left()/2 && !l.compact {
		l.compact = true
		req, est = l.build()
		l.see(Event{Kind: SeeCompact})
	}
	if l.last == "" && est > l.left()/2 && l.tell(nearlyLast) {
		req, est = l.build()
	}
	if est > l.left() {
		return req, est, StopInput
	}
	room := l.job.Limits.Tokens - l.used() - est
	if room < min(l.job.Limits.MaxOutput, 200) {
		return req, est, StopTokens
	}
	req.MaxOutput = min(l.job.Limits.MaxOutput, room)
	return req, est, ""
}

// tell adds words to the answers that go back; the first turn has none.
func (l *leading) tell(words string) bool {
	if l.r.Turns == 0 || l.messages[len(l.messages)-1].Role != llm.User {
		return false
	}
	m := &l.messages[len(l.messages)-1]
	m.Parts = append(slices.Clone(m.Parts), llm.Part{Text: words})
	return true
}

// left answers how many tokens of input may still be sent, by our count or by
// the provider's, whichever is higher.
func (l *leading) left() int64 {
	return l.job.Limits.Input - max(l.r.EstimatedInput, l.r.Tokens.Input)
}

func (l *leading) used() int64 {
	return max(l.r.EstimatedInput, l.r.Tokens.Input) + l.r.Tokens.Output
}

// build makes a request of what was said so far. In the last turn the tools
// are still told of, for the calls before to have a meaning and for the
// provider's cache, and may not be called.
func (l *leading) build() (llm.Request, int64) {
	req := llm.Request{System: l.job.System, CacheMessages: len(l.job.Seed)}
	for _, s := range l.job.Tools.Specs() {
		req.Tools = append(req.Tools, llm.ToolSpec{Name: s.Name, Doc: s.Doc, Schema: s.Schema})
	}
	if l.last != "" {
		req.Choice = llm.ToolNone
	}
	for _, m := range whole(l.messages) {
		req.Messages = append(req.Messages, l.sent(m))
	}
	return req, llm.EstimateRequest(req)
}

// ask sends a request and keeps count.
func (l *leading) ask(ctx context.Context, req llm.Request, est int64) (llm.Reply, error) {
	l.r.Turns++
	l.see(Event{Kind: SeeTurn})
	l.r.EstimatedInput += est
	heard := &hearing{veil: l.job.Veil, say: l.see}
	reply, err := l.job.Ask(ctx, req, heard.event)
	heard.flush()
	l.r.Tokens = l.r.Tokens.Plus(reply.Tokens)
	if reply.RequestBytes == 0 {
		if text, err := json.Marshal(req); err == nil {
			reply.RequestBytes = int64(len(text))
		}
	}
	l.r.Bytes += reply.RequestBytes
	if reply.Model != "" {
		l.r.Model = reply.Model
	}
	return reply, err
}

// take takes a reply into the transcript and says why the job ends with it, ""
// when there are calls to answer.
func (l *leading) take(reply llm.Reply) Stop {
	m := l.received(reply.Message)
	l.add(m)
	if text := m.Text(); strings.TrimSpace(text) != "" {
		l.r.Text = text
	}
	l.pending = m.Calls()
	switch {
	case len(l.pending) > 0 && l.last != "":
		l.refuseAll("no tools are left in this turn")
		return l.last
	case len(l.pending) > 0:
		return ""
	case reply.Stop == llm.StopLength:
		return StopLength
	}
	return StopDone
}

// hearing hands on what a model says while it says it. Behind a veil it waits
// for the end of a word, so that no half of a pseudonym is shown.
type hearing struct {
	veil *Veil
	say  func(Event)
	kind EventKind
	held string
}

func (h *hearing) event(e llm.Event) {
	switch {
	case e.Text != "":
		h.part(SeeText, e.Text)
	case e.Thinking != "":
		h.part(SeeThinking, e.Thinking)
	}
}

func (h *hearing) part(kind EventKind, text string) {
	if h.veil == nil {
		h.say(Event{Kind: kind, Text: text})
		return
	}
	if kind != h.kind {
		h.flush()
	}
	h.kind = kind
	h.held += text
	if at := strings.LastIndexAny(h.held, " \n"); at >= 0 {
		h.say(Event{Kind: kind, Text: h.veil.Show(h.held[:at+1])})
		h.held = h.held[at+1:]
	}
}

func (h *hearing) flush() {
	if h.held != "" {
		h.say(Event{Kind: h.kind, Text: h.veil.Show(h.held)})
		h.held = ""
	}
}

func took(since time.Time) time.Duration { return time.Since(since) }
