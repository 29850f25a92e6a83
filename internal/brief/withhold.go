package brief

import (
	"maps"
	"path"
	"slices"
	"strings"

	"reeve/internal/ops"
)

// Withhold says what no model is shown. The zero value withholds nothing.
type Withhold struct {
	Hosts  []string        // patterns of host names; * and ? match
	Kinds  []string        // kinds of resources
	Fields map[string]bool // labels, attributes, logs, processes, notes
}

// Covers reports whether a resource is withheld.
func (w Withhold) Covers(r ops.Resource) bool {
	if slices.Contains(w.Kinds, string(r.Kind)) {
		return true
	}
	return slices.ContainsFunc(w.Hosts, func(pattern string) bool {
		ok, err := path.Match(pattern, r.HostName)
		return pattern == r.HostName || err == nil && ok
	})
}

// Without answers an estate without what is withheld: resources with all that
// is known of them, and fields. Findings of withheld resources are no part of
// it: no model can judge them.
func Without(e Estate, w Withhold) Estate {
	gone := map[string]bool{}
	var hosts []string
	keep := func(all []ops.Resource) []ops.Resource {
		return slices.DeleteFunc(slices.Clone(all), func(r ops.Resource) bool {
			if !w.Covers(r) {
				return false
			}
			gone[r.ID] = true
			if r.Kind == ops.KindHost {
				hosts = append(hosts, r.Name)
			}
			return true
		})
	}
	e.Scope, e.Around = keep(e.Scope), keep(e.Around)
	known := map[string]bool{}
	for _, r := range slices.Concat(e.Scope, e.Around) {
		known[r.ID] = true
	}
	e.Findings = slices.DeleteFunc(slices.Clone(e.Findings), func(f ops.Finding) bool { return !known[f.ResourceID] })
	e.Holding = slices.DeleteFunc(slices.Clone(e.Holding), func(h Holding) bool { return gone[h.ResourceID] })
	e.Changes = slices.DeleteFunc(slices.Clone(e.Changes), func(t ops.Transition) bool { return gone[t.ObjectID] })
	e.Notes = slices.DeleteFunc(slices.Clone(e.Notes), func(n ops.Note) bool { return gone[n.ResourceID] })
	e.LeftOut = maps.Clone(e.LeftOut)
	maps.DeleteFunc(e.LeftOut, func(id, _ string) bool { return gone[id] })
	e.Incomplete = slices.DeleteFunc(slices.Clone(e.Incomplete), func(s string) bool {
		return slices.ContainsFunc(hosts, func(h string) bool { return strings.Contains(s, h) })
	})
	return w.fields(e)
}

// fields takes out what is withheld of the resources that stay.
func (w Withhold) fields(e Estate) Estate {
	bare := func(all []ops.Resource) {
		for i := range all {
			if w.Fields["labels"] {
				all[i].Labels = nil
			}
			if w.Fields["attributes"] {
				all[i].Observed, all[i].Desired = nil, nil
			}
		}
	}
	bare(e.Scope)
	bare(e.Around)
	if w.Fields["attributes"] {
		for i, t := range e.Changes {
			if t.Verb == "change" {
				e.Changes[i].Facts = nil
			}
		}
	}
	if w.Fields["notes"] {
		e.Notes, e.Before = nil, nil
	}
	e.Evidence = maps.Clone(e.Evidence)
	for id, all := range e.Evidence {
		all = slices.Clone(all)
		for i := range all {
			// State alone is stored as quotes of evidence without series.
			if w.Fields["logs"] || w.Fields["attributes"] {
				all[i].Quotes = nil
			}
		}
		e.Evidence[id] = all
	}
	return e
}
