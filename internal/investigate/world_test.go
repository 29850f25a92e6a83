package investigate

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"reeve/internal/detectors"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/tools"
	"reeve/internal/tsdb"
	"reeve/internal/turn"
	"reeve/test/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// A world is a real Investigate over real stores, with a host and a container
// on it.
type world struct {
	t         testing.TB
	store     *store.Store
	metrics   *tsdb.DB
	v         *Investigate
	set       Settings
	router    *llm.Router
	suggested []ops.Note
	past      Past
	host, web ops.Resource
	withheld  string // ID of a resource that models are not shown
	fields    map[string]bool
}

func settings() Settings {
	return Settings{Auto: "critical", Turns: 15, Time: 10 * time.Minute, AtOnce: 3, Attempts: 3, Cooldown: time.Hour, AfterTimeout: 10 * time.Minute}
}

func newWorld(t testing.TB, s *store.Store) *world {
	t.Helper()
	w := &world{t: t, store: s, set: settings(), router: llm.New(quiet, llm.Options{})}
	var err error
	w.metrics, err = tsdb.Open(t.Context(), quiet, tsdb.Options{Dir: filepath.Join(t.TempDir(), "metrics"), BallastSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.metrics.Close() })
	first := time.Now().UTC().Add(-100 * time.Hour).Truncate(time.Millisecond)
	w.host = ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindHost, Name: "alpha", HostName: "alpha", Key: ops.ResourceKey{Host: "h", Source: "linux", Key: "host"},
		Presence: ops.Present, Reachable: "online", FirstSeen: first, ObservedAt: first}
	w.host.HostID = w.host.ID
	w.web = ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindContainer, Name: "web", HostName: "alpha", HostID: w.host.ID, ParentID: w.host.ID,
		Key: ops.ResourceKey{Host: "h", Source: "docker", Key: "web"}, Presence: ops.Present, Reachable: "online", FirstSeen: first, ObservedAt: first,
		Observed: ops.Attrs{"image": "web:2", "state": "running"}}
	w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SaveResource(ctx, w.host, ""); err != nil {
			return err
		}
		return tx.SaveResource(ctx, w.web, "")
	})
	w.open()
	return w
}

// open makes the Investigate, as a process that starts does.
func (w *world) open() {
	w.t.Helper()
	resolver := func(within func(ops.Resource) bool) func(context.Context, string) (ops.Resource, error) {
		return turn.Resolver(w.store, within)
	}
	v := New(Options{Log: quiet, Store: w.store, Source: turn.NewSource(w.store, w.metrics), Definitions: detectors.All(), Settings: w.set, Router: w.router,
		Tools:    w.tools,
		Before:   func(context.Context, string, string) (Past, error) { return w.past, nil },
		Notes:    func(context.Context, []string) ([]ops.Note, error) { return nil, nil },
		Resolver: resolver, Veil: func(context.Context) (*turn.Veil, error) { return nil, nil },
		Suggest: func(_ context.Context, n ops.Note, _ string) (ops.Note, error) {
			w.suggested = append(w.suggested, n)
			return n, nil
		},
		Withheld:       func(r ops.Resource) bool { return r.ID != "" && r.ID == w.withheld },
		WithheldFields: w.fields})
	if err := v.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	group := loop.NewGroup(quiet) // so that the loops can be woken; the tests make the passes
	for _, l := range v.Loops() {
		group.Add(l)
	}
	w.v = v
}

// tools are those of this build, behind the real door.
func (w *world) tools(d tool.Desk, _ bool) tool.Toolbox {
	env := tools.Env{Now: func() time.Time { return d.Now }, Store: w.store, Metrics: w.metrics, Desk: d, Definitions: detectors.All()}
	return tool.NewSet(env, tool.Investigation, tools.All(), tool.Limits{Trouble: func(name string, err error) { w.t.Error(name, err) }})
}

func (w *world) tx(at time.Time, f func(ctx context.Context, tx *store.Tx) error) {
	w.t.Helper()
	if err := w.store.Tx(w.t.Context(), at, func(tx *store.Tx) error { return f(w.t.Context(), tx) }); err != nil {
		w.t.Fatal(err)
	}
}

// incident opens a finding of the container with an incident around it.
func (w *world) incident(condition string, sev ops.Severity, began time.Time) ops.Incident {
	w.t.Helper()
	began = began.UTC().Truncate(time.Millisecond)
	now := time.Now().UTC().Truncate(time.Millisecond)
	f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: w.web.ID, Condition: condition, State: ops.FindingOpen, Severity: sev, Peak: sev, Origin: "rule",
		Summary: "web was restarted 3 times", FirstSeen: began, LastSeen: now, OpenedAt: began, Count: 1, Episode: 1}
	i := ops.Incident{ID: ops.NewID(ops.IncidentID), Title: f.Summary, State: ops.IncidentOpen, Severity: sev, Peak: sev, RootID: f.ID, OpenedAt: now}
	w.tx(now, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.OpenFinding(ctx, f, store.Why{Actor: "watch"}); err != nil {
			return err
		}
		if err := tx.OpenIncident(ctx, i, store.Why{Actor: "watch"}); err != nil {
			return err
		}
		return tx.Join(ctx, i.ID, ops.IncidentMember{FindingID: f.ID, Reason: "the first", JoinedAt: now})
	})
	return i
}

func (w *world) policy() {
	w.t.Helper()
	if err := w.v.policyPass(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) work() {
	w.t.Helper()
	if err := w.v.workPass(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// all answers the investigations of an incident, the newest first, whole.
func (w *world) all(incident string) []ops.Investigation {
	w.t.Helper()
	list, _, err := w.store.Investigations(context.Background(), store.InvestigationFilter{Incident: incident})
	if err != nil {
		w.t.Fatal(err)
	}
	for n := range list {
		if list[n], err = w.store.Investigation(context.Background(), list[n].ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return list
}

// both runs f on a world on each database.
func both(t *testing.T, f func(w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store) { f(newWorld(t, s)) })
}

// logged stores error lines of the container.
func (w *world) logged(at time.Time, text string) {
	w.t.Helper()
	w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
		return tx.AddEvents(ctx, []store.StoredEvent{{ResourceID: w.web.ID, Collector: "logs", Event: ops.Event{Type: ops.EventLogError, At: at, Text: text,
			SourceID: text + at.String(), Count: 1, Facts: map[string]string{"template": text, "template_id": text}}}})
	})
}

func (w *world) changed(at time.Time, what, how string) {
	w.t.Helper()
	w.tx(at, func(_ context.Context, tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "ingest", Verb: "change", Object: "resource", ObjectID: w.web.ID, To: "present", Facts: map[string]string{what: how}})
		return nil
	})
}
