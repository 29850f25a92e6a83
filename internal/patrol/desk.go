package patrol

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/brief"
	"reeve/internal/config"
	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tool"
)

// The tools through which a model hands something in.
const (
	toolReport = "report_finding"
	toolAssess = "assess_finding"
)

const (
	mostReports  = 10  // findings that one run may open
	mostClaims   = 12  // of one report or assessment
	mostAdvice   = 600 // bytes of what a model says of one finding
	mostRejected = 200
	mostOutput   = 1500 // tokens of one reply
)

// A desk takes what the model of one run reports and assesses, and believes
// none of it: scope, condition, every claim and every sentence are checked.
// What it lets through adds to what is known; nothing of it ends, lowers or
// hides anything.
type desk struct {
	now    time.Time
	run    string
	model  func() string // that is being asked
	scope  map[string]ops.Resource
	around map[string]ops.Resource
	open   map[string]ops.Finding // that need a verdict, by ID
	// troubled says that something is open, about to be, or was not collected.
	troubled bool
	aliases  map[string]string
	items    map[string]ops.RunItem // by finding
	source   evidence.Source
	kinds    func(condition string) (kinds []ops.Kind, known bool)
	known    []string // conditions
	resolve  func(ctx context.Context, ref string) (ops.Resource, error)
	file     filing
	take     func(ctx context.Context, n ops.Note, model string) (ops.Note, error) // suggested notes
	see      func(kind string, data any)

	mu       sync.Mutex
	assessed map[string]ops.Assessment
	advice   map[string]string // by finding: what the model adds
	opened   []ops.Finding
	rejected []ops.RunRejection
	held     int // claims that were accepted
	said     []saying
	notes    int // that were suggested
}

// A filing is where accepted reports go: the store, or for a replay nowhere.
type filing interface {
	// open opens a finding or reports one of a model again.
	open(ctx context.Context, f ops.Finding, proof []ops.Evidence) (ops.Finding, error)
	// live answers the finding of a fingerprint that is not closed.
	live(ctx context.Context, resourceID, condition string) (ops.Finding, bool, error)
}

// A saying is a report or a verdict as it was accepted, for comparisons.
type saying struct {
	What     string `json:"what"` // report or verdict
	Subject  string `json:"subject"`
	Resource string `json:"resource,omitempty"`
	Says     string `json:"says"`
}

// tool answers the desk as the tools see it.
func (d *desk) tool() tool.Desk {
	return tool.Desk{Report: d.report, Assess: d.assess, Suggest: d.suggest, Resolve: d.place, Now: d.now}
}

// mostNotes is how many notes a model may suggest in one run.
const mostNotes = 3

// suggest hands a note to where people decide on it.
func (d *desk) suggest(ctx context.Context, n ops.Note) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.notes >= mostNotes {
		return "", ops.Errorf(ops.TooMany, "a run may suggest %d notes, and did", mostNotes)
	}
	saved, err := d.take(ctx, n, d.model())
	if err != nil {
		return "", err
	}
	d.notes++
	return "suggested as " + saved.ID + "; a person decides", nil
}

// place answers a resource of the scope, or one around it, by ID, short name,
// or a name that only one of them has.
func (d *desk) place(ctx context.Context, ref string) (ops.Resource, error) {
	if id, ok := d.aliases[ref]; ok {
		ref = id
	}
	for _, known := range []map[string]ops.Resource{d.scope, d.around} {
		if r, ok := known[ref]; ok {
			return r, nil
		}
	}
	return d.resolve(ctx, ref)
}

// within reports whether a resource is one that the model may speak of.
func (d *desk) within(r ops.Resource) bool {
	_, in := d.scope[r.ID]
	_, near := d.around[r.ID]
	return in || near
}

// report takes one problem that a model says it found.
func (d *desk) report(ctx context.Context, r tool.Report) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what := redact.Line(r.Condition+": "+r.Title, 200)
	resource, err := d.subject(r)
	if err != nil {
		return "", d.refuse(what, err)
	}
	before := len(d.rejected)
	held, found, err := d.claims(ctx, r.Claims)
	if err != nil {
		return "", d.refuse(what, err)
	}
	if !d.proves(resource, held) {
		return "", d.refuse(what, ops.Errorf(ops.Invalid, "no claim about %s holds, so nothing was recorded%s", redact.Line(resource.Name, 80), d.lastWhy(before)))
	}
	text := d.prose(resource, held, found, strings.TrimSpace(r.Title), strings.TrimSpace(r.Text))
	live, alive, err := d.file.live(ctx, resource.ID, r.Condition)
	switch {
	case err != nil:
		return "", err
	case alive && live.Active() && live.Origin != ops.OriginPatrol:
		d.enrich(live.ID, text)
		d.say(saying{"report", r.Condition, resource.ID, "explains"})
		return d.answer("recorded as an explanation of the open finding; its state and severity stay as they are", text), nil
	case alive && !live.Active() && live.Origin != ops.OriginPatrol:
		return "", d.refuse(what, ops.Errorf(ops.Conflict, "its detector found it over at %s and would open it again; for something else use the condition %s", live.ResolvedAt.UTC().Format("15:04:05"), ops.Advisory))
	case len(d.opened) >= mostReports:
		return "", d.refuse(what, ops.Errorf(ops.Conflict, "this run reported %d findings already; that is all it may", mostReports))
	}
	f, err := d.file.open(ctx, d.finding(r, resource, text), found)
	if err != nil {
		return "", err
	}
	d.opened = append(d.opened, f)
	d.enrich(f.ID, text)
	d.say(saying{"report", r.Condition, resource.ID, string(f.Severity)})
	return d.answer(fmt.Sprintf("recorded as %s, a %s that only you saw: it ends by itself after %s", f.ID, f.Severity, ops.AdviceLife), text), nil
}

