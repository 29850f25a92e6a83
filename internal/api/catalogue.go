package api

import (
	"context"
	"reflect"
	"slices"
	"strconv"

	"reeve/internal/collect"
	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/schema"
	"reeve/internal/store"
)

// A ChannelType is a type of channel that this build has. Settings is the
// zero value of the struct of its settings.
type ChannelType struct {
	Name     string
	Doc      string
	Settings any
}

// A ChannelTypeView describes a type of channel, for the form of its
// settings.
type ChannelTypeView struct {
	Name     string         `json:"name"`
	Doc      string         `json:"doc"`
	Settings *schema.Schema `json:"settings" doc:"JSON Schema of its settings."`
}

func (s *Server) channelTypes(context.Context, rest.NoInput) (rest.List[ChannelTypeView], error) {
	var all []ChannelTypeView
	for _, t := range s.deps.ChannelTypes {
		all = append(all, ChannelTypeView{t.Name, t.Doc, schema.For(reflect.TypeOf(t.Settings))})
	}
	return rest.ListOf(all, ""), nil
}

// A ToolView describes a tool that models may use.
type ToolView struct {
	Name     string         `json:"name"`
	Doc      string         `json:"doc" doc:"As models are told."`
	Effect   string         `json:"effect" enum:"reads,writes" doc:"writes: it records something in Reeve. None changes a host."`
	Profiles []string       `json:"profiles" doc:"Who may call it: patrol, investigation, assistant."`
	Core     []string       `json:"core" doc:"Who is offered it from the first turn; the others ask for it."`
	Input    *schema.Schema `json:"input" doc:"JSON Schema of its arguments."`
}

func (s *Server) toolViews(context.Context, rest.NoInput) (rest.List[ToolView], error) {
	return rest.ListOf(s.deps.Tools, ""), nil
}

// A DetectorView describes a detector.
type DetectorView struct {
	Name       string          `json:"name" doc:"The condition that it detects."`
	Title      string          `json:"title"`
	Doc        string          `json:"doc"`
	Kinds      []ops.Kind      `json:"kinds"`
	Metrics    []string        `json:"metrics"`
	Events     []ops.EventType `json:"events"`
	WindowMS   int64           `json:"window_ms" doc:"How far back it looks; 0 for the newest reading only."`
	HoldMS     int64           `json:"hold_ms" doc:"How long it must be bad before a finding opens."`
	ClearMS    int64           `json:"clear_ms" doc:"How long it must be good before the finding resolves."`
	Thresholds []ThresholdView `json:"thresholds"`
	Causes     []string        `json:"causes"`
	Checks     []string        `json:"checks"`
}

// A ThresholdView describes a number that people may set.
type ThresholdView struct {
	Name    string  `json:"name"`
	Default float64 `json:"default"`
	Unit    string  `json:"unit"`
	Doc     string  `json:"doc"`
}

func detectorView(d detect.Definition) DetectorView {
	v := DetectorView{Name: d.Name, Title: d.Title, Doc: d.Doc, Kinds: rest.Full(d.Kinds), Metrics: rest.Full(d.Metrics), Events: rest.Full(d.Events),
		WindowMS: d.Window.Milliseconds(), HoldMS: d.Hold.Milliseconds(), ClearMS: d.Clear.Milliseconds(),
		Thresholds: []ThresholdView{}, Causes: rest.Full(d.Causes), Checks: rest.Full(d.Checks)}
	for _, t := range d.Thresholds {
		v.Thresholds = append(v.Thresholds, ThresholdView(t))
	}
	return v
}

func (s *Server) detectors(context.Context, rest.NoInput) (rest.List[DetectorView], error) {
	var all []DetectorView
	for _, d := range s.deps.Detectors {
		all = append(all, detectorView(d))
	}
	return rest.ListOf(all, ""), nil
}

// A CollectorView describes a collector.
type CollectorView struct {
	Name        string       `json:"name"`
	Doc         string       `json:"doc"`
	EveryMS     int64        `json:"every_ms"`
	TimeoutMS   int64        `json:"timeout_ms" doc:"0 for the period, at least 10 s."`
	Cost        collect.Cost `json:"cost" enum:"cheap,moderate,dear"`
	Permissions string       `json:"permissions" doc:"What it needs to read everything."`
	Kinds       []ops.Kind   `json:"kinds"`
	Metrics     []MetricView `json:"metrics"`
}

// A MetricView describes a metric.
type MetricView struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	Doc    string   `json:"doc"`
	Labels []string `json:"labels"`
}

func (s *Server) collectorTypes(context.Context, rest.NoInput) (rest.List[CollectorView], error) {
	var all []CollectorView
	for _, d := range s.deps.Collectors {
		v := CollectorView{Name: d.Name, Doc: d.Doc, EveryMS: d.Every.Milliseconds(), TimeoutMS: d.Timeout.Milliseconds(),
			Cost: d.Cost, Permissions: d.Permissions, Kinds: rest.Full(d.Kinds), Metrics: []MetricView{}}
		for _, m := range d.Metrics {
			v.Metrics = append(v.Metrics, MetricView{m.Name, m.Unit, m.Doc, rest.Full(m.Labels)})
		}
		all = append(all, v)
	}
	return rest.ListOf(all, ""), nil
}

