package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/detect"
	"reeve/internal/detectors"
	"reeve/internal/evidence"
	"reeve/internal/ingest"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

var quiet = slog.New(slog.DiscardHandler)

// An estate is a store, a metrics store and the workers over them, with a
// host whose readings the test sets.
type estate struct {
	t       *testing.T
	dir     string
	store   *store.Store
	metrics *tsdb.DB
	ingest  *ingest.Ingest
	watch   *watch.Watch
	defs    []detect.Definition
	rules   []watch.Rule
	fs      map[string]float64 // mount to used ratio
	state   map[string]ops.Attrs
}

var host = ops.HostIdentity{Key: "host_1", Name: "web1", BootID: "b"}

// open starts, or restarts, everything on the same files.
func (e *estate) open() {
	e.t.Helper()
	ctx := context.Background()
	var err error
	if e.store, err = store.Open(ctx, quiet, store.Options{URL: "sqlite:" + filepath.Join(e.dir, "reeve.db")}); err != nil {
		e.t.Fatal(err)
	}
	if e.metrics, err = tsdb.Open(ctx, quiet, tsdb.Options{Dir: filepath.Join(e.dir, "metrics"), BallastSize: 1 << 20}); err != nil {
		e.t.Fatal(err)
	}
	if e.ingest, err = ingest.New(ctx, quiet, e.store, e.metrics, func() {}); err != nil {
		e.t.Fatal(err)
	}
	e.watch = watch.New(quiet, e.store, e.metrics, e.defs, e.rules)
}

func (e *estate) close() {
	e.t.Helper()
	if err := e.store.Close(); err != nil {
		e.t.Fatal(err)
	}
	if err := e.metrics.Close(); err != nil {
		e.t.Fatal(err)
	}
}

// in runs f on a new estate in a bubble of fake time.
func in(t *testing.T, f func(e *estate)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := &estate{t: t, dir: dir, defs: detectors.All(), fs: map[string]float64{"/": 0.5, "/var": 0.5}, state: map[string]ops.Attrs{}}
		e.open()
		defer e.close()
		f(e)
	})
}

// report hands one report of the host over.
func (e *estate) report() {
	e.t.Helper()
	now := time.Now()
	obs := ops.Observation{Collector: "filesystem", Started: now, EveryMS: 10_000, Complete: []ops.Kind{ops.KindFilesystem, ops.KindContainer}}
	for mount, used := range e.fs {
		key := ops.ResourceKey{Host: host.Key, Source: "linux", Key: "fs:" + mount}
		obs.Sightings = append(obs.Sightings, ops.Sighting{Key: key, Kind: ops.KindFilesystem, Name: mount, Observed: ops.Attrs{"fstype": "ext4", "read_only": "false"}})
		obs.Samples = append(obs.Samples, ops.Sample{Resource: key, Metric: "fs_used_ratio", At: now, Value: used},
			ops.Sample{Resource: key, Metric: "fs_size_bytes", At: now, Value: 4e10}, ops.Sample{Resource: key, Metric: "fs_available_bytes", At: now, Value: 4e10 * (1 - used)})
	}
	docker := ops.Observation{Collector: "docker", Started: now, EveryMS: 10_000, Complete: []ops.Kind{ops.KindContainer}}
	for name, attrs := range e.state {
		key := ops.ResourceKey{Host: host.Key, Source: "docker", Key: name}
		docker.Sightings = append(docker.Sightings, ops.Sighting{Key: key, Kind: ops.KindContainer, Name: name, Observed: attrs})
	}
	if err := e.ingest.Accept(context.Background(), ops.Report{Host: host, At: now, Observations: []ops.Observation{obs, docker}}); err != nil {
		e.t.Fatal(err)
	}
}

