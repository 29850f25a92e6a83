package patrol

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reeve/internal/brief"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

const (
	// usualInput and usualOutput are what a run with a model is taken to need
	// where none of its scope tells better.
	usualInput  = 8000
	usualOutput = 2000
	maxShown    = 200 // findings that are events
)

// stages does a run. Without a model, or when one cannot be asked, it ends
// with the same findings, ranked and explained.
func (p *Patrol) stages(ctx context.Context, l *look) error {
	if l.run.Cost == nil {
		l.run.Cost = new(int64) // Nothing was spent; a model with an unknown price makes it unknown.
	}
	if l.run.Trigger == ops.TriggerReplay {
		return p.replayRun(ctx, l)
	}
	if err := l.stage("budget", func() (string, error) { return p.budget(ctx, l), nil }); err != nil {
		return err
	}
	quiet := false
	err := l.stage("digest", func() (note string, err error) {
		quiet, note, err = p.survey(ctx, l)
		return note, err
	})
	if err != nil || quiet {
		return err
	}
	if err := l.stage("triage", func() (string, error) { return triage(l), nil }); err != nil {
		return err
	}
	if err := p.consult(ctx, l); err != nil {
		return err
	}
	if err := l.stage("findings", func() (string, error) { return sortFindings(l), nil }); err != nil {
		return err
	}
	return l.stage("summary", func() (string, error) { return conclude(l), nil })
}

// budget says whether a model is asked. A run that may not ask one goes on
// without.
func (p *Patrol) budget(ctx context.Context, l *look) string {
	if l.run.Depth == depthQuick {
		return "a quick run asks no model"
	}
	job := llm.Job{Use: ops.UsePatrol, RunID: l.run.ID}
	name, why := p.router.Available(ops.UsePatrol)
	if name == "" {
		return "without a model: " + why
	}
	if err := p.router.Allow(ctx, job, usualInput, usualOutput); err != nil {
		return "without a model: " + redact.Line(err.Error(), 300)
	}
	l.withModel = true
	return name + " may be asked"
}

// survey reads the estate and says whether a closer look is needed: a run is
// quiet when nothing changed since the last one of its scope, which was clean,
// and nothing is open. After some quiet ones in a row one looks anyway.
func (p *Patrol) survey(ctx context.Context, l *look) (quiet bool, note string, err error) {
	if l.estate, err = p.gather(ctx, l.run); err != nil {
		return false, "", err
	}
	e, d := &l.estate, &l.run.Detail
	d.Counts, d.LeftOut, d.Incomplete = map[ops.Kind]int64{}, map[string]string{}, e.Incomplete[:min(len(e.Incomplete), maxItems)]
	for id, why := range e.LeftOut {
		if len(d.LeftOut) < maxEffective {
			d.LeftOut[id] = why
		}
	}
	for _, r := range e.Scope {
		d.Counts[r.Kind]++
		if len(d.Effective) < maxEffective {
			d.Effective = append(d.Effective, r.ID)
		}
	}
	slices.Sort(d.Effective)
	d.Complete = len(e.Incomplete) == 0 && len(e.Scope) > 0
	if len(e.Scope) == 0 {
		return false, "nothing to look at", refusal{nothingLeft(l.run, e.LeftOut)}
	}
	l.run.Digest = brief.Digest(*e)
	quiet, note, err = p.quiet(ctx, l)
	if err != nil || !quiet {
		return false, note, err
	}
	l.run.Quiet, l.run.Health, l.withModel = true, ops.RunHealthy, false
	l.run.Summary = fmt.Sprintf("Quiet: %s. %s looked at.", note, counted(len(e.Scope), "resource"))
	return true, note, nil
}

func (p *Patrol) quiet(ctx context.Context, l *look) (bool, string, error) {
	same, err := p.store.RunsOfScope(ctx, l.run.Asked, max(1, p.set.QuietRuns))
	if err != nil {
		return false, "", err
	}
	compared := l.estate
	compared.Previous, compared.Findings = nil, l.concerning()
	if len(same) > 0 {
		compared.Previous = &same[0]
	}
	quiet, note := brief.Quiet(compared, l.run.Digest)
	row := 0
	for row < len(same) && same[row].Quiet {
		row++
	}
	switch {
	case !quiet:
		return false, note, nil
	case l.doubtful() > 0:
		return false, "a condition is true, though not for long enough yet", nil
	case row >= p.set.QuietRuns:
		return false, fmt.Sprintf("the last %d were quiet: a look anyway", row), nil
	}
	return true, note, nil
}

