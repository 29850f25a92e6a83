package client

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"reeve/internal/dial"
	"reeve/internal/ops"
	"reeve/internal/term"
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
	return "", answered(ops.NotFound, "there is no %s %q; `reeve %ss` lists them", what, term.Safe(typed), what)
}

func ambiguous(what, typed string, found []candidate) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%q may be any of %d %ss; name one by its ID: ", term.Safe(typed), len(found), what)
	for i, c := range found[:min(len(found), maxCandidates)] {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s (%s)", c.id, term.Safe(c.about))
	}
	if more := len(found) - maxCandidates; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return dial.Misuse{Message: b.String()}
}

// ResourceID answers the resource that a person means: an ID or the beginning
// of one, a name, kind:name, name@host or kind:name@host.
func (c *Client) ResourceID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.ResourceID {
		return typed, nil
	}
	var l struct{ Items []ops.Resource }
	if err := c.Get(ctx, "/api/v1/resources?all=true", &l); err != nil {
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

// FindingID answers the finding that a person means: an ID or the beginning of
// one, or a resource with one active finding.
func (c *Client) FindingID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.FindingID {
		return typed, nil
	}
	if strings.HasPrefix(typed, ops.FindingID+"_") {
		return c.byBeginning(ctx, "finding", typed)
	}
	resource, err := c.ResourceID(ctx, typed)
	if err != nil {
		if e, ok := err.(dial.Answered); ok && e.Cause.Kind == ops.NotFound {
			return "", answered(ops.NotFound, "there is neither a finding nor a resource %q; `reeve findings` lists what is wrong", term.Safe(typed))
		}
		return "", err
	}
	l, err := c.Listed(ctx, "/api/v1/findings", url.Values{"resource": {resource}, "state": {"active"}}, pageSize)
	if err != nil {
		return "", err
	}
	active, err := Read[ops.Finding](l)
	if err != nil {
		return "", err
	}
	switch len(active) {
	case 0:
		return "", answered(ops.NotFound, "%s has no open finding; `reeve findings --state all --resource %s` lists the earlier ones", term.Safe(typed), resource)
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

// IncidentID answers the incident that a person means.
func (c *Client) IncidentID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.IncidentID {
		return typed, nil
	}
	if !strings.HasPrefix(typed, ops.IncidentID+"_") {
		return "", misuse("%q is not the ID of an incident, which begins with %s_; `reeve incidents` lists them", term.Safe(typed), ops.IncidentID)
	}
	return c.byBeginning(ctx, "incident", typed)
}

// NoteID answers the note that a person means.
func (c *Client) NoteID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.NoteID {
		return typed, nil
	}
	return c.byBeginning(ctx, "note", typed)
}

// InvestigationID answers the investigation that a person means.
func (c *Client) InvestigationID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.InvestigationID {
		return typed, nil
	}
	return c.byBeginning(ctx, "investigation", typed)
}

// DeliveryID answers the delivery that a person means, among the newest.
func (c *Client) DeliveryID(ctx context.Context, typed string) (string, error) {
	if ops.IDKind(typed) == ops.DeliveryID {
		return typed, nil
	}
	l, err := c.Listed(ctx, "/api/v1/deliveries", nil, maxSearch)
	if err != nil {
		return "", err
	}
	all, err := Read[ops.Delivery](l)
	if err != nil {
		return "", err
	}
	var candidates []candidate
	for _, d := range all {
		candidates = append(candidates, candidate{id: d.ID, about: d.Channel + ": " + d.Message.Title})
	}
	return choose("delivery", typed, candidates)
}

// ExactID answers the ID of the one thing of a list that has exactly this ID or
// name: for what cannot be undone no beginning will do. what names the kind of
// thing, path is where the API lists them.
func (c *Client) ExactID(ctx context.Context, what, path, typed string) (string, error) {
	var l List
	if err := c.Get(ctx, path, &l); err != nil {
		return "", err
	}
	all, err := Read[struct{ ID, Name string }](l)
	if err != nil {
		return "", err
	}
	var found []candidate
	for _, x := range all {
		if x.ID == typed || x.Name == typed {
			found = append(found, candidate{x.ID, []string{x.Name}, x.Name})
		}
	}
	// A host comes before the line that lets it join anew.
	if hosts := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return ops.IDKind(c.id) == ops.InviteID }); len(hosts) == 1 {
		found = hosts
	}
	switch len(found) {
	case 0:
		return "", answered(ops.NotFound, "there is no %s %q; `reeve %ss` lists them", what, term.Safe(typed), what)
	case 1:
		return found[0].id, nil
	}
	return "", ambiguous(what, typed, found)
}

// byBeginning searches the newest findings or incidents: the active ones
// first, because a short beginning means what is on the screen.
func (c *Client) byBeginning(ctx context.Context, what, typed string) (string, error) {
	var missing error
	for _, state := range []string{"active", ""} {
		q := url.Values{}
		if state != "" {
			q.Set("state", state)
		}
		l, err := c.Listed(ctx, "/api/v1/"+what+"s", q, maxSearch)
		if err != nil {
			return "", err
		}
		items, err := Read[struct{ ID, Summary, Title string }](l)
		if err != nil {
			return "", err
		}
		var all []candidate
		for _, i := range items {
			all = append(all, candidate{id: i.ID, about: cmp.Or(i.Summary, i.Title)})
		}
		id, err := choose(what, typed, all)
		if e, ok := err.(dial.Answered); !ok || e.Cause.Kind != ops.NotFound {
			return id, err
		}
		missing = err
	}
	return "", missing
}

// ResourceNames answers resources by ID, those that were removed under their
// last names; the ID "" is of none.
func (c *Client) ResourceNames(ctx context.Context, ids []string) (map[string]ops.Resource, error) {
	names := map[string]ops.Resource{}
	if !slices.ContainsFunc(ids, func(id string) bool { return id != "" }) {
		return names, nil
	}
	var l struct{ Items []ops.Resource }
	if err := c.Get(ctx, "/api/v1/resources?all=true", &l); err != nil {
		return nil, err
	}
	for _, r := range l.Items {
		names[r.ID] = r
	}
	if !slices.ContainsFunc(ids, func(id string) bool { return id != "" && names[id].ID == "" }) {
		return names, nil
	}
	if err := c.Get(ctx, "/api/v1/resources?all=true&presence=removed", &l); err != nil {
		return nil, err
	}
	for _, r := range l.Items {
		names[r.ID] = r
	}
	return names, nil
}
