package patrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"reeve/internal/detect"
	"reeve/internal/detectors"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/test/storetest"
)

var quietLog = slog.New(slog.DiscardHandler)

func settings() Settings {
	return Settings{Every: 6 * time.Hour, Startup: true, Events: Events, MinSeverity: ops.Warning, Spacing: 2 * time.Minute, Pacing: 0,
		QuietRuns: 2, Timeout: time.Minute, Keep: 365 * 24 * time.Hour}
}

func newPatrol(t testing.TB, st *store.Store, change func(*Options)) *Patrol {
	t.Helper()
	metrics, err := tsdb.Open(t.Context(), quietLog, tsdb.Options{Dir: t.TempDir(), BallastSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { metrics.Close() })
	o := Options{Log: quietLog, Store: st, Metrics: metrics, Router: llm.New(quietLog, llm.Options{}), Definitions: detectors.All(), Settings: settings(),
		ConfigDigest: "a", Node: "node", Knowledge: Knowledge{
			Notes:   func(context.Context, []string) ([]ops.Note, error) { return nil, nil },
			Before:  func(context.Context, string, string) (string, error) { return "", nil },
			Suggest: func(_ context.Context, n ops.Note, _ string) (ops.Note, error) { return n, nil }}}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t testing.TB, st *store.Store, f func(*store.Tx) error) {
	t.Helper()
	if err := st.Tx(context.Background(), time.Now(), f); err != nil {
		t.Fatal(err)
	}
}

// populate stores an estate.
func populate(t testing.TB, st *store.Store, all []ops.Resource) {
	t.Helper()
	write(t, st, func(tx *store.Tx) error {
		for _, r := range all {
			r.Reachable, r.FirstSeen, r.ObservedAt = "online", time.Now(), time.Now()
			if err := tx.SaveResource(t.Context(), r, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func openFinding(t testing.TB, st *store.Store, resource, condition string, sev ops.Severity) (f ops.Finding) {
	t.Helper()
	write(t, st, func(tx *store.Tx) error {
		f = ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: resource, Condition: condition, State: ops.FindingOpen, Severity: sev, Peak: sev,
			Origin: "rule", Summary: condition + " on " + resource, FirstSeen: tx.Now(), LastSeen: tx.Now(), OpenedAt: tx.Now(), Count: 1, Episode: 1, Version: 1}
		return tx.OpenFinding(t.Context(), f, store.Why{Actor: "watch"})
	})
	return f
}

func recoverFinding(t testing.TB, st *store.Store, f ops.Finding) {
	t.Helper()
	write(t, st, func(tx *store.Tx) error {
		_, err := tx.MoveFinding(t.Context(), f, ops.FindingRecover, store.Why{Actor: "watch"}, func(f *ops.Finding) { f.ResolvedAt, f.ResolvedBy = tx.Now(), "recovered" })
		return err
	})
}

func pass(t testing.TB, p *Patrol) {
	t.Helper()
	if err := p.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ask(t testing.TB, p *Patrol, refs ...string) ops.Run {
	t.Helper()
	r, err := p.Ask(t.Context(), Request{Scope: ops.RunScope{Resources: refs}, Why: store.Why{Actor: "user:ann"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func runOf(t testing.TB, p *Patrol, id string) ops.Run {
	t.Helper()
	r, err := p.store.Run(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// With no model a run ends with every finding in scope, ranked and explained.
func TestRunWithoutAModelTellsEveryFinding(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		p := newPatrol(t, st, nil)
		populate(t, st, estateOfTwo())
		full := openFinding(t, st, "res_web1_/srv", "fs_full", ops.Critical)
		unit := openFinding(t, st, "res_web2_redis", "container_unhealthy", ops.Warning)
		r := ask(t, p)
		if r.State != ops.RunQueued {
			t.Fatal(r.State)
		}
		pass(t, p)
		r = runOf(t, p, r.ID)
		if r.State != ops.RunDone || r.Health != ops.RunCritical || len(r.Detail.Items) != 2 || r.Detail.Items[0].FindingID != full.ID || len(r.Detail.New) != 2 {
			t.Fatalf("%+v", r)
		}
		if i := r.Detail.Items[0]; len(i.Causes) == 0 || len(i.Checks) == 0 || i.What == "" || !r.Detail.Complete || r.Tokens.Total() != 0 || *r.Cost != 0 {
			t.Fatalf("it explains nothing: %+v", i)
		}
		recoverFinding(t, st, unit)
		r = ask(t, p)
		pass(t, p)
		r = runOf(t, p, r.ID)
		if len(r.Detail.Known) != 1 || len(r.Detail.Cleared) != 1 || r.Detail.Cleared[0] != unit.ID {
			t.Fatalf("%+v", r.Detail)
		}
	})
}

// Nothing changed and nothing open: quiet, but not for ever.
func TestUnchangedEstateIsQuietForAWhile(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	var quiet []bool
	for range 5 {
		r := ask(t, p)
		pass(t, p)
		r = runOf(t, p, r.ID)
		if r.Health != ops.RunHealthy {
			t.Fatalf("%+v", r)
		}
		quiet = append(quiet, r.Quiet)
	}
	if fmt.Sprint(quiet) != "[false true true false true]" {
		t.Fatal(quiet)
	}
	write(t, st, func(tx *store.Tx) error {
		x, err := tx.Resource(t.Context(), "res_web1_nginx")
		x.Observed = ops.Attrs{"state": "exited"}
		return errors.Join(err, tx.SaveResource(t.Context(), x, ""))
	})
	r := ask(t, p)
	pass(t, p)
	if runOf(t, p, r.ID).Quiet {
		t.Fatal("quiet though something changed")
	}
}

// A scoped run is healthy only when what belongs to it is too.
func TestScopedRunDoubtsWhatBelongsToIt(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	openFinding(t, st, "res_web1_/srv", "fs_full", ops.Critical)
	r := ask(t, p, "web1")
	pass(t, p)
	if r = runOf(t, p, r.ID); r.Health != ops.RunInconclusive || len(r.Detail.Items) != 0 || len(r.Detail.Effective) != 1 {
		t.Fatalf("%+v", r)
	}
}

// A run whose whole scope is out says why and is not done.
func TestRunOfNothingIsRefusedWithItsReason(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	all := estateOfTwo()
	populate(t, st, all)
	write(t, st, func(tx *store.Tx) error {
		f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: "res_web1_/srv", Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Warning, Peak: ops.Warning,
			OpenedAt: tx.Now(), FirstSeen: tx.Now(), Version: 1}
		if err := tx.OpenFinding(t.Context(), f, store.Why{Actor: "watch"}); err != nil {
			return err
		}
		f.Version = 1
		_, err := tx.NoteFinding(t.Context(), f, "suppress", store.Why{Actor: "user:ann"}, func(f *ops.Finding) {
			f.Suppression = &ops.Suppression{Kind: ops.SuppressMaintenance, Until: tx.Now().Add(time.Hour), Severity: ops.Critical}
		})
		return err
	})
	r := ask(t, p, "/srv")
	pass(t, p)
	if r = runOf(t, p, r.ID); r.State != ops.RunRefused || !strings.Contains(r.Err, "maintenance") || len(r.Detail.LeftOut) != 1 {
		t.Fatalf("%+v", r)
	}
}

// Events ask for looks; what patrols wrote themselves does not.
func TestEventsAskForLooks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		p := newPatrol(t, st, func(o *Options) { o.Settings.MinSeverity = ops.Critical })
		populate(t, st, estateOfTwo())
		f := openFinding(t, st, "res_web1_/srv", "fs_full", ops.Critical)
		openFinding(t, st, "res_web2_redis", "container_unhealthy", ops.Warning) // below what was set
		recoverFinding(t, st, f)
		write(t, st, func(tx *store.Tx) error {
			for i := range 3 {
				tx.Record(ops.Transition{Actor: "ingest", Verb: "appear", Object: "resource", ObjectID: []string{"res_web2_redis", "res_web2_nginx", "res_web2"}[i], Facts: map[string]string{"kind": "container"}})
			}
			tx.Record(ops.Transition{Actor: actor, Verb: "open", Object: "finding", ObjectID: "fnd_x", Facts: map[string]string{"resource": "res_web2", "severity": "critical"}})
			return nil
		})
		for range 2 { // The second time changes nothing.
			if err := p.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		queued, err := st.QueuedRuns(t.Context())
		if err != nil || len(queued) != 2 {
			t.Fatalf("%+v %v", queued, err)
		}
		first, second := queued[0], queued[1]
		if before(second, first) { // They were accepted in one millisecond.
			first, second = second, first
		}
		if first.Trigger != ops.TriggerOpened || first.Triggers != 2 || first.Priority != 80 || !strings.Contains(first.Reason, "fs_full opened") {
			t.Fatalf("%+v", first)
		}
		if second.Trigger != ops.TriggerInventory || len(second.Asked.Resources) != 3 || second.NotBefore.IsZero() || !strings.Contains(second.Reason, "came (3)") {
			t.Fatalf("%+v", second)
		}
		pass(t, p)
		pass(t, p)
		if r := runOf(t, p, first.ID); r.State != ops.RunDone {
			t.Fatalf("%+v", r)
		}
		if r := runOf(t, p, second.ID); r.State != ops.RunQueued { // It waits for others like it.
			t.Fatalf("%+v", r)
		}
	})
}

// A changed configuration asks for a look once.
func TestChangedConfigurationAsksOnce(t *testing.T) {
	st := storetest.SQLite(t)
	populate(t, st, estateOfTwo())
	for i, x := range []struct {
		digest string
		want   int
	}{{"a", 0}, {"a", 0}, {"b", 1}, {"b", 1}, {"a", 1}} {
		p := newPatrol(t, st, func(o *Options) { o.ConfigDigest = x.digest })
		if err := p.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		queued, err := st.QueuedRuns(t.Context())
		if err != nil || len(queued) != x.want {
			t.Fatalf("start %d: %d runs wait, %v", i, len(queued), err)
		}
		if i == 4 && queued[0].Triggers != 2 {
			t.Fatal("changed back and not looked at again")
		}
	}
}

// What waits for a week before it is a finding is told, and does not keep an
// estate from being well; what may be a finding in minutes does.
func TestOnlyWhatMayBeAFindingSoonIsADoubt(t *testing.T) {
	const updates = "updates_security_pending"
	for name, x := range map[string]struct {
		condition  string
		held, hold time.Duration // hold as configured, 0 for as defined
		want       ops.RunHealth
	}{
		"a week to go":        {updates, time.Minute, 0, ops.RunHealthy},
		"the last hours":      {updates, 7*24*time.Hour - 5*time.Hour, 0, ops.RunInconclusive},
		"configured to hours": {updates, time.Minute, 3 * time.Hour, ops.RunInconclusive},
		"minutes to go":       {"host_cpu_high", time.Minute, 0, ops.RunInconclusive},
		"configured to days":  {"host_cpu_high", time.Minute, 72 * time.Hour, ops.RunHealthy},
	} {
		t.Run(name, func(t *testing.T) {
			st, condition, want := storetest.SQLite(t), x.condition, x.want
			p := newPatrol(t, st, func(o *Options) {
				if x.hold != 0 {
					o.Hold = func(detect.Definition, ops.Resource) time.Duration { return x.hold }
				}
			})
			populate(t, st, estateOfTwo())
			state, err := json.Marshal(detect.Track{Phase: detect.Holding, BadSince: time.Now().Add(-time.Minute), Severity: ops.Warning, Held: x.held, Last: detect.Bad})
			if err != nil {
				t.Fatal(err)
			}
			write(t, st, func(tx *store.Tx) error {
				return tx.SaveTracks(t.Context(), []store.TrackRow{{ResourceID: "res_web1", Condition: condition, State: string(state)}})
			})
			for i, quiet := range []bool{false, want == ops.RunHealthy} {
				r := ask(t, p)
				pass(t, p)
				r = runOf(t, p, r.ID)
				if r.Health != want || r.Quiet != quiet {
					t.Errorf("run %d: %s, quiet %t: %s", i+1, r.Health, r.Quiet, r.Summary)
				}
				if items := r.Detail.Items; !r.Quiet && (len(items) != 1 || items[0].Condition != condition) {
					t.Errorf("it is not told: %+v", items)
				}
			}
		})
	}
}
