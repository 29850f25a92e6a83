package patrol

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/brief"
	"reeve/internal/evidence"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/turn"
)

// Modelling sets what a model is given and may take.
type Modelling struct {
	Withhold     brief.Withhold // what no model is shown
	Pseudonymise bool
	RunInput     int64 // tokens of all prompts of a run; 0 for no ceiling
	RunTokens    int64 // in and out; 0 for no ceiling
}

// A consultation is the part of a run that a model has.
type consultation struct {
	p     *Patrol
	l     *look
	job   llm.Job
	seen  brief.Estate // without what is withheld
	seed  brief.SeedContext
	fixed int64 // tokens of what every request of the run begins with
	desk  *desk
	box   *box
	veil  *turn.Veil
	asked string // the model that answered last
	why   string // why the conversation ended before its time, "" otherwise
	reply string
}

// askModel does the stages of a model: seed, model, assess and evidence. It
// may enrich l.items and add to the record; it takes nothing away. The error
// is why the model could not be asked to the end; what it said until then,
// and all that was found without it, stays.
func (p *Patrol) askModel(ctx context.Context, l *look) error {
	c := &consultation{p: p, l: l, job: llm.Job{Use: ops.UsePatrol, RunID: l.run.ID}}
	if len(l.estate.Asked.Resources) == 1 {
		c.job.ResourceID = l.estate.Asked.Resources[0]
	}
	do := func(stage string, f func() string) error {
		return safely(func() error { return l.stage(stage, func() (string, error) { return f(), nil }) })
	}
	if err := do("seed", c.prepare); err != nil {
		return err
	}
	var failure error
	broken := do("model", func() string {
		failure = safely(func() error { return c.converse(ctx) })
		return c.note(failure)
	})
	return errors.Join(failure, broken,
		do("assess", func() string { return c.settleVerdicts(ctx, failure) }),
		do("evidence", func() string { return c.deliver(ctx) }))
}

// prepare makes the first message and the desk.
func (c *consultation) prepare() string {
	l := c.l
	c.seen = brief.Without(l.estate, c.p.modelling.Withhold)
	items := brief.Items(c.seen)
	c.desk = c.newDesk(items)
	source := turn.NewSource(c.p.store, c.p.metrics)
	shown := &turn.Shown{}
	c.desk.source = shown.Into(source)
	c.box = &box{shown: shown}
	c.desk.resolve = turn.Resolver(c.p.store, c.desk.within)
	c.desk.file = filed{c.p.store, l.run.ID}
	c.box.tools = c.p.tools(tool.Patrol, c.desk.tool())
	c.open(items)
	if c.p.modelling.Pseudonymise {
		c.veil = turn.NewVeil(slices.Concat(c.seen.Scope, c.seen.Around))
	}
	return fmt.Sprintf("%d tokens, %d bytes, %d of %d open findings visible; %d tokens of every request are fixed", c.seed.Tokens, c.seed.Bytes, len(c.seed.Visible), len(c.desk.open), c.fixed)
}

// open makes the first message, and tells desk and box its short names.
func (c *consultation) open(items []ops.RunItem) {
	c.fixed = llm.EstimateRequest(Opening(c.box))
	budget := seedBudget(c.fixed, c.p.modelling.RunInput, c.p.router.Window(ops.UsePatrol))
	c.seed = brief.Seed(c.seen, items, brief.SeedLimits{Tokens: budget})
	c.desk.aliases, c.box.aliases = c.seed.Aliases, c.seed.Aliases
}

func (c *consultation) newDesk(items []ops.RunItem) *desk {
	d := &desk{now: c.l.estate.Now, run: c.l.run.ID, model: func() string { return c.asked }, scope: map[string]ops.Resource{}, around: map[string]ops.Resource{},
		open: map[string]ops.Finding{}, items: map[string]ops.RunItem{}, assessed: map[string]ops.Assessment{}, advice: map[string]string{}, see: c.l.see, take: c.p.know.Suggest,
		kinds: func(condition string) ([]ops.Kind, bool) {
			def, ok := c.p.byName[condition]
			return def.Kinds, ok
		}}
	for name := range c.p.byName {
		d.known = append(d.known, name)
	}
	slices.Sort(d.known)
	for _, r := range c.seen.Scope {
		d.scope[r.ID] = r
	}
	for _, r := range c.seen.Around {
		d.around[r.ID] = r
	}
	for _, f := range c.seen.Findings {
		if _, in := d.scope[f.ResourceID]; in && f.Active() {
			d.open[f.ID] = f
		}
	}
	e := c.l.estate
	d.troubled = len(e.Findings)+c.l.doubtful()+len(e.Incomplete) > 0
	for _, i := range items {
		if i.FindingID != "" {
			d.items[i.FindingID] = i
		}
	}
	return d
}

