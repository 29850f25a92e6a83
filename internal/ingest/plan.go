package ingest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// An entry is a known resource with what each collector last saw of it:
// several may see one thing, and its observed state is the union.
type entry struct {
	resource ops.Resource
	thing    string
	parts    []part
	touched  time.Time // when the store last learned that it was seen
	place    map[string]string
	// last is the sighting that was judged last; moved says that a collector
	// sees another state since.
	last  ops.Sighting
	moved bool
}

// settled reports whether a sighting says what the last one said, of a thing
// that is as it was.
func (e *entry) settled(s ops.Sighting) bool {
	return !e.moved && e.resource.Presence == ops.Present && s.Name == e.last.Name && s.Parent == e.last.Parent && s.Generation == e.last.Generation &&
		s.Kind == e.last.Kind && maps.Equal(s.Labels, e.last.Labels)
}

// A part is what one collector sees of a resource.
type part struct {
	collector string
	seen      ops.Attrs
}

// stored is the part that was read from the database at start.
const stored = ""

func newEntry(r ops.Resource, thing string) *entry {
	return &entry{resource: r, thing: thing, touched: r.ObservedAt, parts: []part{{stored, r.Observed}}}
}

// A plan is what one report changes in the store. What is known of the host
// has changed when it is made: where it is not carried out, that is void.
type plan struct {
	saves   []save
	touches []string
	events  []store.StoredEvent
	// seen is where in the report a thing is first; gone for one that is
	// not where it should be.
	seen map[ops.ResourceKey]int
}

const gone = -1

type save struct {
	entry      *entry
	resource   ops.Resource
	thing      string
	transition *ops.Transition
}

func (h *host) plan(r ops.Report, all []seenBy) *plan {
	p := &plan{seen: make(map[ops.ResourceKey]int, len(all))}
	for i, s := range all {
		if first, again := p.seen[s.Key]; again {
			all[first].Sighting = mergeSighting(all[first].Sighting, s.Sighting)
		} else {
			p.seen[s.Key] = i
		}
		h.part(s)
	}
	for i, s := range all {
		if p.seen[s.Key] == i {
			h.judge(p, r, s.Sighting)
		}
	}
	for _, o := range r.Observations {
		h.missing(p, r, o)
		h.happened(p, r, o)
	}
	return p
}

type seenBy struct {
	ops.Sighting
	collector string
}

// seen answers what a report sees, first the host that it is from. An agent
// speaks of its own host only.
func seen(r ops.Report) []seenBy {
	n := 1
	for _, o := range r.Observations {
		n += len(o.Sightings)
	}
	s := append(make([]seenBy, 0, n), seenBy{hostSighting(r.Host), "report"})
	for _, o := range r.Observations {
		for _, x := range o.Sightings {
			x.Key.Host = r.Host.Key
			s = append(s, seenBy{x, o.Collector})
		}
	}
	// Parents first, so that a child finds its parent's ID.
	slices.SortStableFunc(s, func(a, b seenBy) int { return kindRank(a.Kind) - kindRank(b.Kind) })
	return s
}

func kindRank(k ops.Kind) int {
	switch k {
	case ops.KindHost:
		return 0
	case ops.KindProject:
		return 1
	case ops.KindService:
		return 2
	}
	return 3
}

func hostSighting(h ops.HostIdentity) ops.Sighting {
	return ops.Sighting{Key: h.HostResource(), Kind: ops.KindHost, Name: h.Name, Labels: h.Labels, Observed: ops.Attrs{"boot_id": h.BootID}}
}

func mergeSighting(a, b ops.Sighting) ops.Sighting {
	if len(b.Labels) > 0 && len(a.Labels) > 0 {
		a.Labels = maps.Clone(a.Labels)
		maps.Copy(a.Labels, b.Labels)
	} else if len(a.Labels) == 0 {
		a.Labels = b.Labels
	}
	if a.Generation == "" {
		a.Generation = b.Generation
	}
	if a.Parent == (ops.ResourceKey{}) {
		a.Parent = b.Parent
	}
	return a
}

// part remembers what one collector saw of a resource.
func (h *host) part(s seenBy) {
	e := h.known[s.Key]
	if e == nil {
		e = &entry{moved: true}
		h.known[s.Key] = e
	}
	// Hosts and disks are seen by several collectors, each at its own pace;
	// of anything else the one that sees it knows all.
	whole := e.partOf(stored) >= 0 && s.Kind != ops.KindHost && s.Kind != ops.KindDisk
	i := e.partOf(s.collector)
	switch {
	case i < 0:
		e.parts = append(e.parts, part{s.collector, s.Observed})
	case !whole && maps.Equal(e.parts[i].seen, s.Observed):
		return
	default:
		e.parts[i].seen = s.Observed
	}
	e.moved = true
	if whole {
		e.parts = slices.DeleteFunc(e.parts, func(p part) bool { return p.collector == stored })
	}
}

// partOf answers where the part of a collector is, -1 without one.
func (e *entry) partOf(collector string) int {
	return slices.IndexFunc(e.parts, func(p part) bool { return p.collector == collector })
}

