package patrol

import (
	"slices"
	"time"

	"reeve/internal/ops"
)

const (
	// maxScoped is how many runs of a part of the estate wait beside each
	// other; what asks for further ones widens one that waits.
	maxScoped = 50
	// maxResources is how many resources a widened run names before it is one
	// of everything.
	maxResources = 500
	// maxStarts is how often a run is started: a full one that gave way this
	// often less one is let finish, and one that the process died under this
	// often is not tried again.
	maxStarts = 3
)

// A placement says which run answers a trigger: one that waits, by its index,
// or a new one; with what scope; and which others that wait go into it,
// because they would look at the same.
type placement struct {
	into  int // index of a queued run, newRun for none
	scope ops.RunScope
	merge []int
}

const newRun = -1

// place finds the run that answers a trigger. Whether one that waits would
// look at the same is asked before whether there is room for another, so that
// no repeated wish takes room or is turned away.
func place(queued []ops.Run, kind ops.TriggerKind, scope ops.RunScope) placement {
	if kind == ops.TriggerReplay {
		return placement{into: newRun, scope: scope}
	}
	p := absorb(queued, placement{into: newRun, scope: scope})
	if p.into != newRun || len(p.merge) > 0 || scopedRuns(queued) < maxScoped {
		return p
	}
	return widen(queued, scope)
}

// absorb takes in every run that overlaps, also what overlaps only once the
// scope has grown. The run that remains is a full one where there is one, else
// the most urgent.
func absorb(queued []ops.Run, p placement) placement {
	in := map[int]bool{}
	for grew := true; grew; {
		grew = false
		for i, r := range queued {
			if in[i] || r.Trigger == ops.TriggerReplay || !overlap(r.Asked, p.scope) {
				continue
			}
			in[i], grew = true, true
			p.scope = union(r.Asked, p.scope)
		}
	}
	for i, r := range queued {
		// A run of a part does not become one of everything by being asked for
		// more: it goes into a new one, under its own name.
		if !in[i] || p.scope.Full() && !r.Asked.Full() {
			continue
		}
		if p.into == newRun || before(r, queued[p.into]) {
			p.into = i
		}
	}
	for i := range queued {
		if in[i] && i != p.into {
			p.merge = append(p.merge, i)
		}
	}
	return p
}

// widen finds the least urgent run of a list of resources and puts a further
// scope into it; when that grows too wide, or there is none, the answer is a
// run of everything, which takes in all the others.
func widen(queued []ops.Run, scope ops.RunScope) placement {
	into := newRun
	for i, r := range queued {
		if len(r.Asked.Resources) > 0 && len(r.Asked.Kinds) == 0 && r.Trigger != ops.TriggerReplay && (into == newRun || before(queued[into], r)) {
			into = i
		}
	}
	if into != newRun && len(scope.Kinds) == 0 {
		if wide := union(queued[into].Asked, scope); len(wide.Resources) <= maxResources {
			return placement{into: into, scope: wide}
		}
	}
	return absorb(queued, placement{into: newRun})
}

func scopedRuns(queued []ops.Run) (n int) {
	for _, r := range queued {
		if !r.Asked.Full() && r.Trigger != ops.TriggerReplay {
			n++
		}
	}
	return n
}

// overlap reports whether two runs would look at the same for certain. A list
// of resources and a list of kinds are not compared: what is of a kind changes
// until the run looks.
func overlap(a, b ops.RunScope) bool {
	switch {
	case a.Full() || b.Full():
		return true
	case len(a.Kinds) == 0 && len(b.Kinds) == 0:
		return shares(a.Resources, b.Resources)
	case len(a.Resources) == 0 && len(b.Resources) == 0:
		return shares(a.Kinds, b.Kinds)
	}
	return equalScopes(a, b)
}

// union answers a scope that covers both. Scopes of other forms, which do not
// overlap, are covered by everything alone.
func union(a, b ops.RunScope) ops.RunScope {
	switch {
	case a.Full() || b.Full():
		return ops.RunScope{}
	case len(a.Kinds) == 0 && len(b.Kinds) == 0:
		return canonical(ops.RunScope{Resources: slices.Concat(a.Resources, b.Resources)})
	case len(a.Resources) == 0 && len(b.Resources) == 0:
		return canonical(ops.RunScope{Kinds: slices.Concat(a.Kinds, b.Kinds)})
	case equalScopes(a, b):
		return a
	}
	return ops.RunScope{}
}

