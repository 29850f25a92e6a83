package patrol

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reeve/internal/brief"
	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// How much of what explains findings is read: of the most severe, the newest.
const (
	explained     = 300 // findings with evidence
	remembered    = 100 // findings with what happened before
	latestProofs  = 3   // of a finding
	changesFor    = 24 * time.Hour
	changesBefore = 30 * time.Minute // the beginning of a finding
	oldWindows    = 20               // of old findings, whose beginnings are read
	maxChanges    = 3000
	readingsAge   = 15 * time.Minute
)

// readings are the metrics whose newest values stand beside a finding.
var readings = []string{"cpu_busy_ratio", "memory_used_ratio", "swap_used_ratio", "load1", "fs_used_ratio", "fs_available_bytes",
	"fs_inodes_used_ratio", "disk_busy_ratio", "disk_await_seconds", "disk_temperature_celsius", "container_cpu_ratio",
	"container_memory_used_ratio", "container_restarts_total", "net_errors_per_s", "unit_restarts_total"}

// gather reads all that a run looks at, at one time.
func (p *Patrol) gather(ctx context.Context, r ops.Run) (e brief.Estate, err error) {
	e = brief.Estate{Now: time.Now().UTC(), Trigger: r.Trigger, Reason: r.Reason, Asked: r.Asked}
	all, err := p.estate(ctx, r.Asked)
	if err != nil {
		return e, err
	}
	active, _, err := p.store.Findings(ctx, store.FindingFilter{Active: true, All: true})
	if err != nil {
		return e, err
	}
	hosts := map[string]ops.Resource{}
	for _, x := range all {
		if x.Kind == ops.KindHost {
			hosts[x.ID] = x
		}
	}
	in, around := split(all, r.Asked)
	e.Scope, e.LeftOut = leaveOut(e.Now, in, active, hosts)
	e.Around = around
	if e.Previous, err = p.previous(ctx, r); err != nil {
		return e, err
	}
	e.Incomplete = incomplete(all, hosts, e.Scope)
	v := &reading{p: p, e: &e, scope: idsOf(e.Scope), around: idsOf(around)}
	for _, part := range []func(context.Context) error{
		func(ctx context.Context) error { return v.findings(ctx, active) },
		v.incidents, v.evidence, v.holding, v.changes, v.readings, v.notes, v.before,
	} {
		if err := part(ctx); err != nil {
			return e, err
		}
	}
	e.Advice = p.advice
	return e, nil
}

func idsOf(all []ops.Resource) map[string]bool {
	ids := make(map[string]bool, len(all))
	for _, r := range all {
		ids[r.ID] = true
	}
	return ids
}

// previous answers the last finished run that looked at all that this one is
// to look at, with its detail.
func (p *Patrol) previous(ctx context.Context, r ops.Run) (*ops.Run, error) {
	same, err := p.store.RunsOfScope(ctx, r.Asked, 1)
	if err != nil {
		return nil, err
	}
	recent, _, err := p.store.Runs(ctx, store.RunFilter{States: []string{string(ops.RunDone)}, Limit: 50})
	if err != nil {
		return nil, err
	}
	var last *ops.Run
	for _, x := range append(recent, same...) {
		if x.ID != r.ID && x.Trigger != ops.TriggerReplay && covers(x.Asked, r.Asked) && (last == nil || x.EndedAt.After(last.EndedAt)) {
			last = &x
		}
	}
	if last == nil {
		return nil, nil
	}
	whole, err := p.store.Run(ctx, last.ID)
	return &whole, err
}