// converse leads the model through the run.
func (c *consultation) converse(ctx context.Context) error {
	set := c.p.modelling
	r, err := turn.Run(ctx, turn.Job{Ask: c.ask, Tools: c.box, System: system, Seed: []llm.Message{first(c.seed)}, Veil: c.veil, See: c.see,
		Limits: turn.Limits{Input: orMost(set.RunInput), Tokens: orMost(set.RunTokens), Time: min(c.p.set.Timeout/2, 10*time.Minute), MaxOutput: mostOutput}})
	d := &c.l.run.Detail
	d.Turns, d.Tools = int64(r.Turns), r.Calls
	d.EstimateIn, d.PromptBytes = r.EstimatedInput, r.Bytes
	c.reply = r.Text
	if r.Stopped != turn.StopDone && r.Stopped != turn.StopFailed {
		c.why = "it was stopped: " + string(r.Stopped)
	}
	return err
}

func orMost(n int64) int64 {
	if n <= 0 {
		return 1 << 40
	}
	return n
}

// ask sends one request through the router and counts what it took.
func (c *consultation) ask(ctx context.Context, r llm.Request, see func(llm.Event)) (llm.Reply, error) {
	a, err := c.p.router.Ask(ctx, c.job, r, func(e llm.Event) {
		if e.Model != "" {
			c.asked = e.Model
		}
		if see != nil {
			see(e)
		}
	})
	run := &c.l.run
	for _, x := range a.Attempts {
		run.Tokens = run.Tokens.Plus(x.Tokens)
		switch {
		case x.Tokens.Total() == 0:
		case x.CostMicroUSD == nil || run.Cost == nil:
			run.Cost = nil
		default:
			sum := *run.Cost + *x.CostMicroUSD
			run.Cost = &sum
		}
	}
	if a.Model != "" {
		c.asked, run.Model = a.Model, a.Model
	}
	if err != nil {
		return a.Reply, err
	}
	return a.Reply, nil
}

// see hands on what happens to those who follow the run.
func (c *consultation) see(e turn.Event) {
	switch e.Kind {
	case turn.SeeText:
		c.l.see(EventText, Text{e.Text})
	case turn.SeeThinking:
		c.l.see(EventThinking, Text{})
	case turn.SeeCall:
		c.l.see(EventToolStart, ToolEvent{Tool: e.Call.Name, Input: redact.Line(redact.Cut(string(e.Call.Input), 4000), 2000)})
	case turn.SeeResult:
		t := ToolEvent{Tool: e.Call.Name, Bytes: int64(len(e.Result.Text)), TookUS: e.Took.Microseconds()}
		if e.Result.Failed {
			t.Err = redact.Line(redact.Cut(e.Result.Text, 1000), 300)
		}
		c.l.see(EventToolEnd, t)
	}
}

// note says how the conversation went.
func (c *consultation) note(failure error) string {
	run := &c.l.run
	text := fmt.Sprintf("%s: %d turns, %d calls, %d tokens in, %d out", orUnknown(c.asked), run.Detail.Turns, len(run.Detail.Tools), run.Tokens.Input, run.Tokens.Output)
	if failure != nil {
		return text + "; it failed: " + redact.Line(failure.Error(), 300)
	}
	if c.why != "" {
		return text + "; " + c.why
	}
	return text
}

func orUnknown(model string) string {
	if model == "" {
		return "no model answered"
	}
	return model
}

// followUp asks once more for the verdicts that are missing, with one request
// and the one tool for them.
func (c *consultation) followUp(ctx context.Context, missing []string) error {
	names := make([]string, len(missing))
	for i, id := range missing {
		names[i] = c.desk.nameOf(id)
	}
	names = names[:min(len(names), mostFollowed)]
	ask := "Verdicts are missing. Call assess_finding once for each of these and for nothing else: " + strings.Join(names, " ") + "."
	box := only{c.box, toolAssess}
	req := Opening(box)
	req.Choice, req.CacheMessages = llm.ToolRequired, 1
	req.Messages = []llm.Message{llm.Say(llm.User, c.veil.Hide(c.seed.Text)+"\n"+ask)}
	d := &c.l.run.Detail
	est := llm.EstimateRequest(req)
	if ceiling := c.p.modelling.RunInput; ceiling > 0 && max(d.EstimateIn, c.l.run.Tokens.Input)+est > ceiling {
		return errors.New("the ceiling of its input left no room to ask again")
	}
	d.EstimateIn += est
	d.Turns++
	reply, err := c.ask(ctx, req, nil)
	if err != nil {
		return err
	}
	d.PromptBytes += reply.RequestBytes
	return c.followed(ctx, reply, box)
}

