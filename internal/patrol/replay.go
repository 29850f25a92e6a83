package patrol

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/turn"
)

// Replay accepts a person's wish to give the model's part of a run to a model
// once more: the same first message, and the same answers of tools. It
// changes nothing of the estate and opens no finding. Model is provider:model;
// "" for those that patrols use.
func (p *Patrol) Replay(ctx context.Context, runID, model string, why store.Why) (ops.Run, error) {
	was, err := p.store.Run(ctx, runID)
	if err != nil {
		return ops.Run{}, err
	}
	if _, ok, err := p.store.RunRecord(ctx, runID); err != nil || !ok {
		if err == nil {
			err = ops.Errorf(ops.Conflict, "run %s cannot be replayed: no model was asked in it", runID)
		}
		return ops.Run{}, err
	}
	if name, reason := p.router.AvailableFor(replayJob("", model)); name == "" {
		return ops.Run{}, wrongField("model", "no model can be asked: %s", reason)
	}
	return p.acceptOne(ctx, wish{kind: ops.TriggerReplay, scope: was.Asked, reason: "replay of " + runID, why: why, sourceID: ops.NewID(ops.TriggerID),
		depth: depthNormal, replayOf: runID, model: model})
}

func replayJob(runID, model string) llm.Job {
	j := llm.Job{Use: ops.UsePatrol, RunID: runID}
	if model != "" {
		j.Models = []string{model}
	}
	return j
}

// replayRun does a run of the kind replay: the recorded inputs of another run
// once more.
func (p *Patrol) replayRun(ctx context.Context, l *look) error {
	was, err := p.store.Run(ctx, l.run.Detail.ReplayOf)
	if err != nil {
		return err
	}
	packed, ok, err := p.store.RunRecord(ctx, was.ID)
	if err != nil {
		return err
	}
	if !ok {
		return refusal{"no model was asked in run " + was.ID}
	}
	rec, err := unpack(packed)
	if err != nil {
		return err
	}
	l.run.Asked, l.run.Detail.Counts, l.run.Detail.Effective = was.Asked, was.Detail.Counts, was.Detail.Effective
	heard := &hearsay{rec: rec, resolve: turn.Resolver(p.store, nil), verdicts: map[string]bool{}}
	box := &playback{rec: rec, desk: p.tools(tool.Patrol, heard.tool())}
	c := &consultation{p: p, l: l, job: replayJob(l.run.ID, l.run.Detail.ReplayWith), veil: rec.veil()}
	var failure error
	_ = l.stage("model", func() (string, error) {
		failure = c.again(ctx, rec, box)
		return c.note(failure), nil
	})
	if failure != nil {
		return failure
	}
	return l.stage("summary", func() (string, error) { return compare(l, was, rec, heard.said, box.unknown), nil })
}

// again leads a model through a recorded run.
func (c *consultation) again(ctx context.Context, rec recording, box tool.Toolbox) error {
	set := c.p.modelling
	r, err := turn.Run(ctx, turn.Job{Ask: c.ask, Tools: box, System: rec.System, Seed: []llm.Message{llm.Say(llm.User, rec.Seed)}, Veil: c.veil, See: c.see,
		Limits: turn.Limits{Input: orMost(set.RunInput), Tokens: orMost(set.RunTokens), Time: min(c.p.set.Timeout/2, 10*time.Minute), MaxOutput: mostOutput}})
	d := &c.l.run.Detail
	d.Turns, d.Tools, d.EstimateIn, d.PromptBytes = int64(r.Turns), r.Calls, r.EstimatedInput, r.Bytes
	return err
}

// A playback is the tools of a recorded run: what was asked then is answered
// as then, anything else is not known.
type playback struct {
	rec  recording
	desk tool.Toolbox

	mu      sync.Mutex
	unknown int64
}

func (b *playback) Specs() []tool.Spec {
	all := make([]tool.Spec, len(b.rec.Specs))
	for i, s := range b.rec.Specs {
		all[i] = tool.Spec(s)
	}
	return all
}