// incomplete says what of the scope was not collected freshly: hosts that are
// not heard of, and collectors there that fail.
func incomplete(all []ops.Resource, hosts map[string]ops.Resource, scope []ops.Resource) []string {
	mine := map[string]bool{}
	for _, r := range scope {
		mine[r.HostID] = true
	}
	var lines []string
	for id := range mine {
		if h, ok := hosts[id]; ok && !ops.HostState(h.Reachable).Heard() {
			lines = append(lines, fmt.Sprintf("%s is not heard of since %s", redact.Line(h.Name, 80), h.ObservedAt.UTC().Format(time.RFC3339)))
		}
	}
	for _, r := range all {
		what, name, _ := strings.Cut(r.Key.Key, ":")
		state := r.Observed["state"]
		if r.Kind != ops.KindComponent || !mine[r.HostID] || state != "failing" && state != "stuck" && state != "degraded" {
			continue
		}
		if what == "collector" || what == "store" {
			line := fmt.Sprintf("%s %s on %s is %s", what, redact.Line(name, 80), redact.Line(r.HostName, 80), state)
			if reason := redact.Line(r.Observed["error"], 200); reason != "" {
				line += ": " + reason
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// A reading fills an estate in.
type reading struct {
	p             *Patrol
	e             *brief.Estate
	scope, around map[string]bool
}

// findings takes the active ones, and those of the scope that ended since the
// run before.
func (v *reading) findings(ctx context.Context, active []ops.Finding) error {
	have := map[string]bool{}
	add := func(f ops.Finding) {
		if !have[f.ID] {
			have[f.ID] = true
			v.e.Findings = append(v.e.Findings, f)
		}
	}
	for _, f := range active {
		if v.scope[f.ResourceID] || v.around[f.ResourceID] {
			add(f)
		}
	}
	last := v.e.Previous
	if last == nil {
		return nil
	}
	resolved, _, err := v.p.store.Findings(ctx, store.FindingFilter{States: []string{string(ops.FindingResolved)}, All: true})
	if err != nil {
		return err
	}
	for _, f := range resolved {
		if v.scope[f.ResourceID] && f.ResolvedAt.After(last.StartedAt) {
			add(f)
		}
	}
	for _, id := range slices.Concat(last.Detail.New, last.Detail.Known) {
		if have[id] {
			continue
		}
		f, err := v.p.store.Finding(ctx, id)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return err
		}
		if err == nil && v.scope[f.ResourceID] && !f.Active() {
			add(f)
		}
	}
	return nil
}

func (v *reading) incidents(ctx context.Context) error {
	v.e.Incidents = map[string]ops.Incident{}
	for _, f := range v.e.Findings {
		if _, have := v.e.Incidents[f.IncidentID]; have || f.IncidentID == "" {
			continue
		}
		i, err := v.p.store.Incident(ctx, f.IncidentID)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return err
		}
		if err == nil {
			v.e.Incidents[i.ID] = i
		}
	}
	return nil
}

// severe answers the active findings of the scope, the most severe and newest
// first, at most n.
func (v *reading) severe(n int) []ops.Finding {
	var all []ops.Finding
	for _, f := range v.e.Findings {
		if f.Active() && v.scope[f.ResourceID] {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b ops.Finding) int {
		return cmp.Or(b.Severity.Rank()-a.Severity.Rank(), b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(a.ID, b.ID))
	})
	return all[:min(n, len(all))]
}

func (v *reading) evidence(ctx context.Context) error {
	v.e.Evidence = map[string][]ops.Evidence{}
	for _, f := range v.severe(explained) {
		all, err := v.p.store.Evidence(ctx, f.ID)
		if err != nil {
			return err
		}
		v.e.Evidence[f.ID] = all[max(0, len(all)-latestProofs):]
	}
	return nil
}

// holding reads what is true but not for long enough yet to be a finding.
func (v *reading) holding(ctx context.Context) error {
	rows, err := v.p.store.Tracks(ctx)
	if err != nil {
		return err
	}
	in := make(map[string]ops.Resource, len(v.e.Scope))
	for _, r := range v.e.Scope {
		in[r.ID] = r
	}
	for _, row := range rows {
		d, known := v.p.byName[row.Condition]
		r, ours := in[row.ResourceID]
		var t detect.Track
		if !known || !ours || json.Unmarshal([]byte(row.State), &t) != nil || t.Phase != detect.Holding {
			continue // A track that cannot be read is package watch's to tell of.
		}
		v.e.Holding = append(v.e.Holding, brief.Holding{ResourceID: row.ResourceID, Condition: row.Condition, Severity: t.Severity,
			Summary: d.Title, Since: t.BadSince, Held: t.Held, Hold: v.p.hold(d, r)})
	}
	return nil
}

// changes reads what changed of the scope and around it lately, and around the
// beginnings of older findings.
func (v *reading) changes(ctx context.Context) error {
	seen := map[int64]bool{}
	take := func(from, to time.Time, limit int) error {
		after, err := v.p.store.SeqAt(ctx, from)
		if err != nil {
			return err
		}
		before, err := v.p.store.SeqAt(ctx, to)
		if err != nil {
			return err
		}
		changes, err := v.p.store.ResourceChanges(ctx, after, before+1, limit)
		if err != nil {
			return err
		}
		for _, t := range changes {
			if !seen[t.Seq] && (v.scope[t.ObjectID] || v.around[t.ObjectID]) {
				seen[t.Seq] = true
				v.e.Changes = append(v.e.Changes, t)
			}
		}
		return nil
	}
	if err := take(v.e.Now.Add(-changesFor), v.e.Now.Add(time.Minute), maxChanges); err != nil {
		return err
	}
	windows := 0
	for _, f := range v.severe(explained) {
		if from := f.FirstSeen.Add(-changesBefore); from.Before(v.e.Now.Add(-changesFor)) && windows < oldWindows {
			windows++
			if err := take(from, f.FirstSeen.Add(changesBefore), 1000); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(v.e.Changes, func(a, b ops.Transition) int { return cmp.Compare(a.Seq, b.Seq) })
	return nil
}

// readings reads the newest values of resources with findings and of hosts. A
// metrics store that does not answer is told of, and costs no finding.
func (v *reading) readings(ctx context.Context) error {
	wanted := map[string]bool{}
	for _, f := range v.e.Findings {
		wanted[f.ResourceID] = true
	}
	for _, r := range slices.Concat(v.e.Scope, v.e.Around) {
		if r.Kind == ops.KindHost {
			wanted[r.ID] = true
		}
	}
	latest, err := v.p.metrics.Latest(ctx, readings, readingsAge)
	if err != nil {
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		v.e.Incomplete = append(v.e.Incomplete, "the metrics store does not answer")
		return nil
	}
	v.e.Readings = make(map[string][]brief.Reading, len(wanted))
	for id := range wanted {
		for _, s := range latest[id] {
			if last, ok := s.Last(); ok {
				v.e.Readings[id] = append(v.e.Readings[id], brief.Reading{Metric: s.Metric, Labels: s.Labels, At: last.At, Value: last.Value})
			}
		}
	}
	return nil
}

func (v *reading) notes(ctx context.Context) (err error) {
	ids := make([]string, 0, len(v.scope))
	for _, r := range v.e.Scope {
		ids = append(ids, r.ID)
	}
	v.e.Notes, err = v.p.know.Notes(ctx, ids)
	return err
}

// before reads what happened the last time, of the most severe findings.
func (v *reading) before(ctx context.Context) error {
	v.e.Before = map[string]string{}
	for _, f := range v.severe(remembered) {
		text, err := v.p.know.Before(ctx, f.Condition, f.ResourceID)
		if err != nil {
			return err
		}
		if text != "" {
			v.e.Before[ops.Fingerprint(f.ResourceID, f.Condition)] = text
		}
	}
	return nil
}