func (s *Server) channels(ctx context.Context, _ rest.NoInput) (rest.List[ChannelStatus], error) {
	return rest.ListOf(s.deps.Channels(ctx), ""), nil
}

type nameInput struct {
	Name string `path:"name"`
}

func (s *Server) testChannel(ctx context.Context, q nameInput) (rest.None, error) {
	if !slices.ContainsFunc(s.deps.Channels(ctx), func(c ChannelStatus) bool { return c.Name == q.Name }) {
		return rest.None{}, ops.Errorf(ops.NotFound, "there is no channel %s", rest.Short(q.Name))
	}
	err := s.deps.TestChannel(ctx, q.Name)
	if err == nil {
		err = s.store.Tx(ctx, s.now(), func(tx *store.Tx) error {
			w := rest.CallerOf(ctx).Why("")
			tx.Record(ops.Transition{Actor: w.Actor, OnBehalf: w.OnBehalf, Verb: "test", Object: "channel", ObjectID: q.Name})
			return nil
		})
	}
	return rest.None{}, err
}

type deliveriesInput struct {
	State    []string `query:"state" doc:"queued, sending, delivered, dead, dropped; several with commas."`
	Channel  string   `query:"channel" doc:"Name of a channel."`
	Incident string   `query:"incident" doc:"ID of an incident."`
	Limit    int      `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor   string   `query:"cursor"`
}

func (s *Server) deliveries(ctx context.Context, q deliveriesInput) (rest.List[ops.Delivery], error) {
	after, err := parseCursor("", q.Cursor)
	if err != nil {
		return rest.List[ops.Delivery]{}, err
	}
	if err := amongAll("state", "state of deliveries", q.State, ops.DeliveryFlow.States()); err != nil {
		return rest.List[ops.Delivery]{}, err
	}
	if err := s.checkChannel(ctx, q.Channel); err != nil {
		return rest.List[ops.Delivery]{}, err
	}
	items, next, err := s.store.Deliveries(ctx, store.DeliveryFilter{States: q.State, Channel: q.Channel, Incident: q.Incident, After: after, Limit: q.Limit})
	return rest.ListOf(items, cursorOf("", next)), err
}

func (s *Server) delivery(ctx context.Context, q rest.ByID) (ops.Delivery, error) {
	return s.store.Delivery(ctx, q.ID)
}

type auditInput struct {
	Object   string `query:"object" doc:"finding, incident, delivery, user, token, check ..."`
	ObjectID string `query:"object_id"`
	Limit    int    `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor   string `query:"cursor"`
}

// audit answers the transitions, the newest first.
func (s *Server) audit(ctx context.Context, q auditInput) (rest.List[ops.Transition], error) {
	before, err := parseCursor("", q.Cursor)
	if err != nil {
		return rest.List[ops.Transition]{}, err
	}
	if err := s.checkObject(ctx, q.Object); err != nil {
		return rest.List[ops.Transition]{}, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 999) // One more is read, to know whether there is more.
	items, err := s.store.Transitions(ctx, store.TransitionFilter{Before: before.Num, Object: q.Object, ObjectID: q.ObjectID, Newest: true, Limit: limit + 1})
	if err != nil || len(items) <= limit {
		return rest.ListOf(items, ""), err
	}
	last := items[limit-1].Seq
	return rest.ListOf(items[:limit], cursorOf("", &store.Key{Num: last, ID: strconv.FormatInt(last, 10)})), nil
}

// AuditVerdict says whether the audit chain holds.
type AuditVerdict struct {
	OK        bool   `json:"ok"`
	Good      int64  `json:"good" doc:"Entries whose hashes hold, from the first."`
	BrokenSeq int64  `json:"broken_seq,omitempty" doc:"The first that breaks the chain."`
	Why       string `json:"why,omitempty"`
}

func (s *Server) verifyAudit(ctx context.Context, _ rest.NoInput) (AuditVerdict, error) {
	if !s.verifying.TryLock() {
		return AuditVerdict{}, rest.TooMany(10, "the audit chain is being verified already; try again in a moment")
	}
	defer s.verifying.Unlock()
	good, broken, err := s.store.VerifyAudit(ctx, func(int64, int64) {})
	v := AuditVerdict{OK: broken == nil, Good: good}
	if broken != nil {
		v.BrokenSeq, v.Why = broken.Seq, broken.Why
	}
	return v, err
}

// newestFirst sorts transitions.
func newestFirst(all []ops.Transition) []ops.Transition {
	slices.SortFunc(all, func(a, b ops.Transition) int { return int(b.Seq - a.Seq) })
	return all
}

func (s *Server) config(context.Context, rest.NoInput) (any, error) { return s.deps.ConfigView(), nil }
