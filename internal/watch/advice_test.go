package watch_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// advise opens a finding that only a model saw.
func (e *estate) advise(kind ops.Kind, name, condition string) string {
	e.t.Helper()
	ctx, now := context.Background(), time.Now().UTC()
	all, _, err := e.store.Resources(ctx, store.ResourceFilter{All: true, Kinds: []string{string(kind)}})
	if err != nil {
		e.t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(r ops.Resource) bool { return r.Name == name })
	f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: all[at].ID, Condition: condition, State: ops.FindingOpen, Severity: ops.Warning, Peak: ops.Warning,
		Origin: ops.OriginPatrol, Summary: "a model says so", FirstSeen: now, LastSeen: now, OpenedAt: now, Count: 1, Episode: 1, Facts: map[string]string{"run": "run_1"}}
	if err := e.store.Tx(ctx, now, func(tx *store.Tx) error { return tx.OpenFinding(ctx, f, store.Why{Actor: "patrol"}) }); err != nil {
		e.t.Fatal(err)
	}
	return f.ID
}

// told is what people are told from: the incidents of rules, without IDs.
type told struct {
	title    string
	opened   time.Duration
	state    ops.IncidentState
	severity ops.Severity
	members  []string
}

func (e *estate) told(began time.Time) []told {
	e.t.Helper()
	ctx := context.Background()
	all, _, err := e.store.Incidents(ctx, store.IncidentFilter{All: true})
	if err != nil {
		e.t.Fatal(err)
	}
	var list []told
	for _, i := range all {
		findings, _, err := e.store.Findings(ctx, store.FindingFilter{Incident: i.ID, All: true})
		if err != nil {
			e.t.Fatal(err)
		}
		x := told{title: i.Title, opened: i.OpenedAt.Sub(began), state: i.State, severity: i.Severity}
		for _, f := range findings {
			if f.Origin == ops.OriginRule {
				x.members = append(x.members, f.Condition+" "+f.Summary+" "+string(f.State)+" "+f.OpenedAt.Sub(began).String())
			}
		}
		if len(x.members) > 0 {
			list = append(list, x)
		}
	}
	return list
}

// What a model said before, and what people made of it, changes neither when
// nor in which incident a detector's finding opens, nor how it ends.
func TestAdviceOfAModelChangesNothingOfRules(t *testing.T) {
	scenario := func(t *testing.T, before func(e *estate)) (all []told, active int) {
		in(t, func(e *estate) {
			e.run(time.Minute)
			before(e)
			e.run(2 * time.Minute)
			began := time.Now()
			e.fs["/var"] = 0.90
			e.run(2 * time.Minute)
			e.fs["/var"] = 0.97
			e.run(2 * time.Minute)
			all = e.told(began)
			e.fs["/var"] = 0.5
			e.run(5 * time.Minute)
			all = append(all, e.told(began)...)
			active = len(e.findings(true))
		})
		return all, active
	}
	want, _ := scenario(t, func(*estate) {})
	if len(want) == 0 {
		t.Fatal("the scenario opens no incident")
	}
	lies := map[string]func(e *estate){
		"of the same condition": func(e *estate) { e.advise(ops.KindFilesystem, "/var", "fs_full") },
		"of the host":           func(e *estate) { e.advise(ops.KindHost, "web1", "heartbeat_missing") },
		"acknowledged": func(e *estate) {
			id := e.advise(ops.KindFilesystem, "/var", "fs_full")
			e.run(time.Minute)
			if _, err := e.watch.AckFinding(context.Background(), id, "user:a", "seen"); err != nil {
				e.t.Fatal(err)
			}
		},
		"suppressed": func(e *estate) {
			id := e.advise(ops.KindFilesystem, "/var", "fs_full")
			e.run(time.Minute)
			_, err := e.watch.Suppress(context.Background(), id, ops.Suppression{Kind: ops.SuppressAccepted, Reason: "nonsense", Actor: "user:a"})
			if err != nil {
				e.t.Fatal(err)
			}
		},
		"resolved by a person": func(e *estate) {
			id := e.advise(ops.KindFilesystem, "/var", "fs_full")
			e.run(time.Minute)
			if _, err := e.watch.Resolve(context.Background(), id, "user:a", "nonsense"); err != nil {
				e.t.Fatal(err)
			}
		},
		"of all": func(e *estate) {
			e.advise(ops.KindFilesystem, "/var", "fs_full")
			e.advise(ops.KindFilesystem, "/var", ops.Advisory)
			e.advise(ops.KindHost, "web1", "load_high")
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			got, _ := scenario(t, lie)
			if d := cmp.Diff(want, got, cmp.AllowUnexported(told{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDetectorTakesAdviceOverAndNeverMakesASecondFinding(t *testing.T) {
	in(t, func(e *estate) {
		e.run(time.Minute)
		id := e.advise(ops.KindFilesystem, "/var", "fs_full")
		e.run(time.Minute)
		e.fs["/var"] = 0.97
		e.run(2 * time.Minute)
		all := e.findings(false)
		if len(all) != 1 || all[0].ID != id || all[0].Origin != ops.OriginRule || all[0].Severity != ops.Critical || !strings.Contains(all[0].Summary, "97 %") {
			t.Fatalf("%+v", all)
		}
		incidents, _, err := e.store.Incidents(context.Background(), store.IncidentFilter{All: true})
		if err != nil || len(incidents) != 2 {
			t.Fatalf("%+v %v", incidents, err)
		}
		for _, i := range incidents {
			if i.ID != all[0].IncidentID && i.MergedInto != all[0].IncidentID {
				t.Errorf("the incident that it left is %s, merged into %q", i.State, i.MergedInto)
			}
		}
	})
}

func TestAdviceLapsesUnlessReportedAgain(t *testing.T) {
	in(t, func(e *estate) {
		e.run(time.Minute)
		id := e.advise(ops.KindHost, "web1", ops.Advisory)
		e.run(time.Minute)
		x, err := e.watch.ExplainFinding(context.Background(), id)
		if err != nil || x.Finding == nil || !strings.Contains(x.Verdict, "only a model saw it") || len(x.Steps) != 3 {
			t.Fatalf("%+v %v", x, err)
		}
		time.Sleep(ops.AdviceLife - 5*time.Minute)
		e.run(10 * time.Second)
		if f, _ := e.store.Finding(context.Background(), id); f.State != ops.FindingOpen {
			t.Fatalf("it is %s early", f.State)
		}
		e.run(10 * time.Minute)
		f, err := e.store.Finding(context.Background(), id)
		if err != nil || f.State != ops.FindingResolved || f.ResolvedBy != "expired" {
			t.Fatalf("%+v %v", f, err)
		}
		i, err := e.store.Incident(context.Background(), f.IncidentID)
		if err != nil || i.State != ops.IncidentMitigated || i.Title != "Advice of a model: web1" {
			t.Fatalf("%+v %v", i, err)
		}
	})
}
