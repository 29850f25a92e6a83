package turn

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

// NewSource answers what claims are checked against: the store and the
// metrics. Lines of logs that were only shown come from Shown.
func NewSource(s *store.Store, m *tsdb.DB) evidence.Source {
	b := stored{s, m}
	return evidence.Source{Series: b.series, Resource: s.Resource, Texts: b.texts, Times: b.times}
}

type stored struct {
	store   *store.Store
	metrics *tsdb.DB
}

var metricForm = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$`)

// series answers the readings of one metric of one resource, as the query
// language finds them: by the resource, not by scanning everyone's.
func (b stored) series(ctx context.Context, resourceID, metric string, from, to time.Time) ([]ops.Series, error) {
	if !metricForm.MatchString(metric) {
		return nil, ops.Errorf(ops.Invalid, "%q is no name of a metric", redact.Line(metric, 60))
	}
	span := to.Sub(from).Milliseconds() + 1 // the beginning belongs to it
	list, err := b.metrics.Query(ctx, fmt.Sprintf(`%s{%s=%q}[%dms]`, metric, tsdb.ResourceLabel, resourceID, max(span, 1)), to)
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		s.Metric = metric
		s.Labels = own(s.Labels)
		list[i] = s
	}
	return list, nil
}

// own answers the labels that tell the series of one resource apart.
func own(labels map[string]string) map[string]string {
	var kept map[string]string
	for k, v := range labels {
		if k == tsdb.HostLabel || k == tsdb.ResourceLabel {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[k] = v
	}
	return kept
}

// What is looked through for one resource.
const (
	someEvents   = 1_000
	someFindings = 30
	someChanges  = 200
)

// texts answers what can be quoted of a resource, the newest events first.
func (b stored) texts(ctx context.Context, resourceID string) ([]evidence.Text, error) {
	events, err := b.store.ResourceEvents(ctx, resourceID, someEvents)
	if err != nil {
		return nil, err
	}
	var all []evidence.Text
	for _, e := range events {
		all = append(all, evidence.Text{Text: redact.Text(e.Text), At: e.At, Where: "event " + string(e.Type)})
		if t := e.Facts["template"]; t != "" {
			all = append(all, evidence.Text{Text: redact.Text(t), At: e.At, Where: "event " + string(e.Type)})
		}
	}
	findings, _, err := b.store.Findings(ctx, store.FindingFilter{Resource: resourceID, Limit: someFindings})
	if err != nil {
		return nil, err
	}
	for _, f := range findings {
		if f.Origin != ops.OriginPatrol { // A model does not prove its words by having said them.
			all = append(all, evidence.Text{Text: f.Summary, At: f.LastSeen, Where: "finding " + f.ID})
		}
		list, err := b.store.Evidence(ctx, f.ID)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			for _, q := range e.Quotes {
				all = append(all, evidence.Text{Text: q, At: e.TakenAt, Where: "evidence of " + f.ID})
			}
		}
	}
	return all, nil
}

// times answers when what happened to a resource: its findings, its events by
// their types, its changes, all of them also as "changed".
func (b stored) times(ctx context.Context, resourceID string) ([]evidence.Moment, error) {
	findings, _, err := b.store.Findings(ctx, store.FindingFilter{Resource: resourceID, Limit: someFindings})
	if err != nil {
		return nil, err
	}
	var all []evidence.Moment
	add := func(name string, at time.Time) {
		if !at.IsZero() {
			all = append(all, evidence.Moment{Name: name, At: at})
		}
	}
	for _, f := range findings {
		if f.Origin == ops.OriginPatrol {
			continue
		}
		add("opened", f.OpenedAt)
		add("opened", f.FirstSeen)
		add("resolved", f.ResolvedAt)
		add("acknowledged", f.AckedAt)
	}
	events, err := b.store.ResourceEvents(ctx, resourceID, someEvents)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		add(string(e.Type), e.At)
	}
	changes, err := b.store.Transitions(ctx, store.TransitionFilter{Object: "resource", ObjectID: resourceID, Newest: true, Limit: someChanges})
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		add("changed", c.At)
		add(c.Verb, c.At)
	}
	return all, nil
}

// Shown remembers what a run showed to its model beyond what is stored, so
// that it can be quoted. Its methods may be called at once.
type Shown struct {
	mu    sync.Mutex
	texts map[string][]evidence.Text
}

// maxShown bounds what is remembered of one resource.
const maxShown = 2_000

// Add remembers texts of a resource.
func (s *Shown) Add(resourceID string, texts ...evidence.Text) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts == nil {
		s.texts = map[string][]evidence.Text{}
	}
	all := append(s.texts[resourceID], texts...)
	s.texts[resourceID] = all[max(0, len(all)-maxShown):]
}

// Into answers a source in which what was shown can be quoted too.
func (s *Shown) Into(src evidence.Source) evidence.Source {
	below := src.Texts
	src.Texts = func(ctx context.Context, resourceID string) ([]evidence.Text, error) {
		all, err := below(ctx, resourceID)
		s.mu.Lock()
		defer s.mu.Unlock()
		return append(all, s.texts[resourceID]...), err
	}
	return src
}

// Resolver answers the resource of an ID, or of a name that only one has;
// NAME@HOST tells those of one name apart. Within says what may be answered;
// nil for all. What is removed never is.
func Resolver(s *store.Store, within func(ops.Resource) bool) func(ctx context.Context, ref string) (ops.Resource, error) {
	return func(ctx context.Context, ref string) (ops.Resource, error) {
		ref = strings.TrimSpace(ref)
		if ops.IDKind(ref) == ops.ResourceID {
			r, err := s.Resource(ctx, ref)
			if err == nil && (r.Presence == ops.Removed || within != nil && !within(r)) {
				err = ops.Errorf(ops.NotFound, "resource %s is out of scope", ref)
			}
			return r, err
		}
		if ref == "" {
			return ops.Resource{}, ops.Errorf(ops.Invalid, "say which resource: its ID, its name, or NAME@HOST")
		}
		fit, err := named(ctx, s, ref, within)
		switch {
		case err != nil:
			return ops.Resource{}, err
		case len(fit) == 0:
			return ops.Resource{}, ops.Errorf(ops.NotFound, "no resource in scope is called %q", redact.Line(ref, 80))
		case len(fit) > 1:
			return ops.Resource{}, ops.Errorf(ops.Invalid, "%q is the name of %d resources: %s; give the ID or NAME@HOST", redact.Line(ref, 80), len(fit), places(fit))
		}
		return fit[0], nil
	}
}

// named answers the resources of a name. NAME@HOST counts only when nothing
// has the whole as its name.
func named(ctx context.Context, s *store.Store, ref string, within func(ops.Resource) bool) ([]ops.Resource, error) {
	find := func(name, host string) ([]ops.Resource, error) {
		f := store.ResourceFilter{Text: name, Host: host, Presence: []string{string(ops.Present), string(ops.Absent)}, Limit: 1000}
		var fit []ops.Resource
		for {
			list, next, err := s.Resources(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, r := range list {
				if r.Name == name && (within == nil || within(r)) {
					fit = append(fit, r)
				}
			}
			if next == nil {
				return fit, nil
			}
			f.After = *next
		}
	}
	fit, err := find(ref, "")
	at := strings.LastIndexByte(ref, '@')
	if err != nil || len(fit) > 0 || at <= 0 || at == len(ref)-1 {
		return fit, err
	}
	return find(ref[:at], ref[at+1:])
}

func places(all []ops.Resource) string {
	const most = 6
	var names []string
	for _, r := range all[:min(len(all), most)] {
		names = append(names, fmt.Sprintf("%s (%s on %s)", r.ID, r.Kind, redact.Line(r.HostName, 60)))
	}
	if len(all) > most {
		names = append(names, fmt.Sprintf("%d more", len(all)-most))
	}
	return strings.Join(names, ", ")
}