func (b *playback) Call(ctx context.Context, name string, input json.RawMessage) tool.Result {
	if name == toolReport || name == toolAssess {
		named := &box{aliases: b.rec.Aliases}
		return b.desk.Call(ctx, name, named.named(input))
	}
	hash := hashOf(input)
	for _, c := range b.rec.Calls {
		if c.Tool == name && c.Input == hash {
			return tool.Result{Text: c.Output, Failed: c.Failed}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unknown++
	return tool.Result{Text: "not recorded: the run before did not ask this", Failed: true}
}

// A hearsay is the desk of a replay: it notes what is said. What is stored has
// changed since, so claims cannot be checked as they were; nothing is
// recorded anywhere but in the comparison.
type hearsay struct {
	rec      recording
	resolve  func(ctx context.Context, ref string) (ops.Resource, error)
	mu       sync.Mutex
	said     []saying
	verdicts map[string]bool
}

func (h *hearsay) tool() tool.Desk {
	return tool.Desk{
		Report: func(_ context.Context, r tool.Report) (string, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.said = append(h.said, saying{"report", redact.Line(r.Condition, 60), redact.Line(r.ResourceID, 60), string(r.Severity)})
			return "recorded", nil
		},
		Assess: func(_ context.Context, a ops.Assessment) (string, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !slices.Contains(h.rec.Open, a.FindingID) || h.verdicts[a.FindingID] {
				return "", ops.Errorf(ops.Conflict, "this is no open finding of the run, or has its verdict already")
			}
			h.verdicts[a.FindingID] = true
			h.said = append(h.said, saying{"verdict", a.FindingID, "", string(a.Verdict)})
			return "noted", nil
		},
		Suggest: func(context.Context, ops.Note) (string, error) { return "suggested; a person decides", nil },
		Resolve: func(ctx context.Context, ref string) (ops.Resource, error) {
			for alias, id := range h.rec.Aliases {
				if ref == alias || ref == id {
					return ops.Resource{ID: id}, nil
				}
			}
			return h.resolve(ctx, ref)
		},
	}
}

// compare writes what a replay said otherwise.
func compare(l *look, was ops.Run, rec recording, said []saying, unknown int64) string {
	x := &ops.RunComparison{Before: rec.Model, Model: l.run.Model, NotRecorded: unknown, TokensBefore: was.Tokens, Tokens: l.run.Tokens, CostBefore: was.Cost, Cost: l.run.Cost}
	short := map[string]string{}
	for alias, id := range rec.Aliases {
		short[id] = alias
	}
	before, now := keyed(rec.Said), keyed(said)
	for _, s := range said {
		old, ok := before[s.key()]
		switch {
		case !ok:
			x.New = append(x.New, s.text(short))
		case s.What == "verdict" && old.Says != s.Says:
			x.Changed = append(x.Changed, fmt.Sprintf("%s instead of %s", s.text(short), old.Says))
		default:
			x.Same++
		}
	}
	for _, s := range rec.Said {
		if _, ok := now[s.key()]; !ok {
			x.Missing = append(x.Missing, s.text(short))
		}
	}
	l.run.Detail.Compared, l.run.Health = x, was.Health
	l.run.Summary = fmt.Sprintf("Replay of %s with %s instead of %s: %d the same, %d new, %d missing, %d verdicts differ; %d tokens in and %d out instead of %d and %d.",
		was.ID, l.run.Model, rec.Model, x.Same, len(x.New), len(x.Missing), len(x.Changed), x.Tokens.Input, x.Tokens.Output, was.Tokens.Input, was.Tokens.Output)
	return fmt.Sprintf("%d the same, %d not", x.Same, len(x.New)+len(x.Missing)+len(x.Changed))
}

func keyed(all []saying) map[string]saying {
	by := map[string]saying{}
	for _, s := range all {
		by[s.key()] = s
	}
	return by
}

func (s saying) key() string {
	if s.What == "verdict" {
		return s.What + " " + s.Subject
	}
	return strings.Join([]string{s.What, s.Subject, s.Resource}, " ")
}

func (s saying) text(short map[string]string) string {
	name := func(id string) string {
		if alias, ok := short[id]; ok {
			return alias + " (" + id + ")"
		}
		return id
	}
	if s.What == "verdict" {
		return fmt.Sprintf("verdict on %s: %s", name(s.Subject), s.Says)
	}
	return fmt.Sprintf("report of %s on %s", s.Subject, name(s.Resource))
}