// run lets time pass with a report and a pass every ten seconds.
func (e *estate) run(d time.Duration) {
	e.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Second) {
		e.report()
		if err := e.watch.Pass(context.Background()); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *estate) findings(active bool) []ops.Finding {
	e.t.Helper()
	all, _, err := e.store.Findings(context.Background(), store.FindingFilter{Active: active, All: true})
	if err != nil {
		e.t.Fatal(err)
	}
	return all
}

func (e *estate) incidents() []ops.Incident {
	e.t.Helper()
	all, _, err := e.store.Incidents(context.Background(), store.IncidentFilter{All: true})
	if err != nil {
		e.t.Fatal(err)
	}
	return all
}

func (e *estate) only(active bool) ops.Finding {
	e.t.Helper()
	all := e.findings(active)
	if len(all) != 1 {
		e.t.Fatalf("%d findings instead of one: %+v", len(all), all)
	}
	return all[0]
}

func TestFullFileSystemOpensOnceAndResolves(t *testing.T) {
	in(t, func(e *estate) {
		e.run(time.Minute)
		if n := len(e.findings(false)); n != 0 {
			t.Fatalf("%d findings of a healthy host", n)
		}
		e.fs["/var"] = 0.96
		e.run(2 * time.Minute)
		f := e.only(true)
		if f.Condition != "fs_full" || f.Severity != ops.Critical || !strings.Contains(f.Summary, "/var") || f.IncidentID == "" {
			t.Fatalf("%+v", f)
		}
		proof, err := e.store.Evidence(context.Background(), f.ID)
		if err != nil || len(proof) == 0 || len(proof[0].Series) != 1 || len(proof[0].Series[0].Points) < 2 {
			t.Fatalf("%+v %v", proof, err)
		}
		for _, p := range proof {
			if ok, why := evidence.Verify(p); !ok {
				t.Error(why)
			}
		}
		e.fs["/var"] = 0.5
		e.run(10 * time.Minute)
		f = e.only(false)
		if f.State != ops.FindingResolved || f.ResolvedBy != "recovered" {
			t.Fatalf("%+v", f)
		}
		e.run(15 * time.Minute)
		if i := e.incidents(); len(i) != 1 || i[0].State != ops.IncidentClosed || i[0].MitigatedAt.IsZero() {
			t.Fatalf("%+v", i)
		}
	})
}

func TestRegressionFlappingAndExpiry(t *testing.T) {
	in(t, func(e *estate) {
		for range 5 {
			e.fs["/"] = 0.9
			e.run(2 * time.Minute)
			e.fs["/"] = 0.5
			e.run(6 * time.Minute)
		}
		f := e.only(false)
		if f.Episode != 5 || !f.Flapping || f.State != ops.FindingResolved {
			t.Fatalf("%+v", f)
		}
		time.Sleep(25 * time.Hour)
		e.run(time.Minute)
		if f = e.only(false); f.State != ops.FindingClosed {
			t.Fatalf("%+v", f)
		}
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		if next := e.only(true); next.ID == f.ID || next.PreviousID != f.ID || next.Episode != 1 {
			t.Fatalf("%+v", next)
		}
	})
}

func TestRiseEndsAcknowledgementAndSuppression(t *testing.T) {
	in(t, func(e *estate) {
		ctx := context.Background()
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		f := e.only(true)
		if _, err := e.watch.AckFinding(ctx, f.ID, "user:ann", "looking"); err != nil {
			t.Fatal(err)
		}
		if i := e.incidents(); i[0].State != ops.IncidentAcknowledged {
			t.Fatalf("%+v", i)
		}
		if _, err := e.watch.Suppress(ctx, f.ID, ops.Suppression{Kind: ops.SuppressAccepted, Reason: "known", Actor: "user:ann"}); err != nil {
			t.Fatal(err)
		}
		e.fs["/"] = 0.97
		e.run(2 * time.Minute)
		f = e.only(true)
		if f.State != ops.FindingOpen || f.Suppression != nil || f.Severity != ops.Critical || f.AckedBy != "" {
			t.Fatalf("%+v", f)
		}
		if i := e.incidents(); i[0].State != ops.IncidentOpen || i[0].Severity != ops.Critical {
			t.Fatalf("%+v", i)
		}
	})
}