// mostFollowed is how many verdicts are asked for again.
const mostFollowed = 40

// followed makes the calls of the reply to a follow-up: verdicts only.
func (c *consultation) followed(ctx context.Context, reply llm.Reply, box only) error {
	calls := reply.Message.Calls()
	for _, call := range calls[:min(len(calls), mostFollowed)] {
		if call.Name != toolAssess {
			continue
		}
		began := time.Now()
		r := box.Call(ctx, call.Name, []byte(c.veil.Show(string(call.Input))))
		c.l.run.Detail.Tools = append(c.l.run.Detail.Tools, toolCall(call, r, time.Since(began)))
	}
	return ctx.Err()
}

// settleVerdicts sees to it that every open finding has exactly one verdict.
func (c *consultation) settleVerdicts(ctx context.Context, failure error) string {
	missing := c.desk.missing()
	why := "the model gave no verdict"
	switch {
	case failure != nil:
		why = "the model could not be asked to the end"
	case c.why != "":
		why = "the model gave no verdict: " + c.why
	case len(missing) > 0:
		ctx, cancel := context.WithTimeout(ctx, c.p.set.Timeout/4)
		defer cancel()
		if err := c.followUp(ctx, missing); err != nil {
			why = "the model gave no verdict: " + redact.Line(err.Error(), 200)
		}
	}
	left := c.desk.missing()
	c.l.run.Detail.Assessments = c.desk.verdicts(why)
	return fmt.Sprintf("%d verdicts of the model, %d asked for again, %d uncertain by rule", len(c.desk.open)-len(left), len(missing), len(left))
}

// deliver puts what the model adds into the run: explanations into the items,
// findings that only it saw beside the others.
func (c *consultation) deliver(ctx context.Context) string {
	l, d := c.l, c.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.opened {
		at := slices.IndexFunc(l.estate.Findings, func(x ops.Finding) bool { return x.ID == f.ID })
		if at >= 0 {
			l.estate.Findings[at] = f
		} else {
			l.estate.Findings = append(l.estate.Findings, f)
		}
	}
	if len(d.opened) > 0 {
		l.items = brief.Items(l.estate)
	}
	c.enrich(ctx)
	c.remark()
	l.run.Detail.Rejected = append(l.run.Detail.Rejected, d.rejected...)
	c.record()
	return fmt.Sprintf("%d claims hold, %d things struck, %d findings that only the model saw, %d explained", d.held, len(d.rejected), len(d.opened), len(d.advice))
}

// enrich writes what the model adds to the items of the findings, and into
// the history of the findings.
func (c *consultation) enrich(ctx context.Context) {
	var told []ops.Transition
	for at := range c.l.items {
		i := &c.l.items[at]
		for _, id := range c.memberIDs(*i) {
			text := c.desk.advice[id]
			if text == "" {
				continue
			}
			i.Model = redact.Cut(strings.TrimSpace(i.Model+"\n"+text), 2*mostAdvice)
			told = append(told, ops.Transition{Actor: actor, OnBehalf: c.asked, Verb: "advise", Object: "finding", ObjectID: id, Reason: redact.Line(text, 500),
				Facts: map[string]string{"run": c.l.run.ID}})
		}
	}
	if len(told) == 0 {
		return
	}
	err := c.p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		for _, t := range told {
			tx.Record(t)
		}
		return nil
	})
	if err != nil {
		c.p.log.WarnContext(ctx, "what a model adds is in its run only", "run", c.l.run.ID, "err", err)
	}
}

// memberIDs answers the findings that an item is about, its own first.
func (c *consultation) memberIDs(i ops.RunItem) []string {
	ids := []string{i.FindingID}
	for _, f := range c.l.estate.Findings {
		if f.ID != i.FindingID && i.IncidentID != "" && f.IncidentID == i.IncidentID {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// remark keeps what stands of the model's last words.
func (c *consultation) remark() {
	var facts []evidence.Known
	for _, f := range c.desk.open {
		facts = append(facts, evidence.KnownFinding(f, c.desk.now), evidence.KnownResource(c.desk.scope[f.ResourceID]))
	}
	for _, i := range c.desk.items {
		facts = append(facts, evidence.Known{Names: []string{i.ResourceID}, Texts: append([]string{i.What, i.Place}, i.Evidence...)})
	}
	for alias := range c.seed.Aliases {
		facts = append(facts, evidence.Known{Names: []string{alias}})
	}
	facts = append(facts, evidence.Known{Names: c.desk.known})
	c.l.remark = strings.Join(strings.Fields(c.desk.proven(facts, []string{redact.Cut(c.reply, 4000)}, mostAdvice)), " ")
}
