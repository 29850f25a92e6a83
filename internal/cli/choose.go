package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"reeve/internal/dial"
	"reeve/internal/ops"
)

// maxCandidates is how many things an ambiguous answer lists.
const maxCandidates = 10

// A candidate is something that a person may mean.
type candidate struct {
	id    string
	names []string // exact names, beside the ID
	about string
}

// choose answers the ID of the one candidate that is meant: by its ID, by an
// exact name, else by a unique beginning of its ID, else by a unique beginning
// of a name.
func choose(what, typed string, all []candidate) (string, error) {
	ways := []func(candidate) bool{
		func(c candidate) bool { return c.id == typed },
		func(c candidate) bool { return slices.Contains(c.names, typed) },
		func(c candidate) bool { return len(typed) > 4 && strings.HasPrefix(c.id, typed) },
		func(c candidate) bool {
			return slices.ContainsFunc(c.names, func(n string) bool { return strings.HasPrefix(n, typed) })
		},
	}
	for _, fits := range ways {
		var found []candidate
		for _, c := range all {
			if fits(c) {
				found = append(found, c)
			}
		}
		if len(found) == 1 {
			return found[0].id, nil
		}
		if len(found) > 1 {
			return "", ambiguous(what, typed, found)
		}
	}
	return "", answered(ops.Errorf(ops.NotFound, "there is no %s %q; `reeve %ss` lists them", what, safe(typed), what))
}

func ambiguous(what, typed string, found []candidate) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%q may be any of %d %ss; name one by its ID: ", safe(typed), len(found), what)
	for i, c := range found[:min(len(found), maxCandidates)] {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s (%s)", c.id, safe(c.about))
	}
	if more := len(found) - maxCandidates; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return usageError{message: b.String()}
}

// resourceID answers the resource that a person means: an ID or the beginning
// of one, a name, kind:name, name@host or kind:name@host.
func (s *session) resourceID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.ResourceID {
		return typed, nil
	}
	var l struct{ Items []ops.Resource }
	if err := s.get(ctx, "/api/v1/resources?all=true", &l); err != nil {
		return "", err
	}
	return choose("resource", typed, resourceCandidates(l.Items))
}

func resourceCandidates(all []ops.Resource) []candidate {
	list := make([]candidate, len(all))
	for i, r := range all {
		kind := string(r.Kind)
		list[i] = candidate{r.ID, []string{r.Name, kind + ":" + r.Name, r.Name + "@" + r.HostName, kind + ":" + r.Name + "@" + r.HostName},
			fmt.Sprintf("%s %s on %s", kind, r.Name, r.HostName)}
	}
	return list
}

// maxSearch bounds how many findings or incidents are searched for the
// beginning of an ID.
const maxSearch = 5000

// findingID answers the finding that a person means: an ID or the beginning of
// one, or a resource with one active finding.
func (s *session) findingID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.FindingID {
		return typed, nil
	}
	if strings.HasPrefix(typed, ops.FindingID+"_") {
		return s.byBeginning(ctx, "finding", typed)
	}
	resource, err := s.resourceID(ctx, typed)
	if err != nil {
		if e, ok := err.(dial.Answered); ok && e.Cause.Kind == ops.NotFound {
			return "", answered(ops.Errorf(ops.NotFound, "there is neither a finding nor a resource %q; `reeve findings` lists what is wrong", safe(typed)))
		}
		return "", err
	}
	l, err := s.listed(ctx, "/api/v1/findings", url.Values{"resource": {resource}, "state": {"active"}}, pageSize)
	if err != nil {
		return "", err
	}
	active, err := read[ops.Finding](l)
	if err != nil {
		return "", err
	}
	switch len(active) {
	case 0:
		return "", answered(ops.Errorf(ops.NotFound, "%s has no open finding; `reeve findings --state all --resource %s` lists the earlier ones", safe(typed), resource))
	case 1:
		return active[0].ID, nil
	}
	return "", ambiguous("finding", typed, findingCandidates(active))
}

func findingCandidates(all []ops.Finding) []candidate {
	list := make([]candidate, len(all))
	for i, f := range all {
		list[i] = candidate{id: f.ID, about: f.Condition + ": " + f.Summary}
	}
	return list
}

// incidentID answers the incident that a person means.
func (s *session) incidentID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.IncidentID {
		return typed, nil
	}
	if !strings.HasPrefix(typed, ops.IncidentID+"_") {
		return "", wrongUse("%q is not the ID of an incident, which begins with %s_; `reeve incidents` lists them", safe(typed), ops.IncidentID)
	}
	return s.byBeginning(ctx, "incident", typed)
}

// byBeginning searches the newest findings or incidents: the active ones
// first, because a short beginning means what is on the screen.
func (s *session) byBeginning(ctx context.Context, what, typed string) (string, error) {
	var missing error
	for _, state := range []string{"active", ""} {
		q := url.Values{}
		if state != "" {
			q.Set("state", state)
		}
		l, err := s.listed(ctx, "/api/v1/"+what+"s", q, maxSearch)
		if err != nil {
			return "", err
		}
		items, err := read[struct{ ID, Summary, Title string }](l)
		if err != nil {
			return "", err
		}
		var all []candidate
		for _, i := range items {
			all = append(all, candidate{id: i.ID, about: first(i.Summary, i.Title)})
		}
		id, err := choose(what, typed, all)
		if e, ok := err.(dial.Answered); !ok || e.Cause.Kind != ops.NotFound {
			return id, err
		}
		missing = err
	}
	return "", missing
}

// each answers what f answers of each.
func each[T any](all []T, f func(T) string) []string {
	texts := make([]string, len(all))
	for i, x := range all {
		texts[i] = f(x)
	}
	return texts
}

// shortened answers IDs cut to the shortest length at which they differ, at
// least so long that two of different times do.
func shortened(ids []string) map[string]string {
	const least = 17
	short := map[string]string{}
	for n := least; ; n++ {
		clear(short)
		seen := map[string]string{}
		unique := true
		for _, id := range ids {
			s := id[:min(n, len(id))]
			if other, ok := seen[s]; ok && other != id {
				unique = false
			}
			seen[s], short[id] = id, s
		}
		if unique {
			return short
		}
	}
}
