package watch

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

// A judgement is what one pass found: the tracks after it and the edges.
type judgement struct {
	tracks  map[fingerprint]detect.Track
	edges   []edge
	judged  int
	unknown int
}

// An edge is a change that finding and people should learn of.
type edge struct {
	detect.Edge
	key      fingerprint
	resource ops.Resource
	def      detect.Definition
	verdict  detect.Verdict
	track    detect.Track
	limits   map[string]float64
}

// yieldEvery is after how many judgements a pass lets others run: on one core
// agents would wait for their answers as long as it takes.
const yieldEvery = 200

// judgeAll hands every resource to the detectors of its kind.
func (w *Watch) judgeAll(ctx context.Context, now time.Time) (*judgement, error) {
	r, err := w.read(ctx, now)
	if err != nil {
		return nil, err
	}
	j := &judgement{tracks: map[fingerprint]detect.Track{}}
	for _, d := range w.defs {
		base, rules := plain(d), rulesOf(w.rules, d.Name)
		for _, kind := range d.Kinds {
			for i, id := range w.scene.byKind[kind] {
				if i%yieldEvery == 0 {
					runtime.Gosched()
				}
				x := w.scene.of(id)
				s := base
				if len(rules) > 0 {
					s = resolve(base, rules, x)
				}
				w.judgeOne(now, s, x, r, j)
			}
		}
	}
	slices.SortFunc(j.edges, func(a, b edge) int {
		return compareText(a.key.resource+a.key.condition, b.key.resource+b.key.condition)
	})
	return j, nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func rulesOf(all []Rule, condition string) []Rule {
	var mine []Rule
	for _, r := range all {
		if r.Condition == condition {
			mine = append(mine, r)
		}
	}
	return mine
}

func (w *Watch) judgeOne(now time.Time, s settings, x ops.Resource, r readings, j *judgement) {
	key := fingerprint{x.ID, s.def.Name}
	old := w.tracks[key]
	v := w.verdict(now, s, x, r, old.Active())
	j.judged++
	if v.State == detect.Unknown {
		j.unknown++
	}
	next, e := old.Step(now, s.def, v)
	if next.Phase != detect.Idle {
		j.tracks[key] = next
	}
	if e != detect.None {
		v.Evidence = kept(v.Evidence)
		j.edges = append(j.edges, edge{Edge: e, key: key, resource: x, def: s.def, verdict: v, track: next, limits: s.limits})
	}
}

// kept copies series whose points are in the room of the pass.
func kept(all []ops.Series) []ops.Series {
	all = slices.Clone(all)
	for i := range all {
		all[i].Points = slices.Clone(all[i].Points)
	}
	return all
}

// verdict asks one detector about one resource. A detector that is off, or a
// resource that is absent from one list, gives no cause to open; a panic in a
// detector is its own fault and no verdict.
func (w *Watch) verdict(now time.Time, s settings, x ops.Resource, r readings, active bool) (v detect.Verdict) {
	if s.off {
		return detect.OK()
	}
	if x.Presence == ops.Absent || !s.def.Unheard && !w.scene.current(x) {
		return detect.NoData()
	}
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("a detector panicked", "condition", s.def.Name, "resource", x.ID, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			v = detect.NoData()
		}
	}()
	return s.def.Eval(w.subject(now, s, x, r, active))
}

func (w *Watch) subject(now time.Time, s settings, x ops.Resource, r readings, active bool) detect.Subject {
	subject := detect.Subject{Now: now, Started: w.started, Resource: x, Parent: w.scene.byID[x.ParentID], Series: r.series(s.def, x.ID), Limits: s.limits, Active: active}
	if len(s.def.Events) > 0 {
		subject.Events = r.byDef[s.def.Name].events[x.ID]
	}
	if x.Kind == ops.KindService || x.Kind == ops.KindProject {
		subject.Children = w.scene.childrenOf(x.ID)
	}
	return subject
}