// canonical sorts a scope and names everything once, so that equal scopes are
// the same text.
func canonical(s ops.RunScope) ops.RunScope {
	s.Resources, s.Kinds = slices.Compact(slices.Sorted(slices.Values(s.Resources))), slices.Compact(slices.Sorted(slices.Values(s.Kinds)))
	return s
}

func equalScopes(a, b ops.RunScope) bool {
	return slices.Equal(a.Resources, b.Resources) && slices.Equal(a.Kinds, b.Kinds)
}

// covers reports whether a run of scope a looked at all of scope b.
func covers(a, b ops.RunScope) bool {
	if a.Full() || equalScopes(a, b) {
		return true
	}
	if len(a.Kinds) == 0 && len(b.Resources) > 0 {
		return within(b.Resources, a.Resources)
	}
	return len(a.Resources) == 0 && len(b.Kinds) > 0 && within(b.Kinds, a.Kinds)
}

// within reports whether all of a list are in another.
func within[T comparable](some, all []T) bool {
	return !slices.ContainsFunc(some, func(x T) bool { return !slices.Contains(all, x) })
}

// shares reports whether two sorted lists have a member in common.
func shares[T ~string](a, b []T) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			return true
		case a[0] < b[0]:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}

// before orders runs that wait: the more urgent first, then the older.
func before(a, b ops.Run) bool {
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	if !a.QueuedAt.Equal(b.QueuedAt) {
		return a.QueuedAt.Before(b.QueuedAt)
	}
	return a.ID < b.ID
}

// join answers a queued run after a trigger joined it with a scope: it is as
// urgent as its most urgent trigger and says what that one says.
func join(r ops.Run, t ops.RunTrigger, scope ops.RunScope, depth string) ops.Run {
	r.Triggers++
	r.Asked = scope
	if p := int64(t.Kind.Priority()); p > r.Priority {
		r.Priority, r.Trigger, r.Reason = p, t.Kind, t.Reason
	}
	if depth == depthNormal {
		r.Depth = depth
	}
	return r
}

// swallow answers a run after another that waits went into it.
func swallow(r, other ops.Run) ops.Run {
	r.Triggers += other.Triggers
	if other.Priority > r.Priority {
		r.Priority, r.Trigger, r.Reason = other.Priority, other.Trigger, other.Reason
	}
	if other.Depth == depthNormal {
		r.Depth = other.Depth
	}
	if other.QueuedAt.Before(r.QueuedAt) {
		r.QueuedAt = other.QueuedAt
	}
	if other.NotBefore.Before(r.NotBefore) {
		r.NotBefore = other.NotBefore
	}
	return r
}

// The depths: a quick run asks no model.
const (
	depthQuick  = "quick"
	depthNormal = "normal"
)

// byHand reports whether a person waits for the run: it does not wait for
// spacing and pacing.
func byHand(r ops.Run) bool { return r.Trigger == ops.TriggerManual || r.Trigger == ops.TriggerReplay }

// A rhythm is what the spacing and pacing of runs is judged by.
type rhythm struct {
	now             time.Time
	lastStart       time.Time
	looks           map[string]time.Time // by resource, its last scoped look
	spacing, pacing time.Duration
}

// due answers when a run may start: never refused, only later.
func (m rhythm) due(r ops.Run) time.Time {
	if byHand(r) {
		return r.QueuedAt
	}
	at := later(r.QueuedAt, r.NotBefore)
	if !m.lastStart.IsZero() {
		at = later(at, m.lastStart.Add(m.pacing))
	}
	for _, id := range r.Asked.Resources {
		if last, ok := m.looks[id]; ok {
			at = later(at, last.Add(m.spacing))
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// next answers the run to start now, ok being false for none, and otherwise
// when the first of them may.
func (m rhythm) next(queued []ops.Run) (r ops.Run, ok bool, wakeAt time.Time) {
	for _, q := range queued {
		at := m.due(q)
		if at.After(m.now) {
			if wakeAt.IsZero() || at.Before(wakeAt) {
				wakeAt = at
			}
			continue
		}
		if !ok || before(q, r) {
			r, ok = q, true
		}
	}
	return r, ok, wakeAt
}

// givesWay reports whether a run that goes on is stopped for one that is ready
// to start: a full one for an urgent one of a part, as long as it would not
// give way for ever.
func givesWay(running, ready ops.Run) bool {
	return running.Asked.Full() && running.Trigger != ops.TriggerReplay && running.Starts < maxStarts &&
		!ready.Asked.Full() && ready.Priority >= ops.UrgentPriority && ready.Priority > running.Priority
}
