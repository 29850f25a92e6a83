package patrol

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

const (
	maxNames      = 1000 // that a person may write in one scope
	maxCandidates = 5    // that an error names
)

func wrongField(field, format string, args ...any) error {
	err := ops.Errorf(ops.Invalid, format, args...)
	err.Fields = map[string]string{field: err.Message}
	return err
}

// inventory answers every resource that is there.
func (p *Patrol) inventory(ctx context.Context) ([]ops.Resource, error) {
	all, _, err := p.store.Resources(ctx, store.ResourceFilter{All: true, Presence: []string{string(ops.Present), string(ops.Absent)}})
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	return all, nil
}

// estate answers the resources that a run of a scope has to do with: all of
// them, or of a short list those, what bears them and what belongs to them,
// with the parts of Reeve on their hosts.
func (p *Patrol) estate(ctx context.Context, s ops.RunScope) ([]ops.Resource, error) {
	if len(s.Resources) == 0 || len(s.Resources) > maxLookups {
		return p.inventory(ctx)
	}
	found := map[string]ops.Resource{}
	read := func(id string) (r ops.Resource, err error) {
		if r, have := found[id]; have || id == "" {
			return r, nil
		}
		r, err = p.store.Resource(ctx, id)
		switch {
		case ops.KindOf(err) == ops.NotFound && err != nil:
			return r, nil // It is gone; the run says so.
		case err == nil && r.Presence != ops.Removed:
			found[id] = r
		}
		return r, err
	}
	hosts := map[string]bool{}
	for _, id := range s.Resources {
		r, err := read(id)
		if err != nil {
			return nil, err
		}
		hosts[r.HostID] = true
		for _, near := range []string{r.ParentID, r.HostID} {
			if _, err := read(near); err != nil {
				return nil, err
			}
		}
	}
	filters := make([]store.ResourceFilter, 0, len(s.Resources)+len(hosts))
	for _, id := range s.Resources {
		filters = append(filters, store.ResourceFilter{Parent: id})
	}
	for id := range hosts {
		if id != "" {
			filters = append(filters, store.ResourceFilter{Host: id, Kinds: []string{string(ops.KindComponent)}})
		}
	}
	for _, f := range filters {
		f.All, f.Presence = true, []string{string(ops.Present), string(ops.Absent)}
		some, _, err := p.store.Resources(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("read resources: %w", err)
		}
		for _, r := range some {
			found[r.ID] = r
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b ops.Resource) int { return strings.Compare(a.ID, b.ID) }), nil
}

// maxLookups is how many resources are read one by one; for more all are.
const maxLookups = 50

// resolve turns what a person wrote into a scope. Only names need all that
// there is.
func (p *Patrol) resolve(ctx context.Context, asked ops.RunScope) (ops.RunScope, error) {
	switch byID := !slices.ContainsFunc(asked.Resources, func(ref string) bool { return ops.IDKind(ref) != ops.ResourceID }); {
	case asked.Full():
		some, _, err := p.store.Resources(ctx, store.ResourceFilter{Limit: 1})
		if err != nil {
			return asked, err
		}
		return resolveScope(some, asked)
	case byID && len(asked.Resources) > 0:
		some, err := p.estate(ctx, ops.RunScope{Resources: asked.Resources})
		if err != nil {
			return asked, err
		}
		if scope, err := resolveScope(some, asked); err == nil {
			return scope, nil
		}
	}
	all, err := p.inventory(ctx)
	if err != nil {
		return asked, err
	}
	return resolveScope(all, asked)
}

// resolveScope turns what a person wrote into IDs and kinds. Every name must
// mean exactly one resource; the error says of each that does not what it may
// have meant.
func resolveScope(all []ops.Resource, asked ops.RunScope) (ops.RunScope, error) {
	wrong := map[string]string{}
	if len(asked.Resources) > maxNames {
		return asked, wrongField("scope.resources", "a scope names at most %d resources; leave it out for all of them", maxNames)
	}
	scope := ops.RunScope{}
	for _, k := range asked.Kinds {
		if !ops.ValidKind(k) {
			wrong["scope.kinds"] = unknownKind(k)
			continue
		}
		scope.Kinds = append(scope.Kinds, k)
	}
	names := namesOf(all, asked.Resources)
	for _, ref := range asked.Resources {
		found := names[strings.TrimSpace(ref)]
		switch len(found) {
		case 1:
			scope.Resources = append(scope.Resources, found[0].ID)
		case 0:
			wrong["scope.resources"] = unknownResource(ref, all)
		default:
			wrong["scope.resources"] = fmt.Sprintf("%q means %d resources: %s; write the ID of the one", short(ref), len(found), candidates(found))
		}
	}
	if len(wrong) > 0 {
		err := ops.Errorf(ops.Invalid, "%s", strings.Join(slices.Sorted(maps.Values(wrong)), "; "))
		err.Fields = wrong
		return asked, err
	}
	scope = canonical(scope)
	if inScope, _ := split(all, scope); len(inScope) == 0 {
		return asked, emptyScope(scope)
	}
	return scope, nil
}

// emptyScope says why a sound scope matches nothing.
func emptyScope(s ops.RunScope) error {
	if s.Full() {
		return wrongField("scope", "there is nothing to look at yet: no agent has reported")
	}
	if len(s.Resources) > 0 {
		return wrongField("scope", "none of these resources is of kind %s", kindsText(s.Kinds))
	}
	return wrongField("scope.kinds", "there is no resource of kind %s", kindsText(s.Kinds))
}