func TestSnoozeEndsAndClaimsAreChecked(t *testing.T) {
	in(t, func(e *estate) {
		ctx := context.Background()
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		f := e.only(true)
		if _, err := e.watch.Suppress(ctx, f.ID, ops.Suppression{Kind: ops.SuppressSnooze, Actor: "user:ann"}); ops.KindOf(err) != ops.Invalid {
			t.Fatal(err)
		}
		if _, err := e.watch.Suppress(ctx, f.ID, ops.Suppression{Kind: ops.SuppressSnooze, Reason: "later", Actor: "user:ann", Until: time.Now().Add(5 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.watch.Resolve(ctx, f.ID, "user:ann", "deleted logs"); err != nil {
			t.Fatal(err)
		}
		e.run(2 * time.Minute)
		if f = e.only(true); f.Claim == "" || f.Suppression == nil {
			t.Fatalf("%+v", f)
		}
		e.run(4 * time.Minute)
		if f = e.only(true); f.Suppression != nil {
			t.Fatalf("the snooze did not end: %+v", f.Suppression)
		}
	})
}

func TestHoldTimeSurvivesARestart(t *testing.T) {
	in(t, func(e *estate) {
		hold := 5 * time.Minute
		e.rules = []watch.Rule{{Condition: "fs_full", Hold: &hold}}
		e.watch = watch.New(quiet, e.store, e.metrics, e.defs, e.rules)
		e.fs["/"] = 0.9
		e.run(4 * time.Minute)
		e.close()
		e.open()
		e.run(30 * time.Second)
		if n := len(e.findings(false)); n != 0 {
			t.Fatal("opened before its hold time")
		}
		e.run(2 * time.Minute)
		e.only(true)
	})
}

func TestRemovedResourceMakesItsFindingObsolete(t *testing.T) {
	in(t, func(e *estate) {
		e.fs["/mnt"] = 0.99
		e.run(2 * time.Minute)
		e.only(true)
		delete(e.fs, "/mnt")
		e.run(time.Minute)
		f := e.only(false)
		if f.State != ops.FindingResolved || f.ResolvedBy != "obsolete" {
			t.Fatalf("%+v", f)
		}
		r, err := e.store.Resource(context.Background(), f.ResourceID)
		if err != nil || r.Presence != ops.Removed {
			t.Fatalf("%+v %v", r, err)
		}
	})
}

func TestRulesOverrideThresholdsAndSwitchOff(t *testing.T) {
	in(t, func(e *estate) {
		e.rules = []watch.Rule{{Condition: "fs_full", Names: []string{"/"}, Limits: map[string]float64{}, Off: true}}
		e.watch = watch.New(quiet, e.store, e.metrics, e.defs, e.rules)
		e.fs["/"], e.fs["/var"] = 0.99, 0.99
		e.run(2 * time.Minute)
		f := e.only(true)
		if !strings.Contains(f.Summary, "/var") {
			t.Fatalf("%+v", f)
		}
		r, _, err := e.store.Resources(context.Background(), store.ResourceFilter{Kinds: []string{"filesystem"}})
		if err != nil || len(r) != 2 {
			t.Fatal(r, err)
		}
		x, err := e.watch.Explain(context.Background(), r[0].ID, "fs_full")
		if err != nil || !strings.Contains(fmt.Sprint(x.Steps), "switched on no") {
			t.Fatalf("%+v %v", x, err)
		}
	})
}

func TestExplainNamesTheReason(t *testing.T) {
	in(t, func(e *estate) {
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		f := e.only(true)
		x, err := e.watch.ExplainFinding(context.Background(), f.ID)
		if err != nil || x.Finding == nil || !strings.Contains(x.Verdict, f.ID) {
			t.Fatalf("%+v %v", x, err)
		}
		healthy, err := e.watch.Explain(context.Background(), f.ResourceID, "fs_read_only")
		if err != nil || healthy.Finding != nil || !strings.Contains(healthy.Verdict, "no open finding") {
			t.Fatalf("%+v %v", healthy, err)
		}
		story, err := e.watch.Story(context.Background(), f.IncidentID)
		if err != nil || story.What == "" || len(story.Causes) == 0 || len(story.Checks) == 0 {
			t.Fatalf("%+v %v", story, err)
		}
		if _, err := e.watch.Explain(context.Background(), f.ResourceID, "no_such"); ops.KindOf(err) != ops.NotFound {
			t.Fatal(err)
		}
	})
}

func TestAProblemThatReturnsAfterItsIncidentClosedMakesAnother(t *testing.T) {
	in(t, func(e *estate) {
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		e.fs["/"] = 0.5
		e.run(20 * time.Minute)
		if i := e.incidents(); len(i) != 1 || i[0].State != ops.IncidentClosed {
			t.Fatalf("%+v", i)
		}
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		f := e.only(true)
		i, err := e.store.Incident(context.Background(), f.IncidentID)
		if err != nil || i.State != ops.IncidentOpen || f.Episode != 2 || len(e.incidents()) != 2 {
			t.Fatalf("%+v %+v %v", f, i, err)
		}
	})
}

func TestANewMemberOpensAnAcknowledgedIncident(t *testing.T) {
	in(t, func(e *estate) {
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		first := e.only(true)
		if _, err := e.watch.AckIncident(context.Background(), first.IncidentID, "user:ann", ""); err != nil {
			t.Fatal(err)
		}
		// A second finding of the same severity with the same cause.
		e.state["web"] = ops.Attrs{"state": "running", "health": "unhealthy"}
		e.run(4 * time.Minute)
		i, err := e.store.Incident(context.Background(), first.IncidentID)
		if err != nil || i.MemberCount < 2 {
			t.Fatalf("%+v %v %+v", i, err, e.findings(true))
		}
		if i.State != ops.IncidentOpen || i.AckedBy != "" {
			t.Fatalf("%+v", i)
		}
	})
}

func TestAPersonsWordEndsWhatNobodyCanCheck(t *testing.T) {
	in(t, func(e *estate) {
		ctx := context.Background()
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		f := e.only(true)
		// No reading for an hour: the detector cannot tell any more.
		for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(time.Minute) {
			if err := e.watch.Pass(ctx); err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.watch.Resolve(ctx, f.ID, "user:ann", "the collector is off")
		if err != nil || got.State != ops.FindingResolved || got.ResolvedBy != "accepted" {
			t.Fatalf("%+v %v", got, err)
		}
		if i := e.incidents(); i[0].State != ops.IncidentMitigated {
			t.Fatalf("%+v", i)
		}
		e.run(2 * time.Minute)
		if f = e.only(true); f.Episode != 2 {
			t.Fatalf("it holds again and is not open: %+v", f)
		}
	})
}

func TestALostTrackDoesNotKeepAFindingOpen(t *testing.T) {
	in(t, func(e *estate) {
		e.fs["/"] = 0.9
		e.run(2 * time.Minute)
		f := e.only(true)
		err := e.store.Tx(context.Background(), time.Now(), func(tx *store.Tx) error {
			return tx.SaveTracks(context.Background(), []store.TrackRow{{ResourceID: f.ResourceID, Condition: f.Condition}})
		})
		if err != nil {
			t.Fatal(err)
		}
		e.close()
		e.open()
		e.fs["/"] = 0.5
		e.run(10 * time.Minute)
		if f = e.only(false); f.State != ops.FindingResolved {
			t.Fatalf("%+v", f)
		}
	})
}