// judge compares a sighting with what is known and plans the write.
func (h *host) judge(p *plan, r ops.Report, s ops.Sighting) {
	e := h.known[s.Key]
	next := e.resource
	isNew := next.ID == ""
	if isNew {
		next = ops.Resource{ID: ops.NewID(ops.ResourceID), Key: s.Key, Kind: s.Kind, FirstSeen: r.At, Generation: 1}
	}
	hostID, parentID := h.hostID(r, next), h.parentID(r, s)
	if !isNew && e.settled(s) && next.HostName == r.Host.Name && next.HostID == hostID && next.ParentID == parentID {
		e.unchanged(p, r.At)
		return
	}
	e.last, e.moved = s, false
	next.Name = redact.Line(s.Name, 200)
	next.HostName, next.HostID, next.ParentID = r.Host.Name, hostID, parentID
	next.Labels = clean(s.Labels)
	next.Observed = e.observed()
	next.Presence = ops.Present
	next.ObservedAt = r.At
	thing := s.Generation
	if thing != "" && e.thing != "" && thing != e.thing {
		next.Generation++
	}
	if thing == "" {
		thing = e.thing
	}
	changes := differences(e.resource, next)
	if !isNew && len(changes) == 0 && thing == e.thing && next.ParentID == e.resource.ParentID && maps.Equal(next.Labels, e.resource.Labels) && maps.Equal(next.Observed, e.resource.Observed) {
		e.resource.Labels, e.resource.Observed = next.Labels, next.Observed // of what is equal, those that are shared
		e.unchanged(p, r.At)
		return
	}
	e.resource, e.touched = next, r.At
	p.saves = append(p.saves, save{entry: e, resource: next, thing: thing, transition: seenTransition(isNew, next, changes)})
}

// unchanged notes that a thing was seen as it was.
func (e *entry) unchanged(p *plan, at time.Time) {
	if at.Sub(e.touched) >= touchEvery {
		e.touched = at
		p.touches = append(p.touches, e.resource.ID)
	}
	e.resource.ObservedAt = at
}

// observed answers the union of the parts. It is the one part where that is
// all, so that a thousand hosts do not keep everything twice.
func (e *entry) observed() ops.Attrs {
	union := ops.Attrs{}
	byName := slices.SortedFunc(slices.Values(e.parts), func(a, b part) int { return strings.Compare(a.collector, b.collector) })
	for _, p := range byName {
		for k, v := range p.seen {
			if p.collector != stored {
				v = redact.Line(v, 500)
			}
			union[k] = v
		}
	}
	if len(byName) == 1 && len(union) > 0 && maps.Equal(byName[0].seen, union) {
		return byName[0].seen
	}
	return union
}

func (h *host) hostID(r ops.Report, self ops.Resource) string {
	if self.Kind == ops.KindHost {
		return self.ID
	}
	return h.idOf(r.Host.HostResource())
}

func (h *host) parentID(r ops.Report, s ops.Sighting) string {
	if s.Kind == ops.KindHost {
		return ""
	}
	parent := s.Parent
	if parent == (ops.ResourceKey{}) {
		parent = r.Host.HostResource()
	}
	parent.Host = r.Host.Key
	if id := h.idOf(parent); id != "" {
		return id
	}
	return h.idOf(r.Host.HostResource())
}

func (h *host) idOf(key ops.ResourceKey) string {
	if e := h.known[key]; e != nil {
		return e.resource.ID
	}
	return ""
}

// noLabels nobody writes to.
var noLabels = map[string]string{}

// clean bounds labels from the estate; those that are fit stay as they are.
func clean(labels map[string]string) map[string]string {
	const most = 64
	if len(labels) == 0 {
		return noLabels
	}
	kept := make(map[string]string, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if len(kept) == most {
			break
		}
		kept[redact.Cut(strings.ToValidUTF8(k, "?"), 200)] = redact.Line(labels[k], 300)
	}
	if maps.Equal(kept, labels) {
		return labels
	}
	return kept
}

// differences lists what changed of a resource that a person would call a
// change.
func differences(old, next ops.Resource) map[string]string {
	d := map[string]string{}
	for k, v := range next.Observed {
		// What becomes known for the first time is no change.
		if was, ok := old.Observed[k]; ok && was != v && !ops.Volatile(k) {
			d[k] = redact.Cut(was, 80) + " -> " + redact.Cut(v, 80)
		}
	}
	if old.Name != next.Name {
		d["name"] = old.Name + " -> " + next.Name
	}
	if old.Presence != next.Presence {
		d["presence"] = string(old.Presence) + " -> " + string(next.Presence)
	}
	if old.Generation != next.Generation && old.ID != "" {
		d["generation"] = "replaced"
	}
	return d
}

func seenTransition(isNew bool, r ops.Resource, changes map[string]string) *ops.Transition {
	t := &ops.Transition{Actor: "ingest", Object: "resource", ObjectID: r.ID, To: string(r.Presence)}
	switch {
	case isNew:
		t.Verb, t.Facts = "appear", map[string]string{"kind": string(r.Kind), "name": r.Name, "host": r.HostName}
	case len(changes) > 0:
		t.Verb, t.Facts = "change", changes
	default:
		return nil
	}
	return t
}