func kindsText(kinds []ops.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, " or ")
}

// aliases are the exact texts under which a resource may be named.
func aliases(r ops.Resource) []string {
	all := []string{r.ID, r.Name, r.HostName + "/" + r.Name, r.Key.Key, r.Key.Host + "/" + r.Key.Key, string(r.Kind) + ":" + r.Name}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// namesOf answers the resources that each of some references may mean.
func namesOf(all []ops.Resource, refs []string) map[string][]ops.Resource {
	names := make(map[string][]ops.Resource, len(refs))
	for _, ref := range refs {
		names[strings.TrimSpace(ref)] = nil
	}
	for _, r := range all {
		if len(names) == 0 {
			break
		}
		for _, a := range aliases(r) {
			if found, asked := names[a]; asked && a != "" {
				names[a] = append(found, r)
			}
		}
	}
	return names
}

func candidates(found []ops.Resource) string {
	var lines []string
	for _, r := range found[:min(len(found), maxCandidates)] {
		lines = append(lines, fmt.Sprintf("%s (%s %s on %s)", r.ID, r.Kind, short(r.Name), short(r.HostName)))
	}
	if more := len(found) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, ", ")
}

func unknownResource(ref string, all []ops.Resource) string {
	ref = strings.TrimSpace(ref)
	text := fmt.Sprintf("there is no resource %q", short(ref))
	if near := nearestName(ref, all); near != "" {
		text += fmt.Sprintf("; did you mean %s (%s)?", short(near), candidates(namesOf(all, []string{near})[near]))
	}
	return text
}

// nearestName looks for the nearest alias, among those that could be near at
// all: an estate may have hundreds of thousands of names.
func nearestName(ref string, all []ops.Resource) string {
	seen := map[string]bool{}
	for _, r := range all {
		for _, name := range aliases(r) {
			if d := len(name) - len(ref); d >= -3 && d <= 3 && len(name) <= 200 {
				seen[name] = true
			}
		}
	}
	near := slices.Sorted(maps.Keys(seen))
	return config.Nearest(ref, near[:min(len(near), 20_000)])
}

func unknownKind(k ops.Kind) string {
	var known []string
	for _, i := range ops.Kinds {
		known = append(known, string(i.Kind))
	}
	text := fmt.Sprintf("there is no kind %q", short(string(k)))
	if near := config.Nearest(string(k), known); near != "" {
		return text + "; did you mean " + near + "?"
	}
	return text + "; kinds are " + strings.Join(known, ", ")
}

func short(s string) string { return redact.Line(s, 80) }

// split answers the resources of a scope, and the parents, hosts and children
// of those that are evidence only. A full scope has all and nothing around.
func split(all []ops.Resource, s ops.RunScope) (in, around []ops.Resource) {
	if s.Full() {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, r := range all {
		byID := len(s.Resources) == 0 || contains(s.Resources, r.ID)
		byKind := len(s.Kinds) == 0 || slices.Contains(s.Kinds, r.Kind)
		wanted[r.ID] = byID && byKind
	}
	near := map[string]bool{}
	for _, r := range all {
		if wanted[r.ID] {
			in = append(in, r)
			near[r.ParentID], near[r.HostID] = true, true
		}
	}
	for _, r := range all {
		if !wanted[r.ID] && (near[r.ID] || wanted[r.ParentID]) {
			around = append(around, r)
		}
	}
	return in, around
}

// contains looks a text up in a sorted list.
func contains(sorted []string, x string) bool {
	_, ok := slices.BinarySearch(sorted, x)
	return ok
}

// leaveOut takes out of a scope what is not to be looked at now: what is in
// maintenance, what a person declared off, and what is on such a host. It
// answers the rest and why each other is out.
func leaveOut(now time.Time, in []ops.Resource, active []ops.Finding, hosts map[string]ops.Resource) (rest []ops.Resource, out map[string]string) {
	maintained := map[string]string{}
	for _, f := range active {
		s := f.Suppression
		if s != nil && s.Kind == ops.SuppressMaintenance && s.Active(now, f.Severity) {
			maintained[f.ResourceID] = "in maintenance"
			if !s.Until.IsZero() {
				maintained[f.ResourceID] += " until " + s.Until.UTC().Format(time.RFC3339)
			}
		}
	}
	out = map[string]string{}
	for _, r := range in {
		why := outOf(r, maintained)
		if why == "" && r.HostID != r.ID {
			if why = outOf(hosts[r.HostID], maintained); why != "" {
				why = "its host is " + why
			}
		}
		if why != "" {
			out[r.ID] = why
		}
	}
	if len(out) == 0 { // As nearly always: ten thousand need no copy.
		return in, out
	}
	return slices.DeleteFunc(slices.Clone(in), func(r ops.Resource) bool { return out[r.ID] != "" }), out
}

// outOf answers why a resource itself is not looked at, "" when it is. What a
// person wants of it is in its desired state.
func outOf(r ops.Resource, maintained map[string]string) string {
	if why := maintained[r.ID]; why != "" {
		return why
	}
	if on, known := r.Desired.Bool("maintenance"); known && on || r.Kind == ops.KindHost && r.Reachable == string(ops.HostMaintenance) {
		return "in maintenance"
	}
	if state, known := r.Desired.Text("state"); known && slices.Contains([]string{"off", "stopped", "absent"}, state) {
		return "declared " + state
	}
	return ""
}