// subject checks what a report is about.
func (d *desk) subject(r tool.Report) (ops.Resource, error) {
	resource, ok := d.scope[r.ResourceID]
	if !ok {
		return resource, ops.Errorf(ops.Invalid, "resource %s is not in the scope of this run; report only what is", redact.Line(r.ResourceID, 80))
	}
	if r.Condition == ops.Advisory {
		return resource, nil
	}
	kinds, known := d.kinds(r.Condition)
	if !known {
		hint := "use " + ops.Advisory
		if near := config.Nearest(r.Condition, d.known); near != "" {
			hint = "did you mean " + near + "? Otherwise " + hint
		}
		return resource, ops.Errorf(ops.Invalid, "there is no condition %q; %s", redact.Line(r.Condition, 60), hint)
	}
	if !slices.Contains(kinds, resource.Kind) {
		return resource, ops.Errorf(ops.Invalid, "%s is not a condition of a %s; use %s, or name the right resource", r.Condition, resource.Kind, ops.Advisory)
	}
	return resource, nil
}

// claims checks claims, and remembers those that were struck.
func (d *desk) claims(ctx context.Context, claims []ops.Claim) (held []ops.Claim, found []ops.Evidence, err error) {
	if len(claims) > mostClaims {
		return nil, nil, ops.Errorf(ops.Invalid, "%d claims are too many; give the %d that matter", len(claims), mostClaims)
	}
	var near []ops.Claim
	for _, c := range claims {
		if id, ok := d.aliases[c.ResourceID]; ok {
			c.ResourceID = id
		}
		if !d.within(ops.Resource{ID: c.ResourceID}) {
			d.strike(ops.RunRejection{What: evidence.Say(c), Reason: "its resource is not in the scope of this run, nor next to it"})
			continue
		}
		near = append(near, lean(c))
	}
	held, found, struck := evidence.Sift(ctx, d.source, d.now, near)
	for _, s := range struck {
		d.strike(s)
	}
	d.held += len(held)
	return held, found, ctx.Err()
}

// lean answers a claim with the fields of its kind: what the others hold is
// not checked, and so is not kept.
func lean(c ops.Claim) ops.Claim {
	kept := ops.Claim{Kind: c.Kind, ResourceID: c.ResourceID}
	switch c.Kind {
	case "metric":
		kept.Metric, kept.Stat, kept.Minutes, kept.Value = c.Metric, c.Stat, c.Minutes, c.Value
	case "quote":
		kept.Text = c.Text
	case "state":
		kept.Name, kept.Text = c.Name, c.Text
	case "time":
		kept.Name, kept.At = c.Name, c.At
	}
	return kept
}

// idle are attributes that prove nothing: they say what a thing is and not how
// it is.
var idle = map[string]bool{"kind": true, "name": true, "host": true}

// proves reports whether a claim that holds says how the resource, or what
// bears it or stands on it, is.
func (d *desk) proves(r ops.Resource, held []ops.Claim) bool {
	return slices.ContainsFunc(held, func(c ops.Claim) bool {
		about := d.scope[c.ResourceID]
		if about.ID == "" {
			about = d.around[c.ResourceID]
		}
		near := c.ResourceID == r.ID || c.ResourceID == r.ParentID || c.ResourceID == r.HostID || about.ParentID == r.ID
		if c.Kind == "state" {
			_, seen := about.Observed.Text(c.Name)
			return near && !idle[c.Name] && (seen || c.Name == "presence" || c.Name == "reachability")
		}
		return near
	})
}

// finding makes the finding of an accepted report. A model alone is never
// more than a warning.
func (d *desk) finding(r tool.Report, resource ops.Resource, text string) ops.Finding {
	summary, _, _ := strings.Cut(text, "\n")
	if strings.TrimSpace(summary) == "" {
		summary = "A model reports " + strings.ReplaceAll(r.Condition, "_", " ") + "; none of its words could be proven, its claims could."
	}
	return ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: resource.ID, Condition: r.Condition, State: ops.FindingFlow.Start(), Severity: ops.Warning, Peak: ops.Warning,
		Origin: ops.OriginPatrol, Summary: redact.Line(summary, 300), Facts: map[string]string{"run": d.run, "model": d.model()},
		FirstSeen: d.now, LastSeen: d.now, OpenedAt: d.now, Count: 1, Episode: 1, Version: 1}
}