func nothingLeft(r ops.Run, out map[string]string) string {
	if len(out) > 0 {
		for _, why := range out {
			return fmt.Sprintf("nothing is left to look at: of %s the first is %s", counted(len(out), "resource"), why)
		}
	}
	if r.Asked.Full() {
		return "there is nothing to look at yet: no agent has reported"
	}
	return "what it was to look at is gone"
}

// triage ranks what is wrong or will be, without any model.
func triage(l *look) string {
	e := &l.estate
	l.items = brief.Items(*e)
	open := 0
	scope := idsOf(e.Scope)
	for _, f := range e.Findings {
		if f.Active() && scope[f.ResourceID] {
			open++
		}
	}
	return fmt.Sprintf("%s open, %s true but not for long enough, %s in the last day; %s to tell",
		counted(open, "finding"), counted(len(e.Holding), "condition"), counted(len(e.Changes), "change"), counted(len(l.items), "thing"))
}

// consult asks the model. That it cannot be asked changes nothing of what was
// found; it is said.
func (p *Patrol) consult(ctx context.Context, l *look) error {
	if !l.withModel {
		return nil
	}
	err := p.askModel(ctx, l)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		message, _ := ops.Shown(err)
		if message == "" {
			message = err.Error()
		}
		l.run.Err = "the model's part failed, everything else was done: " + redact.Line(message, 500)
		l.see(EventNote, Phase{Name: "model", Note: l.run.Err})
	}
	return nil
}

// sortFindings says which findings are new, known and over since the run
// before.
func sortFindings(l *look) string {
	e, d := &l.estate, &l.run.Detail
	before := map[string]bool{}
	if e.Previous != nil {
		for _, id := range slices.Concat(e.Previous.Detail.New, e.Previous.Detail.Known) {
			before[id] = true
		}
	}
	scope := idsOf(e.Scope)
	var fresh, known, over int
	list := func(to *[]string, n *int, id string) {
		if *n++; *n <= maxListed {
			*to = append(*to, id)
		}
	}
	for _, f := range e.Findings {
		switch {
		case !scope[f.ResourceID]:
		case !f.Active():
			list(&d.Cleared, &over, f.ID)
		case before[f.ID]:
			list(&d.Known, &known, f.ID)
		default:
			list(&d.New, &fresh, f.ID)
		}
	}
	d.Items = l.items
	for _, i := range l.items[:min(len(l.items), maxShown)] {
		l.see(EventFinding, i)
	}
	return fmt.Sprintf("%d new, %d known, %d over", fresh, known, over)
}

// doubtful counts the conditions that may be findings soon.
func (l *look) doubtful() (n int) {
	for _, h := range l.estate.Holding {
		if h.Soon() {
			n++
		}
	}
	return n
}

// conclude says how healthy what it looked at is. It never says healthy while
// anything is uncertain: something not collected, true but not for long
// enough, wrong with what belongs to it, or an error of the run itself.
func conclude(l *look) string {
	e, d := &l.estate, &l.run.Detail
	text, health := brief.Summary(l.items, d.Counts, d.Complete)
	var doubts []string
	scope := idsOf(e.Scope)
	around := 0
	for _, f := range l.concerning() {
		if f.Active() && !scope[f.ResourceID] {
			around++
		}
	}
	if around > 0 {
		doubts = append(doubts, "Open on what belongs to it: "+counted(around, "finding")+".")
	}
	if n := l.doubtful(); n > 0 {
		doubts = append(doubts, "True, though not for long enough yet to be a finding: "+counted(n, "condition")+".")
	}
	if l.run.Err != "" || slices.ContainsFunc(d.Assessments, func(a ops.Assessment) bool { return a.Verdict == ops.AssessUncertain }) {
		doubts = append(doubts, "The model's part is uncertain or not done.")
	}
	if health == ops.RunHealthy && len(doubts) > 0 {
		health = ops.RunInconclusive
	}
	l.run.Health = health
	if l.remark != "" {
		doubts = append(doubts, "The model adds: "+l.remark)
	}
	l.run.Summary = strings.TrimSpace(text + " " + strings.Join(doubts, " "))
	return string(health)
}

// concerning answers the findings that speak against health: of the scope and
// of what belongs to it, not of what bears it.
func (l *look) concerning() (all []ops.Finding) {
	e := &l.estate
	mine, scope := idsOf(e.Scope), idsOf(e.Scope)
	for _, r := range e.Around {
		if scope[r.ParentID] {
			mine[r.ID] = true
		}
	}
	for _, f := range e.Findings {
		if mine[f.ResourceID] {
			all = append(all, f)
		}
	}
	return all
}

func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
