package ingest

import (
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// missing plans the writes for what a complete list no longer holds: absent
// after one, removed after two.
func (h *host) missing(p *plan, r ops.Report, o ops.Observation) {
	if len(o.Complete) == 0 || o.Err != "" {
		return
	}
	whole := map[ops.Kind]bool{}
	for _, k := range o.Complete {
		whole[k] = true
	}
	for key, e := range h.known { // of this host only
		x := e.resource
		if !whole[x.Kind] || !owns(o.Collector, key.Source) || x.Presence == ops.Removed {
			continue
		}
		if _, seen := p.seen[key]; seen {
			continue
		}
		was := x.Presence
		x.Presence = map[ops.Presence]ops.Presence{ops.Present: ops.Absent, ops.Absent: ops.Removed}[was]
		verb := map[ops.Presence]string{ops.Absent: "vanish", ops.Removed: "remove"}[x.Presence]
		p.seen[key] = gone
		p.saves = append(p.saves, save{entry: e, resource: x, thing: e.thing, transition: &ops.Transition{
			Actor: "ingest", Verb: verb, Object: "resource", ObjectID: x.ID, From: string(was), To: string(x.Presence),
			Reason: "missing from the complete list of collector " + o.Collector,
			Facts:  map[string]string{"kind": string(x.Kind), "name": x.Name, "host": x.HostName}}})
	}
}

// owns reports whether a collector speaks for all resources of a source: of
// its own engine, or of the host itself.
func owns(collector, source string) bool {
	return source == "linux" || strings.Contains(collector, source)
}

// happened plans the events of an observation.
func (h *host) happened(p *plan, r ops.Report, o ops.Observation) {
	for _, e := range o.Events {
		key := e.Resource
		key.Host = r.Host.Key
		id := h.idOf(key)
		if id == "" {
			id = h.idOf(r.Host.HostResource())
		}
		e.Text = redact.Line(e.Text, 1000)
		facts := make(map[string]string, len(e.Facts))
		for k, v := range e.Facts {
			facts[redact.Cut(k, 100)] = redact.Line(v, 500)
		}
		e.Facts = facts
		if e.At.IsZero() || e.At.After(r.At.Add(maxAhead)) {
			e.At = r.At
		}
		p.events = append(p.events, store.StoredEvent{ResourceID: id, Collector: o.Collector, Event: e})
	}
}

// maxAhead is how far ahead of its report an event may say that it happened.
const maxAhead = time.Minute