// prose takes out of what a model wrote every sentence that nothing backs.
func (d *desk) prose(r ops.Resource, held []ops.Claim, found []ops.Evidence, parts ...string) string {
	facts := d.backing(r)
	for i, c := range held {
		facts = append(facts, evidence.KnownClaim(c, found[i]))
		if about, err := d.place(context.Background(), c.ResourceID); err == nil {
			facts = append(facts, evidence.KnownResource(about))
		}
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return d.proven(facts, parts, mostAdvice)
}

// reassuring is what nobody says while detectors see problems.
var reassuring = regexp.MustCompile(`(?i)\b(?:(?:all|everything)(?: \w+)? (?:is|are|seems?|looks?|was|were)? ?(?:clear|well|ok|okay|fine|good|resolved|healthy|solved|fixed|normal)|all clear|no (?:open )?(?:problems?|issues?|findings?|alerts?)|nothing (?:is )?(?:wrong|to do)|ignor(?:e|ed|ing))\b`)

// proven answers what stands of texts: sentences that something backs, and
// that do not talk open findings away. What was cut is judged without its
// last sentence, because the half of a name is the name of nothing.
func (d *desk) proven(facts []evidence.Known, texts []string, limit int) string {
	for i, s := range texts {
		if rest, cut := strings.CutSuffix(s, "…"); cut {
			texts[i] = rest[:strings.LastIndexAny(rest, ".!?\n")+1]
		}
	}
	clean, struck := evidence.Prose(strings.Join(texts, "\n"), facts)
	for _, s := range struck {
		d.strike(s)
	}
	var kept []string
	for _, s := range strings.SplitAfter(clean, ". ") {
		if d.troubled && reassuring.MatchString(s) {
			d.strike(ops.RunRejection{What: s, Reason: "detectors see problems, or not all was seen"})
			continue
		}
		if d.troubled && strings.TrimSpace(s) != "" && !english(s) {
			d.strike(ops.RunRejection{What: s, Reason: "it does not read like English, so whether it talks problems away cannot be judged"})
			continue
		}
		kept = append(kept, s)
	}
	clean = redact.Text(strings.TrimSpace(strings.Join(kept, "")))
	if len(clean) > limit {
		short := redact.Cut(clean, limit)
		clean = short[:max(strings.LastIndexAny(short, ".!?\n")+1, 0)]
	}
	return brief.Defuse(clean)
}

// backing answers what may be said of a resource: what it is, and what was
// told of its findings.
func (d *desk) backing(r ops.Resource) []evidence.Known {
	facts := []evidence.Known{evidence.KnownResource(r)}
	for _, id := range []string{r.ParentID, r.HostID} {
		for _, known := range []map[string]ops.Resource{d.scope, d.around} {
			if up, ok := known[id]; ok {
				facts = append(facts, evidence.KnownResource(up))
			}
		}
	}
	for alias, id := range d.aliases {
		if f, ok := d.open[id]; ok && f.ResourceID == r.ID {
			item := d.items[id]
			facts = append(facts, evidence.KnownFinding(f, d.now), evidence.Known{Names: []string{alias, item.Condition}, Texts: slices.Concat(item.Evidence, item.Causes)})
		}
	}
	return append(facts, evidence.Known{Names: d.known})
}

func (d *desk) enrich(findingID, text string) {
	if text != "" && !strings.Contains(d.advice[findingID], text) {
		d.advice[findingID] = redact.Cut(strings.TrimSpace(d.advice[findingID]+"\n"+text), 2*mostAdvice)
	}
}

func (d *desk) strike(r ops.RunRejection) {
	r.What, r.Reason = redact.Line(r.What, 300), redact.Line(r.Reason, 300)
	if len(d.rejected) < mostRejected {
		d.rejected = append(d.rejected, r)
		d.see(EventRejection, r)
	}
}

// refuse remembers that something was not taken at all.
func (d *desk) refuse(what string, err error) error {
	message, _ := ops.Shown(err)
	d.strike(ops.RunRejection{What: what, Reason: cmp.Or(message, err.Error())})
	return err
}

// lastWhy says why the last claim of those from the given place was struck.
func (d *desk) lastWhy(from int) string {
	if len(d.rejected) <= from {
		return "; give at least one"
	}
	last := d.rejected[len(d.rejected)-1]
	return fmt.Sprintf("; %s: %s", last.What, last.Reason)
}

// answer tells the model what became of what it said.
func (d *desk) answer(done, text string) string {
	if text == "" {
		return done + ". Of your text nothing could be proven, so it was left out."
	}
	return done + ". What stands of your text: " + text
}

func (d *desk) say(s saying) { d.said = append(d.said, s) }

// missing answers the findings that still need a verdict, in the order of
// their short names.
func (d *desk) missing() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(d.open)) {
		if _, done := d.assessed[id]; !done {
			ids = append(ids, id)
		}
	}
	return ids
}

// filed writes accepted reports to the store.
type filed struct {
	store *store.Store
	run   string
}

func (s filed) live(ctx context.Context, resourceID, condition string) (ops.Finding, bool, error) {
	return s.store.LiveFinding(ctx, resourceID, condition)
}
